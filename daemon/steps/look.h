// The look at the remote between two landings: a program of its own, so that a mute remote stops nobody.
#pragma once

#include <string>

#include "core/base/error.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Asks origin for the tip of the target, and brings the repository's checkout forward to it if the queue
// travels with the branch. Returns the exit code (daemon/store/remote_view.h). Killed at any instant, it is
// simply run again.
[[nodiscard]] core::Result<int> look_at_remote(const Settings& settings, const std::string& branch);

}  // namespace ralph::daemon
