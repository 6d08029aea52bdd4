// What a step is made of: its command, environment, folder and limits.
#pragma once

#include <cstdint>
#include <string>

#include "core/queue/task.h"
#include "core/supervisor/supervisor.h"
#include "daemon/os/files.h"
#include "daemon/store/settings.h"
#include "daemon/supervisor/step_run.h"

namespace ralph::daemon {

// The programs that this supervisor starts.
struct Executables {
    std::string ralph;
    std::string shim;
    std::uint64_t descriptors = 0;  // the limit that steps get; 0: ours
};
// Those beside the running binary.
[[nodiscard]] Result<Executables> find_executables();

// Why the worker of this task cannot be started here; empty if it can. A task's own command
// (custom_fields.run) needs a trusted repository, a task without one needs worker.command.
[[nodiscard]] std::string worker_refusal(const Settings& settings, const core::Task& task);

// Reads the kept task. A refused worker becomes a step that says why and fails, so that it leaves its record
// like any.
[[nodiscard]] Result<Launch> build_launch(const Settings& settings, const Executables& executables,
                                          const std::string& target_branch,
                                          const core::SupervisorSettings& limits,
                                          const core::action::StartRun& start, core::Instant now);

}  // namespace ralph::daemon
