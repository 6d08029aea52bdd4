#include "core/base/shown_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "core/base/error.h"
#include "core/base/utf8.h"

namespace ralph::core {
namespace {

constexpr std::size_t subject_length = 100;
constexpr std::size_t named_paths = 5;

struct Character {
    std::string_view bytes;        // one, if they are no UTF-8
    std::optional<char32_t> code;  // nothing: no UTF-8
};

// Of a text that is not empty.
Character first_character(std::string_view text) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
        return {text.substr(0, 1), std::nullopt};
    }
    const auto lead = static_cast<unsigned char>(text.front());
    char32_t code = length == 1 ? lead : lead & (0x7FU >> length);
    for (const char c : text.substr(1, length - 1)) {
        code = (code << 6U) | (static_cast<unsigned char>(c) & 0x3FU);
    }
    return {text.substr(0, length), code};
}

std::string escape(const Character& character) {
    if (!character.code || *character.code < 0x80) {
        return fmt::format("\\x{:02x}", static_cast<unsigned char>(character.bytes.front()));
    }
    return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(*character.code));
}

bool lies_in(char32_t character, char32_t low, char32_t high) {
    return character >= low && character <= high;
}

}  // namespace

bool steers(char32_t c) {
    return c < 0x20 || lies_in(c, 0x7F, 0x9F) || c == 0x61C || c == 0x200B || c == 0x200E || c == 0x200F ||
           lies_in(c, 0x2028, 0x202E) || lies_in(c, 0x2060, 0x206F) || c == 0xFEFF ||
           lies_in(c, 0xFFF9, 0xFFFB);
}

std::optional<std::string> first_steering(std::string_view text) {
    while (!text.empty()) {
        const Character character = first_character(text);
        if (!character.code || steers(*character.code)) {
            return escape(character);
        }
        text.remove_prefix(character.bytes.size());
    }
    return std::nullopt;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character character = first_character(text);
        if (character.code == U'\n') {
            out += " | ";
        } else if (!character.code || steers(*character.code)) {
            out += escape(character);
        } else {
            out += character.bytes;
        }
        text.remove_prefix(character.bytes.size());
    }
    return out;
}

std::string terminal_text(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character character = first_character(text);
        if (!character.code) {
            out += "\xEF\xBF\xBD";
        } else if (steers(*character.code) && *character.code != U'\n' && *character.code != U'\t') {
            out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(*character.code));
        } else {
            out += character.bytes;
        }
        text.remove_prefix(character.bytes.size());
    }
    return out;
}

std::string shortened(std::string_view text, std::size_t most) {
    // A character is at most four bytes, and none becomes less than one when it is escaped.
    constexpr std::size_t longest_character = 4;
    std::string shown = printable(text.substr(0, longest_character * (most + 1)));
    std::size_t characters = 0;
    std::size_t end = 0;     // after `most` characters
    std::size_t before = 0;  // before the last of them
    for (std::string_view rest = shown; !rest.empty();) {
        const std::size_t length = first_character(rest).bytes.size();
        if (++characters > most) {
            return shown.substr(0, before) + "\u2026";
        }
        before = end;
        end += length;
        rest.remove_prefix(length);
    }
    return shown;
}

std::string named(const std::vector<std::string>& paths) {
    const std::size_t shown = std::min(paths.size(), named_paths);
    std::string text =
        fmt::format("{}", fmt::join(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    if (shown < paths.size()) {
        text += fmt::format(" and {} more", paths.size() - shown);
    }
    return printable(text);
}

std::string subject_line(const std::string& text) {
    std::string line;
    for (const char c : text) {
        const bool is_blank = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
        if (!is_blank) {
            line += c;
        } else if (!line.empty() && line.back() != ' ') {
            line += ' ';
        }
    }
    if (line.size() > subject_length) {
        std::size_t end = subject_length;
        while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
            --end;
        }
        line.erase(end);
    }
    while (!line.empty() && line.back() == ' ') {
        line.pop_back();
    }
    return line;
}

}  // namespace ralph::core
