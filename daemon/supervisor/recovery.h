// What a starting supervisor finds on disk, made into the decision maker's first memory.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"
#include "daemon/store/settings.h"
#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {

struct Recovered {
    core::ParallelState state;
    std::set<std::string, std::less<>> attempted;             // in the session that goes on
    std::map<std::string, std::string, std::less<>> created;  // the tasks of the records, as far as known
    core::ExpiryNotes seemed_expired;
    std::vector<std::string> warnings;
};

// Reads the state, brings it in line with the branch (contract section 6.5) and with run directories that no
// record speaks of: one with a living shim or an end nobody has dealt with gets its record back, acknowledged
// ones are removed. The caller holds the supervisor's lock. Nothing is started and no process is signalled.
[[nodiscard]] Result<Recovered> recover_state(const Settings& settings, const SupervisorLock& lock,
                                              const std::string& branch, core::Moment now);

}  // namespace ralph::daemon
