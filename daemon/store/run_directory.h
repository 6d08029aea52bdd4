// The run directories on disk (docs/run-directory.md). What a shim writes there is read here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/queue/task.h"
#include "core/supervisor/supervisor.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

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
    std::optional<core::ProcessIdentity> worker;
    std::string cgroup;  // that the step has, or was about to get; empty if none, or of another boot
    std::optional<core::ExitRecord> exit;
    core::Outcome outcome;
};

[[nodiscard]] Result<RunView> view_run(const std::string& directory, core::Run run);

// Whether a step has been there but nothing of it was executed, for a reason that passes: our own program was
// missing, as in an upgrade, or the kernel had no room to execute any. Such a run counts as never begun.
[[nodiscard]] bool was_never_executed(const RunView& view);

enum class OrphanPolicy { kill, keep };

// The end of a run whose shim is gone: its exit record, or lost, or never started. With OrphanPolicy::kill
// what is left of a lost tree is ended first, which may take seconds; while something of it does not end,
// that is an error, and the run is not over. With OrphanPolicy::keep nothing is signalled, and nobody may
// start the step again on the strength of the answer.
[[nodiscard]] Result<core::RunEnd> end_of(const RunView& view, OrphanPolicy orphan_policy);

// What was asked for in a run directory; nothing if that is not there.
[[nodiscard]] Result<std::optional<core::RunSpec>> read_spec(const std::string& directory);

// All runs of a task, and up to which number they were dealt with. A run directory that cannot be read or
// understood is an error, never an end.
struct TaskRuns {
    std::vector<RunView> views;  // by number
    std::uint32_t acknowledged = 0;

    [[nodiscard]] std::vector<core::RunFacts> facts() const;
};
[[nodiscard]] Result<TaskRuns> read_runs(const Paths& paths, const std::string& task_id);

// Everything the decision maker wants to know about a task's runs.
[[nodiscard]] Result<core::RunHistory> read_history(const Paths& paths, const std::string& task_id,
                                                    const std::string& workspace, OrphanPolicy orphan_policy);

// The task's last run; nothing if there is none.
[[nodiscard]] Result<std::optional<RunView>> view_newest_run(const Paths& paths, const std::string& task_id);

// The tasks that have run directories.
[[nodiscard]] Result<std::vector<std::string>> tasks_with_runs(const Paths& paths);

// Durable writes into a task's folder. All wait for the disk.
[[nodiscard]] Result<void> keep_task(const Paths& paths, const core::Task& task);
[[nodiscard]] Result<core::Task> read_kept_task(const Paths& paths, const std::string& task_id);
[[nodiscard]] Result<void> make_run_directory(const Paths& paths, const core::RunSpec& spec);
[[nodiscard]] Result<void> acknowledge_runs(const Paths& paths, const std::string& task_id,
                                            std::uint32_t number);

// Removes all run directories of a task, whose runs must be over: out of sight at once, so that no crash
// leaves a part of them, which would tell another story.
[[nodiscard]] Result<void> remove_runs(const Paths& paths, const std::string& task_id);
// What a crash kept remove_runs from finishing.
[[nodiscard]] Result<void> finish_removing_runs(const Paths& paths);

// What the newest prepare step said that reported a base; empty if none did.
[[nodiscard]] Result<core::Outcome> newest_preparation(const Paths& paths, const std::string& task_id);
// The commit at which the work began that the newest preparation goes on with: that of the first of the
// preparations that went on from each other. Empty if it is not known.
[[nodiscard]] Result<std::string> beginning_of_work(const Paths& paths, const std::string& task_id);

}  // namespace ralph::daemon
