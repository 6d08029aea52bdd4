#include "daemon/supervisor/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "daemon/store/expiry_notes.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

Result<void> align_branch(core::ParallelState& state, const Paths& paths, const std::string& branch,
                          core::Instant now, std::vector<std::string>& warnings) {
    if (state.target_branch == branch) {
        return {};
    }
    if (state.active_count() == 0) {
        if (!state.target_branch.empty()) {
            warnings.push_back(
                fmt::format("the target branch changes from {} to {}", state.target_branch, branch));
        }
        state.target_branch = branch;
        state.started_at = core::format_rfc3339(now);
        return {};
    }
    const std::string recorded =
        state.target_branch.empty() ? "is missing" : fmt::format("is {}", state.target_branch);
    return Error{
        fmt::format("{}: the recorded target branch {} and does not match the current branch {}, with {} "
                    "tasks in progress",
                    paths.state(), recorded, branch, state.active_count()),
        "check out the recorded branch, or remove that file if you are certain that nothing runs"};
}

// A run that nobody has dealt with, of a task without a record.
core::WorkerRecord record_of(const Settings& settings, const std::string& task_id,
                             const core::RunHistory::Newest& run, core::Instant now) {
    core::WorkerRecord record;
    record.task_id = task_id;
    record.workspace_path = settings.workspace(task_id);
    record.started_at = core::format_rfc3339(now);
    record.lifecycle =
        run.run.step == core::StepKind::integrate ? core::Lifecycle::integrating : core::Lifecycle::running;
    return record;
}

// What cannot be understood may be anything, a living run included: one bad task stops nobody else, and is
// not started either.
void leave_alone(Recovered& recovered, const std::string& task_id, const Error& error) {
    recovered.warnings.push_back(
        fmt::format("{} is left alone in this session: {}; see `ralph doctor`", task_id, error.message));
    recovered.attempted.insert(task_id);
}

Result<void> consult_run_directories(const Settings& settings, Recovered& recovered, core::Instant now) {
    if (auto finished = finish_removing_runs(settings.paths); !finished) {
        recovered.warnings.push_back(finished.error().line());
    }
    TRY_ASSIGN(const auto tasks, tasks_with_runs(settings.paths));
    for (const std::string& task_id : tasks) {
        if (recovered.state.has(task_id)) {
            continue;
        }
        const auto history =
            read_history(settings.paths, task_id, settings.workspace(task_id), OrphanPolicy::keep);
        if (!history) {
            return history.error();
        }
        const bool open =
            history->newest && history->newest->run.step != core::StepKind::discard &&
            !(history->newest->end && std::holds_alternative<core::StartFailed>(*history->newest->end));
        const bool discarding = history->newest && !history->newest->end;
        if (open) {
            recovered.warnings.push_back(
                fmt::format("{} has no record, and a run that was not dealt with: taken up again", task_id));
            recovered.state.upsert(record_of(settings, task_id, *history->newest, now));
        } else if (!discarding) {
            // What is left of a discard step that was lost ends before its run is forgotten.
            if (auto swept =
                    read_history(settings.paths, task_id, settings.workspace(task_id), OrphanPolicy::kill);
                !swept) {
                recovered.warnings.push_back(fmt::format("{} {}", task_id, swept.error().line()));
                continue;
            }
            if (auto removed = remove_runs(settings.paths, task_id); !removed) {
                recovered.warnings.push_back(removed.error().line());
            }
        }
    }
    return {};
}

// A crash between a terminal record and the mark that its runs are dealt with. A failed or blocked record
// with a run that lives (possible when the previous generation of the state had to be used), or of whose tree
// something does not end, is not terminal.
Result<void> acknowledge_terminal(const Settings& settings, Recovered& recovered) {
    for (core::WorkerRecord& record : recovered.state.workers) {
        if (!record.is_terminal()) {
            continue;
        }
        const std::string workspace = settings.workspace(record.task_id);
        const auto history = read_history(settings.paths, record.task_id, workspace, OrphanPolicy::keep);
        if (!history) {
            leave_alone(recovered, record.task_id, history.error());
            continue;
        }
        if (!history->newest) {
            continue;
        }
        bool over = history->newest->end.has_value();
        if (over && std::holds_alternative<core::LostRun>(*history->newest->end)) {
            const auto swept = read_history(settings.paths, record.task_id, workspace, OrphanPolicy::kill);
            over = swept.has_value();
            if (!over) {
                recovered.warnings.push_back(fmt::format("{} {}", record.task_id, swept.error().line()));
            }
        }
        if (over) {
            TRY(acknowledge_runs(settings.paths, record.task_id, history->last_number));
        } else if (history->newest->run.step != core::StepKind::discard &&
                   record.lifecycle != core::Lifecycle::completed) {
            record.mark_running();  // or integrating, as recovering the run will find
        }
    }
    return {};
}

}  // namespace

Result<Recovered> recover_state(const Settings& settings, const SupervisorLock& lock,
                                const std::string& branch, core::Moment now) {
    TRY_ASSIGN(auto loaded, load_state(settings.paths));
    Recovered recovered;
    if (!loaded.warning.empty()) {
        recovered.warnings.push_back(loaded.warning);
    }
    if (loaded.state) {
        recovered.state = std::move(*loaded.state);
    } else {
        recovered.state.started_at = core::format_rfc3339(now.wall);
        recovered.state.target_branch = branch;
    }
    for (const core::WorkerRecord& record : recovered.state.workers) {
        if (!core::is_safe_task_id(record.task_id)) {
            return Error{fmt::format("{}: the task id \"{}\" cannot be part of a path",
                                     settings.paths.state(), record.task_id),
                         "remove that record from the file"};
        }
    }
    TRY(consult_run_directories(settings, recovered, now.wall));
    if (auto aligned = align_branch(recovered.state, settings.paths, branch, now.wall, recovered.warnings);
        !aligned) {
        return aligned.error();
    }
    TRY(acknowledge_terminal(settings, recovered));
    recovered.seemed_expired = load_expiry_notes(settings.paths, Kept::records, now);
    for (const core::WorkerRecord& record : recovered.state.workers) {
        if (const auto task = read_kept_task(settings.paths, record.task_id); task && task->created_at) {
            recovered.created.emplace(record.task_id, *task->created_at);
        }
    }
    if (lock.resumed()) {
        const auto session = core::parse_rfc3339(lock.session_started_at());
        for (const core::WorkerRecord& record : recovered.state.workers) {
            // The beginning of a task that was retried is that of its first selection, maybe in an earlier
            // session.
            const auto started = core::parse_rfc3339(record.started_at);
            const auto ended = core::parse_rfc3339(record.completed_at.value_or(""));
            if (!started || !session || started->instant >= session->instant ||
                (ended && ended->instant >= session->instant)) {
                recovered.attempted.insert(record.task_id);
            }
        }
    }
    return recovered;
}

}  // namespace ralph::daemon
