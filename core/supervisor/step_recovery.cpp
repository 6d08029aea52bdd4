// What a start finds: records whose run directories tell how far their tasks are.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/supervisor/accounts.h"
#include "core/supervisor/event_handler.h"

namespace ralph::core {

Supervisor make_supervisor(SupervisorSettings settings, ParallelState state,
                           std::set<std::string, std::less<>> attempted) {
    Supervisor supervisor;
    supervisor.settings = std::move(settings);
    supervisor.state = std::move(state);
    supervisor.started = static_cast<std::uint32_t>(attempted.size());
    supervisor.attempted = std::move(attempted);
    std::set<std::string_view> seen;
    for (const WorkerRecord& record : supervisor.state.workers) {
        // The first of several records of a task is the one that counts.
        if (seen.insert(record.task_id).second && !record.is_terminal()) {
            ActiveTask task;
            task.task_id = record.task_id;
            task.phase = Phase::recovering;
            supervisor.attempted.insert(record.task_id);
            supervisor.active.push_back(std::move(task));
        }
    }
    return supervisor;
}

// Nothing is under way. Work that was finished before, and is still there, is not done again.
void Handler::resume(ActiveTask& task, const RunHistory& history) {
    WorkerRecord* const record = supervisor_.state.find(task.task_id);
    const bool finished =
        !history.newest && history.acknowledged_step.value_or(record->lifecycle == Lifecycle::integrating
                                                                  ? StepKind::integrate
                                                                  : StepKind::prepare) == StepKind::integrate;
    task.phase = Phase::ready;
    task.counts.restarts = 0;  // those were of a discard, if there were any
    if (finished && history.workspace_exists && supervisor_.settings.max_push_attempts != 0) {
        task.run = Run{StepKind::integrate, history.last_number, std::max(1U, history.work_attempts)};
        task.slot.reset();
        record->mark_integrating();
    } else {
        task.run = Run{StepKind::prepare, history.last_number, history.work_attempts + 1};
        record->mark_running();
    }
}

void Handler::operator()(const event::TaskRecovered& event) {
    const auto discard = find(supervisor_.discards, event.task_id);
    if (discard != supervisor_.discards.end() && discard->phase == Phase::recovering) {
        recover_discard(discard, event.history);
        return;
    }
    const auto task = find(supervisor_.active, event.task_id);
    if (task == supervisor_.active.end() || task->phase != Phase::recovering) {
        return;
    }
    const std::string title = std::exchange(task->title, {});
    const auto place = static_cast<std::ptrdiff_t>(actions_.size());
    recover(task, event.history);
    if (!title.empty()) {  // only its runs tell which attempt this is
        const auto again = find(supervisor_.active, event.task_id);
        CHECK(again != supervisor_.active.end() || event.history.newest);
        const std::uint32_t attempt =
            again != supervisor_.active.end() ? again->run.attempt : event.history.newest->run.attempt;
        actions_.insert(actions_.begin() + place,
                        action::Announce{event.task_id, std::nullopt, Lifecycle::running, attempt, title});
    }
}

void Handler::recover(Tasks::iterator task, const RunHistory& history) {
    task->waits_for = WaitsFor::turn;
    task->start_failures = 0;
    WorkerRecord* const record = supervisor_.state.find(task->task_id);
    CHECK(record != nullptr);
    task->counts = history.counts;
    if (history.runner) {
        task->runner = history.runner;
        task->account = account_of(supervisor_.settings, history.runner);
    }
    task->acknowledged_integrations = history.acknowledged_integrations;
    if (!history.newest || (history.newest->run.step == StepKind::discard && history.newest->end)) {
        resume(*task, history);
        return;
    }
    // The run directories are never behind the state, so the record follows them.
    task->run = history.newest->run;
    task->leads_batch = history.newest->leads_batch;
    const bool is_landing = task->run.step == StepKind::integrate || task->run.step == StepKind::remediate;
    if (is_landing) {
        record->mark_integrating();
        task->slot.reset();
    } else {
        record->mark_running();
    }
    if (!history.newest->end) {
        adopt(*task, history);
    } else if (std::holds_alternative<StartFailed>(*history.newest->end)) {
        // The crash may have come before the number of the attempt was written.
        const std::uint32_t begun = history.work_attempts + (is_landing ? 0 : 1);
        task->run.attempt = std::max(task->run.attempt, begun);
        task->phase = Phase::ready;
    } else {
        end_run(task, *history.newest->end, history.newest->marker, history.newest->outcome, true);
    }
}

// Only what is alive holds on to its slot. What waits gets one when it starts, and all those are known then.
void Handler::adopt(ActiveTask& task, const RunHistory& history) {
    switch (task.run.step) {
        case StepKind::prepare:
        case StepKind::work:
        case StepKind::remediate:
            task.slot = history.newest->slot;
            break;
        case StepKind::integrate:
            break;
        case StepKind::discard:
            task.run.attempt = history.work_attempts + 1;
            break;
    }
    task.phase = Phase::running;
    task.may_have_been_told = true;
    note_try(supervisor_, task);
    actions_.emplace_back(action::AdoptRun{task.task_id, history.newest->run});
    note(false, task.task_id, fmt::format("{} goes on under its shim", to_string(task.run.step)));
    if (supervisor_.mode == Mode::ending) {
        ask_to_end(task);
    }
}

void Handler::recover_discard(Tasks::iterator discard, const RunHistory& history) {
    const bool alive = history.newest && !history.newest->end;
    if (alive && history.newest->run.step != StepKind::discard) {
        note(true, discard->task_id, "its record is terminal, yet a run of it is alive: nothing is removed");
        supervisor_.discards.erase(discard);
    } else if (alive) {
        discard->run = history.newest->run;
        discard->phase = Phase::running;
        actions_.emplace_back(action::AdoptRun{discard->task_id, discard->run});
    } else if (history.workspace_exists) {
        discard->run = Run{StepKind::discard, history.last_number, std::max(1U, history.work_attempts)};
        discard->phase = Phase::ready;
    } else {
        forget_kept(discard->task_id);
        supervisor_.discards.erase(discard);
    }
}

void Handler::operator()(const event::WorkspaceLeft& event) {
    if (find(supervisor_.discards, event.task_id) != supervisor_.discards.end() ||
        find(supervisor_.active, event.task_id) != supervisor_.active.end()) {
        return;
    }
    const bool alive = event.history.newest && !event.history.newest->end;
    ActiveTask discard;
    discard.task_id = event.task_id;
    discard.phase = Phase::recovering;
    const auto place = alive ? supervisor_.discards.begin() : supervisor_.discards.end();
    recover_discard(supervisor_.discards.insert(place, std::move(discard)), event.history);
}

}  // namespace ralph::core
