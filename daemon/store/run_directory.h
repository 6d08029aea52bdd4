// The run directories on disk (docs/run-directory.md). What a shim writes there is read here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/supervisor.h"
#include "core/task.h"
#include "daemon/paths.h"
#include "daemon/store/files.h"

namespace ralph::daemon {

// A run as its directory shows it.
struct RunView {
    core::Run run;
    std::string directory;
    bool exists = false;  // the directory itself
    std::optional<core::RunSpec> spec;
    bool shim_alive = false;  // the lock is held
    std::optional<core::ProcessIdentity> shim;
    bool worker_started = false;  // worker.json is there
    std::optional<core::ExitRecord> exit;
    core::Outcome outcome;
};

[[nodiscard]] Result<RunView> view_run(const std::string& directory, core::Run run);

// The end of a run whose shim is gone: its exit record, or lost, or never started. Ends what is left of a
// lost tree first.
[[nodiscard]] core::RunEnd end_of(const RunView& view);

// Everything the decision maker wants to know about a task's runs. A run directory that cannot be understood
// counts as lost, never as ended.
[[nodiscard]] Result<core::RunHistory> read_history(const Paths& paths, const std::string& task_id,
                                                    const std::string& workspace);

// The tasks that have run directories.
[[nodiscard]] Result<std::vector<std::string>> tasks_with_runs(const Paths& paths);

// The block marker that the worker or the integrate step left in the workspace, if it is readable.
[[nodiscard]] std::optional<core::BlockMarker> read_marker(const std::string& workspace);

// Durable writes into a task's folder. All wait for the disk.
[[nodiscard]] Result<void> keep_task(const Paths& paths, const core::Task& task);
[[nodiscard]] Result<core::Task> read_kept_task(const Paths& paths, const std::string& task_id);
[[nodiscard]] Result<void> make_run_directory(const Paths& paths, const core::RunSpec& spec);
[[nodiscard]] Result<void> settle_runs(const Paths& paths, const std::string& task_id, std::uint32_t number);

// What the newest prepare step said that reported a base; empty if none did.
[[nodiscard]] core::Outcome newest_preparation(const Paths& paths, const std::string& task_id);
// Its base.
[[nodiscard]] std::string newest_base_sha(const Paths& paths, const std::string& task_id);

}  // namespace ralph::daemon
