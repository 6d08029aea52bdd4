#include "core/error.h"

#include <string_view>

#include "core/check.h"
#include "core/utf8.h"

namespace ralph::core {

std::string printable(std::string_view text) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text.front());
        const std::size_t length = utf8_length(text);
        if (byte == '\n') {
            out += " | ";
        } else if (byte < 0x20 || byte == 0x7f || length == 0) {
            out += "\\x";
            out += digits[byte >> 4U];
            out += digits[byte & 0xFU];
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

std::string Error::line() const {
    std::string text = printable(message);
    if (!remedy.empty()) {
        text += "; " + printable(remedy);
    }
    return text;
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
    check_failed(where.file_name(), static_cast<int>(where.line()), error.message.c_str());
}

}  // namespace ralph::core
