#include "core/base/error.h"

#include "core/base/check.h"

namespace ralph::core {

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
