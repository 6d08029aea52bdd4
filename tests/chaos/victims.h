// Who may be signalled: shims whose lock is held, by the identity in their run directory; the processes of
// their steps, likewise; and descendants of these, seen as such after their pidfd was opened. Nobody else.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/run_record.h"
#include "daemon/os/file_descriptor.h"
#include "tests/chaos/workload.h"

namespace ralph::chaos {

enum class Part { shim, leader, descendant };

struct LiveRun {
    std::string task_id;
    core::Run run;
    std::string run_id;
    core::ProcessIdentity shim;
    std::optional<core::ProcessIdentity> leader;  // the step's own process
};

struct Victim {
    LiveRun run;
    Part part = Part::shim;
    daemon::FileDescriptor pidfd;
    std::string what;  // for people
};

[[nodiscard]] std::vector<LiveRun> live_runs(const daemon::Paths& paths);

// Nothing if it has gone meanwhile. A process that works within the remote is none of ours: it stands for
// another machine.
[[nodiscard]] std::optional<Victim> open_victim(const LiveRun& run, Part part, const std::string& remote,
                                                Random& random);

}  // namespace ralph::chaos
