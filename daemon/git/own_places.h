// What below a repository's root is a supervisor's own, and never part of a commit. If git carries it, it
// came from others, and a checkout would write it over ours without a word, since it is ignored.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Which of them a committed file, link or submodule of this path would be in, or in the way of: a file called
// .ralph/cache leaves no room for the folder. Plain text of ours, for messages and commands.
[[nodiscard]] std::optional<std::string> own_place_of(std::string_view path);

// Those that the index of the repository at `root` holds, else its HEAD. A permission that git tracks counts
// for nothing and is told elsewhere (trust.h): it is none of these. The error names what to type.
[[nodiscard]] core::Result<void> check_own_places(const std::string& root);

// Those that a commit or branch holds; empty if there is no such thing.
[[nodiscard]] core::Result<std::vector<std::string>> own_places_in(const std::string& root,
                                                                   const std::string& revision);

// What to do about one that is on the target, but not in this checkout.
[[nodiscard]] std::string take_off_elsewhere(const std::string& place);

}  // namespace ralph::daemon
