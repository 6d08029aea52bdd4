// The writing half of core/base/jsonc.h.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/utf8.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

// Bytes that are not UTF-8 (a path may hold any) become U+FFFD: a document of ours can always be read back.
void write_string(std::string& out, std::string_view text) {
    out += '"';
    for (std::size_t length = 0; !text.empty(); text.remove_prefix(length == 0 ? 1 : length)) {
        const char c = text.front();
        length = utf8_length(text);
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
                } else if (length == 0) {
                    out += "\xEF\xBF\xBD";
                } else {
                    out += text.substr(0, length);
                }
        }
    }
    out += '"';
}

void write_line_end(std::string& out, std::size_t depth) {
    out += '\n';
    out.append(depth * 2, ' ');
}

// A real number stays one when it is read back: 1.0 must not become the integer 1.
void write_double(std::string& out, double number) {
    const std::string text = fmt::format("{}", number);
    out += text;
    if (text.find_first_of(".e") == std::string::npos) {
        out += ".0";
    }
}

void write_value(std::string& out, const json::value& value, std::size_t depth) {
    switch (value.kind()) {
        case json::kind::null:
            out += "null";
            return;
        case json::kind::bool_:
            out += value.get_bool() ? "true" : "false";
            return;
        case json::kind::int64:
            out += fmt::format("{}", value.get_int64());
            return;
        case json::kind::uint64:
            out += fmt::format("{}", value.get_uint64());
            return;
        case json::kind::double_:
            write_double(out, value.get_double());
            return;
        case json::kind::string:
            write_string(out, value.get_string());
            return;
        case json::kind::array: {
            const char* separator = "[";
            for (const json::value& element : value.get_array()) {
                out += separator;
                separator = ",";
                write_line_end(out, depth + 1);
                write_value(out, element, depth + 1);
            }
            if (value.get_array().empty()) {
                out += "[]";
                return;
            }
            write_line_end(out, depth);
            out += ']';
            return;
        }
        case json::kind::object: {
            const char* separator = "{";
            for (const auto& [key, element] : value.get_object()) {
                out += separator;
                separator = ",";
                write_line_end(out, depth + 1);
                write_string(out, key);
                out += ": ";
                write_value(out, element, depth + 1);
            }
            if (value.get_object().empty()) {
                out += "{}";
                return;
            }
            write_line_end(out, depth);
            out += '}';
            return;
        }
    }
}

}  // namespace

std::string canonical_json(const json::value& value) {
    std::string out;
    write_value(out, value, 0);
    return out;
}

}  // namespace ralph::core
