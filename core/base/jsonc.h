// Reading JSON with comments.
//
// The grammar is the one the Rust tools read (contract section 1.3): JSON plus // and /* */ comments,
// trailing and missing commas, single-quoted strings, unquoted keys, hexadecimal integers, a unary plus, raw
// line ends inside strings and Unicode white space. Blank input is null. A byte order mark, bare words as
// values, NaN, '#' comments, lone surrogates, nesting deeper than 512 and a second value are refused.
//
// Boost.JSON's own parser is not used because it knows neither this grammar nor positions.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace ralph::core {

enum class DuplicateKeys {
    last_wins,  // the files shared with the Rust tools
    refuse,     // our own settings
};

// A JSON document together with the text it came from, so that an error found later in a value can still
// name its line and column.
class JsonDocument {
  public:
    // `file` is only used in messages. Errors read "file:line:column: what is wrong".
    [[nodiscard]] static Result<JsonDocument> parse(std::string text, std::string file,
                                                    DuplicateKeys duplicates = DuplicateKeys::last_wins);

    [[nodiscard]] const boost::json::value& root() const { return root_; }
    [[nodiscard]] const std::string& file() const { return file_; }

    // "file:line:column: key `path` message". `path` is written as ObjectReader writes it: "tasks[2].agent".
    // A path that is not in the document gives the position of its nearest ancestor.
    [[nodiscard]] Error error_at(std::string_view path, std::string_view message) const;

  private:
    JsonDocument(std::string text, std::string file, boost::json::value root)
        : text_(std::move(text)), file_(std::move(file)), root_(std::move(root)) {}

    std::string text_;
    std::string file_;
    boost::json::value root_;
};

}  // namespace ralph::core
