#include "daemon/doctor/diagnosis.h"

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

Diagnosis diagnose(const std::string& root, core::Instant now) {
    Diagnosis diagnosis;
    const auto paths = paths_of(root);  // what cannot be read is found again below
    diagnosis.paths = paths ? *paths : Paths{root};
    diagnosis.now = now;
    diagnosis.supervisor = living_supervisor(diagnosis.paths);
    check_settings(diagnosis);
    check_state(diagnosis);
    check_locks(diagnosis);
    check_runs(diagnosis);
    check_workspaces(diagnosis);
    check_git(diagnosis);
    check_machine(diagnosis);
    return diagnosis;
}

}  // namespace ralph::daemon
