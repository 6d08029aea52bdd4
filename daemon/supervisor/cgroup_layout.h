// The supervisor's part in the cgroup that systemd delegates to its unit (daemon/shim/delegation.h has the
// layout). Without delegation nothing happens here but a line in the log.
#pragma once

#include <vector>

#include "daemon/os/files.h"
#include "daemon/supervisor/cgroup_limits.h"

namespace ralph::daemon {

// Moves this process into its leaf and enables the controllers that the limits need. Steps that run already
// keep those that they were started with, which their shims write again when they are adopted: while no
// supervisor ran, the controllers were off. What cannot be had is told in one line. May be called again, with
// other limits.
//
// Controllers are enabled only where RALPH_RELEASES_CGROUP=1 says that somebody calls release_controllers()
// when the supervisor has ended: systemd 252 puts a new main process into the delegated cgroup itself, which
// the kernel refuses while controllers are enabled for its children.
void arrange_cgroups(const std::vector<CgroupLimit>& limits);

// Disables all controllers again, also those that steps have enabled below their own cgroups, without which
// the kernel refuses it. That nothing is delegated is an error.
[[nodiscard]] Result<void> release_controllers();

}  // namespace ralph::daemon
