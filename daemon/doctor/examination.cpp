#include "daemon/doctor/examination.h"

#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {

std::string_view to_string(Severity severity) {
    switch (severity) {
        case Severity::wrong:
            return "wrong";
        case Severity::notice:
            return "notice";
    }
    return "";
}

Examination examine(const std::string& root, core::Instant now) {
    Examination examination;
    examination.paths = Paths{root};
    examination.now = now;
    examination.supervisor = living_supervisor(examination.paths);
    examine_settings(examination);
    examine_state(examination);
    examine_locks(examination);
    examine_runs(examination);
    examine_workspaces(examination);
    examine_git(examination);
    examine_machine(examination);
    return examination;
}

}  // namespace ralph::daemon
