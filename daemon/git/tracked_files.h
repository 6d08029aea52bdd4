// What git has of a repository, beside what is in its working tree: a sparse checkout leaves files out, and a
// file that is missing is not a file that was never there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace ralph::daemon {

// Whether the index or HEAD of the repository holds the file. `path` is relative to `root`, its letters in
// any case.
[[nodiscard]] core::Result<bool> is_tracked(const std::string& root, const std::string& path);

// Why the first of these that git tracks and that is not there must not be made anew. What git cannot tell is
// taken for not tracked.
[[nodiscard]] std::optional<core::Error> not_checked_out(const std::string& root,
                                                         const std::vector<std::string>& paths);

}  // namespace ralph::daemon
