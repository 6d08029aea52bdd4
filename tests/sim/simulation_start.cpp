// What the fake runtime does at every start: reads what is durable, and tells the new supervisor.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/simulation.h"

namespace ralph::sim {

using core::Lifecycle;

// What the runtime owes at every start.
void Simulation::start_supervisor(bool new_session) {
    attempted_.clear();
    if (new_session) {
        session_started_at_ = core::format_rfc3339(wall_clock());
    } else {
        for (const core::WorkerRecord& each : durable_.workers) {
            if (each.started_at >= session_started_at_) {
                attempted_.insert(each.task_id);
            }
        }
    }
    if (random_.chance(10)) {
        settings_.workers = 1 + random_.below(4);
    }
    record(fmt::format("START workers={} new_session={}", settings_.workers, new_session));
    messages_.clear();
    wake_.reset();
    finished_.reset();
    for (FakeTask& task : world_.tasks()) {
        for (FakeRun& run : task.runs) {
            run.watched = false;
        }
    }
    circumstances_.workers = settings_.workers;
    circumstances_.max_push_attempts = settings_.max_push_attempts;
    circumstances_.max_restarts = settings_.max_restarts;
    circumstances_.stop_requested = false;
    const core::ParallelState found = consult_run_directories();
    supervisor_ = core::make_supervisor(settings_, found, attempted_);
    for (const core::WorkerRecord& each : found.workers) {
        recover_one(each);
    }
    for (const FakeTask& task : world_.tasks()) {
        if (task.retry_request) {
            post(task.id, core::event::RetryRequested{task.id, world_.history(task)});
        }
    }
    post_queue(false);
}

// A run that is alive, or that nobody has dealt with, gives its task its record back; other runs without a
// record are removed.
core::ParallelState Simulation::consult_run_directories() {
    core::ParallelState found = durable_;
    for (FakeTask& task : world_.tasks()) {
        core::WorkerRecord* const old = found.find(task.id);
        if (old != nullptr && is_active(*old)) {
            continue;
        }
        const core::RunHistory history = world_.history(task);
        const bool alive = history.newest && !history.newest->end;
        const bool ended =
            history.newest && !alive && !std::holds_alternative<core::UnstartedRun>(*history.newest->end);
        const bool discards = history.newest && history.newest->run.step == core::StepKind::discard;
        if (!discards && (alive || (ended && old == nullptr))) {
            core::WorkerRecord again;
            again.task_id = task.id;
            again.started_at = core::format_rfc3339(wall_clock());
            again.lifecycle = history.newest->run.step == core::StepKind::integrate ? Lifecycle::integrating
                                                                                    : Lifecycle::running;
            found.upsert(std::move(again));
        } else if (!alive && old == nullptr) {
            task.runs.clear();
            task.settled = 0;
        }
    }
    return found;
}

void Simulation::recover_one(const core::WorkerRecord& each) {
    FakeTask& task = world_.task(each.task_id);
    if (is_active(each)) {
        post(task.id, core::event::TaskRecovered{task.id, world_.history(task)});
        return;
    }
    // The end was applied, and the crash came before it was marked as settled.
    if (!task.runs.empty() && !task.runs.back().alive()) {
        task.settled = task.runs.back().run.number;
    }
    if (each.lifecycle == Lifecycle::completed && task.workspace) {
        post("", core::event::WorkspaceLeft{task.id, world_.history(task)});
    }
}

}  // namespace ralph::sim
