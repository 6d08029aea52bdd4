// Glob patterns of parallel.ignored_file_allowlist.
#pragma once

#include <string_view>

namespace ralph::daemon {

// Whether the pattern matches the whole path. `*` and `?` match no "/", `**` as a component matches any
// number of components, `[a-z]` and `[!a-z]` one character, `{one,two}` either. The pattern is one that
// parse_allowlist_entry accepts.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace ralph::daemon
