#include "core/base/jsonc.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/utf8.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

constexpr int max_depth = 512;

struct SyntaxError {
    std::size_t offset;
    std::string message;
};

struct Position {
    std::size_t line;
    std::size_t column;  // in characters, from 1
};

Position position_of(std::string_view text, std::size_t offset) {
    Position position{1, 1};
    for (const char c : text.substr(0, offset)) {
        if (c == '\n') {
            ++position.line;
            position.column = 1;
        } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
            ++position.column;
        }
    }
    return position;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '$';
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&out](std::uint32_t byte) {
        out += static_cast<char>(static_cast<unsigned char>(byte));
    };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0U | (code >> 6U));
        put(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        put(0xE0U | (code >> 12U));
        put(0x80U | ((code >> 6U) & 0x3FU));
        put(0x80U | (code & 0x3FU));
    } else {
        put(0xF0U | (code >> 18U));
        put(0x80U | ((code >> 12U) & 0x3FU));
        put(0x80U | ((code >> 6U) & 0x3FU));
        put(0x80U | (code & 0x3FU));
    }
}

// Length of the white space character at the front of `text`, 0 if it is none. A byte order mark is none.
std::size_t space_length(std::string_view text) {
    if (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')) {
        return 1;
    }
    if (static_cast<unsigned char>(text.front()) < 0x80) {
        return 0;
    }
    static constexpr std::array<std::string_view, 19> wide{
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
        "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
        "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
    for (const std::string_view space : wide) {
        if (text.substr(0, space.size()) == space) {
            return space.size();
        }
    }
    return 0;
}

// A recursive descent parser; the depth is bounded. Throws SyntaxError, which never leaves this file.
class Parser {
  public:
    // With a `wanted` path the parser notes where the value of that path, or of its nearest ancestor, starts.
    Parser(std::string_view text, DuplicateKeys duplicates, std::optional<std::string_view> wanted)
        : text_(text), duplicates_(duplicates), wanted_(wanted) {}

    json::value parse() {
        skip_space();
        if (at_end()) {
            return nullptr;
        }
        json::value root = parse_value(0);
        skip_space();
        if (!at_end()) {
            fail("unexpected text after the end of the document");
        }
        return root;
    }

    [[nodiscard]] std::size_t found() const { return found_; }

  private:
    [[noreturn]] void fail(std::string message) const { fail_at(offset_, std::move(message)); }
    [[noreturn]] static void fail_at(std::size_t offset, std::string message) {
        throw SyntaxError{offset, std::move(message)};
    }

    [[nodiscard]] bool at_end() const { return offset_ >= text_.size(); }
    [[nodiscard]] char peek() const { return text_[offset_]; }
    [[nodiscard]] std::string_view rest() const { return text_.substr(offset_); }

    void skip_space() {
        while (!at_end()) {
            if (const std::size_t length = space_length(rest()); length > 0) {
                offset_ += length;
            } else if (rest().substr(0, 2) == "//") {
                const std::size_t end = text_.find('\n', offset_);
                offset_ = end == std::string_view::npos ? text_.size() : end + 1;
            } else if (rest().substr(0, 2) == "/*") {
                const std::size_t end = text_.find("*/", offset_ + 2);
                if (end == std::string_view::npos) {
                    fail("comment is not closed");
                }
                offset_ = end + 2;
            } else {
                return;
            }
        }
    }

    void note_position(std::size_t start) {
        if (wanted_ && wanted_->substr(0, path_.size()) == path_ && path_.size() >= best_) {
            const std::string_view beyond = wanted_->substr(path_.size());
            if (beyond.empty() || beyond.front() == '.' || beyond.front() == '[' || path_.empty()) {
                best_ = path_.size();
                found_ = start;
            }
        }
    }

    json::value parse_value(int depth) {
        if (at_end()) {
            fail("the document ends where a value is expected");
        }
        if (depth == 0) {
            note_position(offset_);
        }
        const char c = peek();
        if (depth == max_depth && (c == '{' || c == '[')) {
            fail("nesting is deeper than 512 levels");
        }
        if (c == '{') {
            return parse_object(depth);
        }
        if (c == '[') {
            return parse_array(depth);
        }
        if (c == '"' || c == '\'') {
            return json::value(parse_string());
        }
        if (is_digit(c) || c == '-' || c == '+') {
            return parse_number();
        }
        return parse_literal();
    }

    // Between two elements a comma is optional; two commas in a row are not.
    void skip_separator() {
        skip_space();
        if (!at_end() && peek() == ',') {
            ++offset_;
            skip_space();
        }
    }

    json::value parse_object(int depth) {
        const std::size_t opened = offset_++;
        json::object object;
        skip_space();
        while (true) {
            if (at_end()) {
                fail_at(opened, "object is not closed by '}'");
            }
            if (peek() == '}') {
                ++offset_;
                return object;
            }
            const std::size_t key_offset = offset_;
            const std::string key = parse_key();
            skip_space();
            if (at_end() || peek() != ':') {
                fail(fmt::format("expected ':' after key \"{}\"", printable(key)));
            }
            ++offset_;
            skip_space();
            const std::size_t path_length = path_.size();
            if (wanted_) {
                path_ += path_.empty() ? key : "." + key;
                note_position(key_offset);
            }
            json::value value = parse_value(depth + 1);
            path_.resize(path_length);
            if (!object.insert_or_assign(key, std::move(value)).second &&
                duplicates_ == DuplicateKeys::refuse) {
                fail_at(key_offset, fmt::format("key \"{}\" is given twice", printable(key)));
            }
            skip_separator();
        }
    }

    json::value parse_array(int depth) {
        const std::size_t opened = offset_++;
        json::array array;
        skip_space();
        while (true) {
            if (at_end()) {
                fail_at(opened, "array is not closed by ']'");
            }
            if (peek() == ']') {
                ++offset_;
                return array;
            }
            const std::size_t path_length = path_.size();
            if (wanted_) {
                path_ += fmt::format("[{}]", array.size());
                note_position(offset_);
            }
            array.push_back(parse_value(depth + 1));
            path_.resize(path_length);
            skip_separator();
        }
    }

    std::string parse_key() {
        if (peek() == '"' || peek() == '\'') {
            return parse_string();
        }
        const std::size_t start = offset_;
        while (!at_end() && is_word(peek())) {
            ++offset_;
        }
        if (offset_ == start) {
            fail("expected a key or '}'");
        }
        return std::string(text_.substr(start, offset_ - start));
    }

    std::string parse_string() {
        const std::size_t opened = offset_;
        const char quote = text_[offset_++];
        std::string out;
        while (true) {
            if (at_end()) {
                fail_at(opened, "string is not closed");
            }
            const char c = peek();
            if (c == quote) {
                ++offset_;
                return out;
            }
            if (c == '\\') {
                ++offset_;
                parse_escape(out);
                continue;
            }
            const std::size_t plain = plain_length(quote);
            const std::size_t length = plain > 0 ? plain : utf8_length(rest());
            if (length == 0) {
                fail("invalid UTF-8");
            }
            out += rest().substr(0, length);
            offset_ += length;
        }
    }

    // How many ASCII characters that stand for themselves follow.
    [[nodiscard]] std::size_t plain_length(char quote) const {
        std::size_t end = offset_;
        while (end < text_.size() && text_[end] != quote && text_[end] != '\\' &&
               static_cast<unsigned char>(text_[end]) < 0x80) {
            ++end;
        }
        return end - offset_;
    }

    void parse_escape(std::string& out) {
        if (at_end()) {
            fail("string is not closed");
        }
        const char c = text_[offset_++];
        switch (c) {
            case '"':
            case '\'':
            case '\\':
            case '/':
                out += c;
                return;
            case 'b':
                out += '\b';
                return;
            case 'f':
                out += '\f';
                return;
            case 'n':
                out += '\n';
                return;
            case 'r':
                out += '\r';
                return;
            case 't':
                out += '\t';
                return;
            case 'u':
                append_utf8(out, parse_unicode());
                return;
            default:
                fail_at(offset_ - 2, "unknown escape in a string");
        }
    }

    std::uint32_t parse_four_digits() {
        std::uint32_t code = 0;
        const std::string_view digits = rest().substr(0, 4);
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (problem != std::errc{} || digits.size() != 4 || end != digits.data() + 4) {
            fail("\\u needs four hexadecimal digits");
        }
        offset_ += 4;
        return code;
    }

    std::uint32_t parse_unicode() {
        const std::size_t start = offset_ - 2;
        const std::uint32_t high = parse_four_digits();
        if (high < 0xD800 || high > 0xDFFF) {
            return high;
        }
        if (high > 0xDBFF || rest().substr(0, 2) != "\\u") {
            fail_at(start, "lone surrogate in a string");
        }
        offset_ += 2;
        const std::uint32_t low = parse_four_digits();
        if (low < 0xDC00 || low > 0xDFFF) {
            fail_at(start, "lone surrogate in a string");
        }
        return 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00);
    }

    json::value parse_number() {
        const std::size_t start = offset_;
        const bool negative = peek() == '-';
        if (peek() == '-' || peek() == '+') {
            ++offset_;
        }
        const std::size_t digits = offset_;
        while (!at_end() && (is_word(peek()) || peek() == '.' || peek() == '+')) {
            ++offset_;
        }
        const std::string_view body = text_.substr(digits, offset_ - digits);
        if (const auto number = to_number(body, negative)) {
            return *number;
        }
        fail_at(start,
                fmt::format("\"{}\" is not a number", printable(text_.substr(start, offset_ - start))));
    }

    static std::optional<json::value> to_number(std::string_view body, bool negative) {
        const bool hexadecimal = body.size() > 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'X');
        const std::string_view digits = hexadecimal ? body.substr(2) : body;
        if (digits.empty() || (!hexadecimal && !is_digit(digits.front())) ||
            (!hexadecimal && digits.size() > 1 && digits[0] == '0' && is_digit(digits[1])) ||
            digits.back() == '.' || digits.find(".e") != std::string_view::npos ||
            digits.find(".E") != std::string_view::npos) {
            return std::nullopt;
        }
        const char* const end = digits.data() + digits.size();
        std::uint64_t whole = 0;
        const auto [stop, problem] = std::from_chars(digits.data(), end, whole, hexadecimal ? 16 : 10);
        if (stop == end && problem == std::errc{}) {
            if (!negative) {
                return whole <= INT64_MAX ? json::value(static_cast<std::int64_t>(whole))
                                          : json::value(whole);
            }
            if (whole <= static_cast<std::uint64_t>(INT64_MAX)) {
                return json::value(-static_cast<std::int64_t>(whole));
            }
        }
        double real = 0;
        const auto [real_stop, real_problem] = std::from_chars(digits.data(), end, real);
        if (hexadecimal || real_stop != end || real_problem != std::errc{}) {
            return std::nullopt;
        }
        return json::value(negative ? -real : real);
    }

    json::value parse_literal() {
        const std::size_t start = offset_;
        while (!at_end() && is_word(peek())) {
            ++offset_;
        }
        const std::string_view word = text_.substr(start, offset_ - start);
        if (word == "true") {
            return true;
        }
        if (word == "false") {
            return false;
        }
        if (word == "null") {
            return nullptr;
        }
        if (word.empty()) {
            const std::size_t length = utf8_length(rest());
            fail_at(start, length == 0 ? "invalid UTF-8"
                                       : fmt::format("unexpected '{}'", printable(rest().substr(0, length))));
        }
        fail_at(start, fmt::format("\"{}\" is not a value; text needs quotes", word));
    }

    std::string_view text_;
    DuplicateKeys duplicates_;
    std::optional<std::string_view> wanted_;
    std::size_t offset_ = 0;
    std::string path_;
    std::size_t best_ = 0;
    std::size_t found_ = 0;
};

Error error_in(std::string_view text, std::string_view file, std::size_t offset, std::string_view message) {
    const Position position = position_of(text, offset);
    return Error{fmt::format("{}:{}:{}: {}", file, position.line, position.column, message)};
}

}  // namespace

Result<JsonDocument> JsonDocument::parse(std::string text, std::string file, DuplicateKeys duplicates) {
    try {
        json::value root = Parser(text, duplicates, std::nullopt).parse();
        return JsonDocument(std::move(text), std::move(file), std::move(root));
    } catch (const SyntaxError& error) {
        return error_in(text, file, error.offset, error.message);
    }
}

Error JsonDocument::error_at(std::string_view path, std::string_view message) const {
    Parser locator(text_, DuplicateKeys::last_wins, path);
    locator.parse();
    return path.empty() ? error_in(text_, file_, locator.found(), message)
                        : error_in(text_, file_, locator.found(),
                                   fmt::format("key `{}` {}", printable(path), message));
}

}  // namespace ralph::core
