// JSON on its way out.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace ralph::core {

// The canonical text of the files shared with the Rust tools (contract section 1.6): two spaces, one element
// a line, "[]" and "{}" when empty, non-ASCII left as it is, no line end at the end.
[[nodiscard]] std::string canonical_json(const boost::json::value& value);

}  // namespace ralph::core
