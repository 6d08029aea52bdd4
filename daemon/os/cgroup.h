// The cgroups that shims make for their steps, for the case that the shim is gone.
#pragma once

#include <string>

#include "daemon/os/files.h"

namespace ralph::daemon {

// Kills all that is in the cgroup of that run, waits until the last process is gone, and removes it. Gone
// already is success. A path that is no cgroup (v2), or is not named after exactly this run, is not touched
// and is success, too: nothing of the run can be there. The caller has made sure that it was recorded in this
// boot. An error if processes are still there after `patience_milliseconds`.
[[nodiscard]] Result<void> end_orphaned_cgroup(const std::string& path, const std::string& run_id,
                                               int patience_milliseconds);

}  // namespace ralph::daemon
