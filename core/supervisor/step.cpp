// The first half of the decision: what an event means for the tasks it concerns. The second half, what can
// start now, is in schedule.cpp.
#include "core/supervisor/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/backoff.h"
#include "core/base/check.h"
#include "core/supervisor/event_handler.h"
#include "core/supervisor/retention.h"
#include "core/supervisor/reused_ids.h"
#include "core/supervisor/schedule.h"

namespace ralph::core {
namespace {

std::string failure_text(const ExitRecord& record, StepKind step, const std::optional<BlockMarker>& marker,
                         const Outcome& outcome) {
    if (marker && !marker->reason.empty()) {
        return marker->reason;
    }
    if (!outcome.summary.empty()) {
        return outcome.summary;
    }
    return fmt::format("{} {}", to_string(step), describe(record));
}

}  // namespace

// The step is over and the task stays active: what comes next?
void Handler::go_on(ActiveTask& task, TaskEvent what) {
    task.phase = Phase::ready;
    task.not_before = now_;
    task.start_failures = 0;
    task.waits_for = WaitsFor::turn;
    const Transition& row = transition_of(what);
    task.run.step = row.next.value_or(task.run.step);
    task.run.attempt += row.is_new_attempt ? 1 : 0;
    if (row.is_progress) {
        task.counts.restarts = 0;
    }
    if (row.frees_slot) {
        task.slot.reset();
    }
    if (what == TaskEvent::integrate_deferred) {
        task.not_before = now_ + backoff_after(task.counts.integrations, supervisor_.settings.push_backoff);
    }
    if (what == TaskEvent::step_lost) {
        ++task.counts.restarts;
        task.run.attempt += task.run.step == StepKind::work ? 1 : 0;
    }
}

// The task has a terminal record: it is active no longer.
void Handler::retire(Tasks::iterator task, Lifecycle lifecycle) {
    actions_.emplace_back(action::AcknowledgeRuns{task->task_id, task->run.number});
    if (lifecycle == Lifecycle::completed) {
        supervisor_.queue_fresh = false;
        ActiveTask discard;
        discard.task_id = task->task_id;
        discard.run = Run{StepKind::discard, task->run.number, task->run.attempt};
        supervisor_.discards.push_back(std::move(discard));
    }
    supervisor_.active.erase(task);
}

void Handler::apply(Tasks::iterator task, TaskEvent what, const std::string& detail,
                    const std::optional<ExitRecord>& end) {
    WorkerRecord* const record = supervisor_.state.find(task->task_id);
    CHECK(record != nullptr);
    const Lifecycle from = record->lifecycle;
    const auto next = transition(from, what);
    if (!next) {
        task->phase = Phase::ready;
        task->counts.restarts = 0;
        if (what != TaskEvent::interrupted) {
            note(true, task->task_id,
                 fmt::format("{} is ignored while {}", to_string(what), to_string(from)));
        }
        return;
    }
    switch (*next) {
        case Lifecycle::running:
            if (from != Lifecycle::running) {
                record->mark_running();
            }
            break;
        case Lifecycle::integrating:
            record->mark_integrating();
            break;
        case Lifecycle::completed:
            record->mark_completed(wall_);
            break;
        case Lifecycle::failed:
            record->mark_failed(wall_, detail);
            break;
        case Lifecycle::blocked_push:
            record->mark_blocked_push(wall_, detail);
            break;
    }
    if (what == TaskEvent::integrate_fixable) {
        record->last_error = detail;  // why it is not landed, for as long as that is so
    }
    if (*next != from || what == TaskEvent::integrate_deferred || what == TaskEvent::integrate_fixable) {
        actions_.emplace_back(
            action::Announce{task->task_id, from, *next, task->run.attempt, detail, task->run.step, end});
    }
    if (is_terminal(*next)) {
        retire(task, *next);
        return;
    }
    go_on(*task, what);
    if (what == TaskEvent::work_succeeded && supervisor_.settings.max_push_attempts == 0) {
        apply(task, TaskEvent::integrate_exhausted, "parallel.max_push_attempts is 0: nothing is landed");
    }
}

void Handler::end_lost(Tasks::iterator task, const LostRun& lost) {
    const bool again = task->counts.restarts < supervisor_.settings.max_restarts;
    const std::string detail =
        fmt::format("the outcome of {} is lost: {}", to_string(task->run.step), lost.reason);
    note(true, task->task_id,
         again ? detail + "; running it again"
               : fmt::format("{}; restarted {} times, giving up", detail, task->counts.restarts));
    apply(task, again ? TaskEvent::step_lost : TaskEvent::restarts_exhausted, detail);
}

// The last try is the task's alone, lest one whose workspace is the reason takes others with it.
void Handler::end_batch_lost(Tasks::iterator task, const LostRun& lost) {
    supervisor_.lands_alone =
        task->leads_batch && task->counts.restarts + 1 >= supervisor_.settings.max_restarts;
    end_lost(task, lost);
}

// It was ended so that the supervisor could end, and for nothing that it did.
void Handler::end_stopped(ActiveTask& task) {
    task.phase = Phase::ready;
    task.not_before = now_;
    task.start_failures = 0;
    task.counts.restarts = 0;  // as whoever reads its runs counts them
    if (supervisor_.cancels.count(task.task_id) == 0) {
        note(false, task.task_id,
             fmt::format(
                 "{} was ended{}; {}", to_string(task.run.step), task.put_back ? "" : " with the supervisor",
                 supervisor_.mode == Mode::ending ? "the next start runs it again" : "it runs again"));
    }
    // What a worker leaves when it is told to end is not the next one's; an agent goes on with its session.
    if (task.run.step == StepKind::work) {
        task.run.step = task.account.empty() ? StepKind::prepare : StepKind::work;
        ++task.run.attempt;
    }
}

// `resumed`: the end was found by recovery, so that nobody has been told of it.
void Handler::end_run(Tasks::iterator task, const RunEnd& end, const std::optional<BlockMarker>& marker,
                      const Outcome& outcome, bool resumed) {
    end_try(*task);
    if (task->run.step == StepKind::discard) {
        // Left from the task's earlier life; whatever came of it, the work begins anew.
        task->run.step = StepKind::prepare;
        task->phase = Phase::ready;
        task->counts.restarts = 0;
        return;
    }
    if (const auto* const lost = std::get_if<LostRun>(&end)) {
        end_outage_by(task->run.step);
        end_batch_lost(task, *lost);
        return;
    }
    if (const auto* const start_failed = std::get_if<StartFailed>(&end)) {
        end_start_failed(*task, *start_failed);
        return;
    }
    const auto& record = std::get<ExitRecord>(end);
    supervisor_.lands_alone = task->run.step != StepKind::integrate && supervisor_.lands_alone;
    if (!outcome.note.empty()) {
        note(true, task->task_id, outcome.note);
    }
    if (waits(*task, record, outcome, resumed)) {
        return;
    }
    task->waits_for = WaitsFor::turn;
    if ((resumed || supervisor_.resumes || task->put_back || task->may_have_been_told ||
         supervisor_.cancels.count(task->task_id) != 0) &&
        classify(task->run.step, record, {}) == TaskEvent::interrupted) {
        end_stopped(*task);
        return;
    }
    conclude(task, record, marker, outcome);
}

void Handler::count_end(ActiveTask& task, const ExitRecord& record, const Outcome& outcome) {
    RunFacts run;
    run.step = task.run.step;
    run.began = true;
    run.target_is_red = outcome.target_is_red;
    run.account_paused = !outcome.paused_account.empty();
    run.exit = record;
    task.counts.add_end(run);
    if (run.was_integration()) {
        // Set, not counted up: applying the same end again after a crash changes nothing.
        WorkerRecord* const worker = supervisor_.state.find(task.task_id);
        worker->push_attempts =
            std::max(worker->push_attempts, task.acknowledged_integrations + task.counts.integrations);
    }
}

// The step came to a verdict: which one, and what follows.
void Handler::conclude(Tasks::iterator task, const ExitRecord& record,
                       const std::optional<BlockMarker>& marker, const Outcome& outcome) {
    const StepKind step = task->run.step;
    const std::string task_id = task->task_id;
    count_end(*task, record, outcome);
    Standing standing;
    standing.blocked = marker.has_value();
    standing.attempts_left = task->counts.integrations < supervisor_.settings.max_push_attempts;
    standing.remediations_left =
        standing.attempts_left && task->counts.remediations < supervisor_.settings.max_remediations;
    standing.worked = task->counts.worked;
    TaskEvent what = classify(step, record, standing);
    if (what == TaskEvent::integrate_exhausted && !outcome.landed_sha.empty()) {
        what = TaskEvent::integrate_succeeded;  // only what comes after the landing was to be tried again
    }
    const bool succeeded = what == TaskEvent::prepare_succeeded || what == TaskEvent::prepare_found_landed ||
                           what == TaskEvent::work_succeeded || what == TaskEvent::integrate_succeeded ||
                           what == TaskEvent::remediate_succeeded;
    std::string detail = succeeded ? outcome.summary : failure_text(record, step, marker, outcome);
    if (!outcome.landed_by.empty() &&
        (what == TaskEvent::prepare_found_landed || what == TaskEvent::integrate_succeeded)) {
        detail = landed_by_text(outcome.landed_by);
    }
    if (what == TaskEvent::remediate_failed) {
        const WorkerRecord* const worker = supervisor_.state.find(task->task_id);
        detail += "; before that: " + worker->last_error.value_or("it could not be landed");
    }
    apply(task, what, detail, record);
    if (WorkerRecord* const landed = supervisor_.state.find(task_id);
        landed->lifecycle == Lifecycle::completed && !outcome.landed_by.empty()) {
        landed->last_error = detail;  // not an error, but what a completed record has no other place for
    }
}

// What a batch's run says of the others. Who is not in the merge queue any more, or was never told of, is
// left as it is: it integrates again.
void Handler::end_batch(const Outcome& outcome, Instant leader_waits_until) {
    for (const BatchEnd& end : outcome.batch) {
        const auto task = find(supervisor_.active, end.task_id);
        if (task == supervisor_.active.end() || task->run.step != StepKind::integrate ||
            task->phase != Phase::ready) {
            continue;
        }
        ExitRecord record;
        record.value = end.code;
        Outcome own;
        own.summary = end.summary;
        own.note = end.note;
        own.landed_sha = end.landed_sha;
        own.landed_by = end.landed_by;
        own.target_is_red = outcome.target_is_red;
        end_run(task, record, {}, own, false);
        const auto again = find(supervisor_.active, end.task_id);
        if (again != supervisor_.active.end()) {  // so that they meet again
            again->not_before = std::max(again->not_before, leader_waits_until);
        }
    }
}

// The record of failed or blocked work goes when nothing of the work is left to keep.
void Handler::forget_kept(std::string_view task_id) {
    const WorkerRecord* const record = supervisor_.state.find(task_id);
    if (record != nullptr && record->is_terminal() && record->lifecycle != Lifecycle::completed) {
        supervisor_.state.remove(task_id);
    }
}

void Handler::end_discard(Tasks::iterator task, const RunEnd& end, const Outcome& outcome) {
    if (const auto* const start_failed = std::get_if<StartFailed>(&end)) {
        end_start_failed(*task, *start_failed);
        return;
    }
    const auto* const lost = std::get_if<LostRun>(&end);
    if (lost != nullptr && task->counts.restarts < supervisor_.settings.max_restarts) {
        ++task->counts.restarts;
        task->phase = Phase::ready;
        task->not_before = now_;
        note(true, task->task_id,
             fmt::format("the outcome of discard is lost: {}; running it again", lost->reason));
        return;
    }
    const auto* const record = std::get_if<ExitRecord>(&end);
    if (record == nullptr || !record->exited_with(0) || record->stopped || record->timed_out) {
        const std::string why =
            record == nullptr ? "its outcome is lost" : failure_text(*record, StepKind::discard, {}, outcome);
        note(true, task->task_id,
             fmt::format("the workspace could not be removed: {}; the next start tries again", why));
    } else {
        forget_kept(task->task_id);
    }
    if (!outcome.note.empty()) {
        note(true, task->task_id, outcome.note);
    }
    actions_.emplace_back(action::AcknowledgeRuns{task->task_id, task->run.number});
    supervisor_.discards.erase(task);
}

void Handler::ask_to_end(ActiveTask& task) {
    if (task.phase == Phase::running) {
        task.may_have_been_told = false;
        actions_.emplace_back(action::EndRun{task.task_id, task.run});
    }
}

void Handler::operator()(const event::QueueLoaded& event) {
    const bool first = supervisor_.queue == nullptr;
    supervisor_.queue = event.snapshot;
    if (std::exchange(supervisor_.queue_fault, std::nullopt)) {
        note(false, "", "the queue can be read again");
    }
    if (event.requested || first) {
        supervisor_.queue_fresh = true;
        supervisor_.queue_requested = false;
    }
    withdraw_unpushed();
    prune(supervisor_, {now_, wall_}, actions_);
}

void Handler::operator()(const event::QueueInvalid& event) {
    if (supervisor_.queue_fault != event.reason) {
        note(true, "", fmt::format("no new task starts until the queue is fixed: {}", event.reason));
    }
    supervisor_.queue_fault = event.reason;
    supervisor_.queue_requested = supervisor_.queue_requested && !event.requested;
}

void Handler::operator()(const event::RunStarted& event) {
    for (Tasks* const tasks : {&supervisor_.active, &supervisor_.discards}) {
        const auto task = find(*tasks, event.task_id);
        if (task == tasks->end() || task->phase != Phase::starting || task->run.number != event.number) {
            continue;
        }
        task->phase = Phase::running;
        if (supervisor_.mode == Mode::ending) {
            ask_to_end(*task);
        }
    }
}

void Handler::operator()(const event::RunEnded& event) {
    const auto is_this = [&](const ActiveTask& task) {
        return task.task_id == event.task_id && task.run.number == event.number &&
               (task.phase == Phase::starting || task.phase == Phase::running);
    };
    if (const auto task = std::find_if(supervisor_.active.begin(), supervisor_.active.end(), is_this);
        task != supervisor_.active.end()) {
        const bool is_integration = task->run.step == StepKind::integrate;
        end_run(task, event.end, event.marker, event.outcome, false);
        if (is_integration && std::holds_alternative<ExitRecord>(event.end)) {
            const auto leader = find(supervisor_.active, event.task_id);
            end_batch(event.outcome, leader == supervisor_.active.end() ? now_ : leader->not_before);
        }
    } else if (const auto discard =
                   std::find_if(supervisor_.discards.begin(), supervisor_.discards.end(), is_this);
               discard != supervisor_.discards.end()) {
        end_discard(discard, event.end, event.outcome);
    }
}

// Says why a retry cannot be, if so, and takes the request away.
bool Handler::refuses_retry(const std::string& task_id) {
    const WorkerRecord* const record = supervisor_.state.find(task_id);
    const bool discarding = find(supervisor_.discards, task_id) != supervisor_.discards.end();
    const bool possible =
        record != nullptr && !discarding && transition(record->lifecycle, TaskEvent::retry_requested);
    if (possible && !is_reused(supervisor_, task_id)) {
        return false;
    }
    actions_.emplace_back(action::ForgetRetryRequest{task_id});
    note(true, task_id,
         possible ? "the queue holds another task under this id, created at another time: the earlier one "
                    "cannot be retried"
         : record == nullptr ? "there is no record to retry"
         : discarding        ? "its work was kept long enough and is being removed: it cannot be retried"
                      : fmt::format("a task that is {} cannot be retried", to_string(record->lifecycle)));
    return true;
}

void Handler::operator()(const event::RetryRequested& event) {
    const WorkerRecord* const record = supervisor_.state.find(event.task_id);
    if (event.at_start && record != nullptr && !record->is_terminal()) {
        // It was answered, by a predecessor that was killed before it could take the request away.
        actions_.emplace_back(action::ForgetRetryRequest{event.task_id});
        return;
    }
    if (supervisor_.retries.count(event.task_id) != 0) {
        return;
    }
    if (supervisor_.mode == Mode::running && refuses_retry(event.task_id)) {
        return;
    }
    supervisor_.retries.insert(event.task_id);
    if (supervisor_.mode == Mode::running) {
        actions_.emplace_back(action::ReadRetryHistory{event.task_id});
    } else {
        note(false, event.task_id, "no new task starts now; the retry waits for the next start");
    }
}

void Handler::operator()(const event::RetryHistoryRead& event) {
    if (supervisor_.mode != Mode::running) {
        note(false, event.task_id, "no new task starts now; the retry waits for the next start");
        return;
    }
    supervisor_.retries.erase(event.task_id);
    if (refuses_retry(event.task_id)) {
        return;
    }
    WorkerRecord* const record = supervisor_.state.find(event.task_id);
    actions_.emplace_back(action::ForgetRetryRequest{event.task_id});
    const Lifecycle before = record->lifecycle;
    const auto place = static_cast<std::ptrdiff_t>(actions_.size());
    record->mark_running();
    ActiveTask task;
    task.task_id = event.task_id;
    task.phase = Phase::recovering;
    supervisor_.attempted.insert(event.task_id);
    supervisor_.active.push_back(std::move(task));
    (*this)(event::TaskRecovered{event.task_id, acknowledged(event.history)});
    actions_.insert(
        actions_.begin() + place,
        action::Announce{event.task_id, before, Lifecycle::running,
                         find(supervisor_.active, event.task_id)->run.attempt, "retry requested"});
}

void Handler::operator()(const event::RunsForgotten& event) {
    supervisor_.forgetting.erase(event.task_id);
}

void Handler::operator()(const event::TimePassed&) {
    if (!supervisor_.seemed_expired.empty()) {
        prune(supervisor_, {now_, wall_}, actions_);
    }
}

std::vector<Action> step(Supervisor& supervisor, const Event& event, Instant now) {
    return step(supervisor, event, Moment{now, now});
}

std::vector<Action> step(Supervisor& supervisor, const Event& event, Moment now) {
    std::vector<Action> actions;
    if (supervisor.finished) {
        return actions;
    }
    Handler handler(supervisor, now, actions);
    supervisor.paused = is_paused(supervisor.steering, now.wall);
    std::visit(handler, event);
    handler.cancel_asked();
    handler.end_if_overdue();
    if (supervisor.mode == Mode::ending) {
        handler.interrupt_waiting();
    }
    schedule(supervisor, now, actions);
    return actions;
}

}  // namespace ralph::core
