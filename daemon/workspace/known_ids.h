// Ids that something of a repository still bears, whether its task is in the queue or not.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Of records of the state, run directories, workspaces (quarantined or half removed ones, too), kept refs,
// and the repository's own queue and done file. A new task must not be given one of these: it would take over
// what is left of the other one. A state that cannot be read is passed over, since the run directories tell
// the same.
[[nodiscard]] core::Result<std::vector<std::string>> known_task_ids(const Settings& settings);

}  // namespace ralph::daemon
