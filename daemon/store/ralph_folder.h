// .ralph comes with a clone, and with every commit that is brought forward. What we write there, and what we
// remove there, must stay in the repository, so that nothing on the way to it may be a symbolic link.
#pragma once

#include "core/base/error.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// An error that names the first link, and how to be rid of it. Everything that is ours is looked at: .ralph,
// cache, logs and lock, and each name in cache/parallel, runs and retry-requests, but for the states, which
// are never written through. What other tools keep beside them is not ours, and queue and done file may be
// links within the repository (rewrite_file_durably).
[[nodiscard]] core::Result<void> check_ralph_folder(const Paths& paths);

// The same of every name in one folder of ours.
[[nodiscard]] core::Result<void> check_no_links_in(const std::string& folder);

}  // namespace ralph::daemon
