#include "daemon/doctor/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "core/supervisor/transition.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

using core::Lifecycle;
using core::StepKind;

// What a run of another task has said last of a task of its batch.
struct BatchReport {
    core::BatchEnd end;
    core::Instant at;
    std::string ended_at;
};
using BatchReports = std::map<std::string, BatchReport>;

void note_batch_reports(const TaskRuns& runs, BatchReports& reports) {
    for (const RunView& view : runs.views) {
        const auto at = core::parse_rfc3339(view.exit ? view.exit->ended_at : std::string{});
        for (const core::BatchEnd& end : view.outcome.batch) {
            const auto known = reports.find(end.task_id);
            if (at && (known == reports.end() || known->second.at < at->instant)) {
                reports.insert_or_assign(end.task_id, BatchReport{end, at->instant, view.exit->ended_at});
            }
        }
    }
}

// Finished work was dealt with by a run of another task, of its batch: as that has said. If nothing of it can
// be found, the target tells the next start.
void end_as_batch(core::WorkerRecord& record, const RunView& last, const BatchReports& reports) {
    const auto report = reports.find(record.task_id);
    const auto worked = core::parse_rfc3339(last.exit ? last.exit->ended_at : std::string{});
    record.lifecycle = Lifecycle::integrating;
    if (report == reports.end() || !worked || report->second.at < worked->instant) {
        return;
    }
    core::ExitRecord end;
    end.value = report->second.end.code;
    const auto next = core::transition(Lifecycle::integrating, core::classify(StepKind::integrate, end, {}));
    if (next) {
        record.lifecycle = *next;
        record.completed_at = report->second.ended_at;
    }
    if (record.lifecycle != Lifecycle::completed) {
        record.last_error = report->second.end.summary;
    } else if (!report->second.end.landed_by.empty()) {
        record.last_error = core::landed_by_text(report->second.end.landed_by);
    }
}

// How a task whose runs were all dealt with has ended: as the last one that is not the removal of its
// workspace.
void end_as_last_run(const Paths& paths, core::WorkerRecord& record, const TaskRuns& runs,
                     const BatchReports& reports) {
    const auto last = std::find_if(runs.views.rbegin(), runs.views.rend(),
                                   [](const RunView& view) { return view.run.step != StepKind::discard; });
    if (last != runs.views.rend() &&
        core::leaves_finished_work(last->run.step, last->exit ? &*last->exit : nullptr)) {
        end_as_batch(record, *last, reports);
        return;
    }
    record.lifecycle = Lifecycle::failed;
    if (last == runs.views.rend() || !last->exit) {
        record.last_error = "the outcome of its last run is lost";
        return;
    }
    const auto marker = last->run.step == StepKind::work ? read_marker(paths.in(record.workspace_path))
                                                         : Result<std::optional<core::BlockMarker>>{};
    core::Standing standing;
    standing.blocked = marker && marker->has_value();
    const auto next =
        core::transition(last->run.step == StepKind::integrate ? Lifecycle::integrating : Lifecycle::running,
                         core::classify(last->run.step, *last->exit, standing));
    if (next && core::is_terminal(*next)) {
        record.lifecycle = *next;
    }
    if (core::parse_rfc3339(last->exit->ended_at)) {
        record.completed_at = last->exit->ended_at;
    }
    if (record.lifecycle == Lifecycle::completed) {
        if (!last->outcome.landed_by.empty()) {
            record.last_error = core::landed_by_text(last->outcome.landed_by);
        }
    } else {
        record.last_error = !last->outcome.summary.empty()
                                ? last->outcome.summary
                                : fmt::format("{} {}", to_string(last->run.step), describe(*last->exit));
    }
}

std::optional<core::WorkerRecord> record_from(const Settings& settings, const std::string& task_id,
                                              const TaskRuns& runs, const BatchReports& reports,
                                              core::Instant now) {
    if (runs.views.empty()) {
        return std::nullopt;
    }
    core::WorkerRecord record;
    record.task_id = task_id;
    record.workspace_path = settings.workspace(task_id);
    record.push_attempts = core::push_attempts(runs.facts());
    const RunView& first = runs.views.front();
    record.started_at = first.spec && core::parse_rfc3339(first.spec->created_at) ? first.spec->created_at
                                                                                  : core::format_rfc3339(now);
    const RunView& last = runs.views.back();
    if (last.run.number > runs.acknowledged && last.run.step != StepKind::discard) {
        const bool is_landing = last.run.step == StepKind::integrate || last.run.step == StepKind::remediate;
        record.lifecycle = is_landing ? Lifecycle::integrating : Lifecycle::running;
    } else {
        end_as_last_run(settings.paths, record, runs, reports);
    }
    return record;
}

}  // namespace

Result<core::ParallelState> rebuild_state(const Settings& settings, const std::string& branch,
                                          core::Instant now) {
    TRY_ASSIGN(const auto tasks, tasks_with_runs(settings.paths));
    core::ParallelState state;
    state.started_at = core::format_rfc3339(now);
    state.target_branch = branch;
    std::map<std::string, TaskRuns> all;
    BatchReports reports;
    for (const std::string& task_id : tasks) {
        TRY_ASSIGN(auto runs, read_runs(settings.paths, task_id));
        note_batch_reports(runs, reports);
        all.emplace(task_id, std::move(runs));
    }
    for (const auto& [task_id, runs] : all) {
        if (auto record = record_from(settings, task_id, runs, reports, now)) {
            state.upsert(std::move(*record));
        }
    }
    return state;
}

}  // namespace ralph::daemon
