#include "tests/sim/oracle.h"

#include <fmt/format.h>

#include <algorithm>

namespace ralph::sim {

using core::Lifecycle;
using core::StepKind;

namespace {

void demand(bool condition, const std::string& task_id, const char* what) {
    if (!condition) {
        throw Violation{fmt::format("{}: {}", task_id, what)};
    }
}

const core::WorkerRecord* record_of(const core::ParallelState& state, const std::string& task_id) {
    for (const core::WorkerRecord& record : state.workers) {
        if (record.task_id == task_id) {
            return &record;
        }
    }
    return nullptr;
}

bool ended_by_us(const FakeRun& run) {
    return run.status == FakeRun::Status::exited && run.exit.stopped;
}

bool holds_slot(const FakeRun& run) {
    return run.run.step == StepKind::prepare || run.run.step == StepKind::work ||
           run.run.step == StepKind::remediate;
}

// Since the task was selected or retried: all before that is acknowledged.
bool is_integration(const FakeRun& run) {
    return run.run.step == StepKind::integrate && run.status == FakeRun::Status::exited &&
           !run.exit.stopped && !(run.target_is_red && run.exited_with(75)) && !run.exited_with(67) &&
           !run.exited_with(69) && !run.comes_to_no_verdict();
}

std::uint32_t integrations_ended(const FakeTask& task) {
    return static_cast<std::uint32_t>(std::count_if(
        task.runs.begin(), task.runs.end(),
        [&](const FakeRun& run) { return run.run.number > task.acknowledged && is_integration(run); }));
}

// Whether a worker has ended since the task was selected or retried.
bool was_worked_on(const FakeTask& task) {
    return std::any_of(task.runs.begin(), task.runs.end(), [&](const FakeRun& run) {
        return run.run.number > task.acknowledged && run.status == FakeRun::Status::exited &&
               (run.run.step == StepKind::work || run.run.step == StepKind::remediate) &&
               !run.waits_for_account();
    });
}

std::uint32_t remediations_ended(const FakeTask& task) {
    return static_cast<std::uint32_t>(
        std::count_if(task.runs.begin(), task.runs.end(), [&](const FakeRun& run) {
            return run.run.number > task.acknowledged && run.run.step == StepKind::remediate &&
                   run.status == FakeRun::Status::exited && !run.exit.stopped && !run.waits_for_account();
        }));
}

std::uint32_t losses_in_a_row(const FakeTask& task, std::uint32_t after) {
    std::uint32_t losses = 0;
    for (auto run = task.runs.rbegin(); run != task.runs.rend(); ++run) {
        if (run->executed() && run->run.number > std::max(task.acknowledged, after) &&
            run->run.step != StepKind::discard) {
            if (run->status != FakeRun::Status::lost && !run->comes_to_no_verdict()) {
                break;
            }
            ++losses;
        }
    }
    return losses;
}

}  // namespace

void Oracle::on_start(const std::string& task_id, const FakeRun& start, const core::ParallelState& durable,
                      const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(task_id);
    const core::WorkerRecord* const record = record_of(durable, task_id);
    demand(task.live() == nullptr, task.id, "a run starts while another one of the task is alive");
    demand(!in_living_batch(task_id, start), task.id,
           "a run starts while a batch with the task is under way");
    for (const FakeRun& run : task.runs) {
        demand(&run == &start || !run.executed() || run.run.number < start.run.number, task.id,
               "a run number is used again");
        if (run.executed() && run.run.step == StepKind::work && start.run.step == StepKind::work) {
            demand(run.run.attempt < start.run.attempt || circumstances.state_was_lost ||
                       (run.run.attempt == start.run.attempt && run.waits_for_account()),
                   task.id, "RALPH_ATTEMPT does not grow");
        }
    }
    const FakeRun* const before = task.last_executed();
    if (before != nullptr && before->run.step == StepKind::work && before->waits_for_account() &&
        start.run.step == StepKind::work) {
        demand(start.run.attempt == before->run.attempt || circumstances.state_was_lost ||
                   circumstances.outcome_unread,
               task.id, "an attempt was spent on waiting for an account");
    }
    switch (start.run.step) {
        case StepKind::prepare:
        case StepKind::work:
            demand((record != nullptr && record->lifecycle == Lifecycle::running) ||
                       circumstances.state_was_lost,
                   task.id, "prepare or work starts without a durable running record");
            check_slot(task_id, start, circumstances);
            break;
        case StepKind::integrate:
            demand((record != nullptr && record->lifecycle == Lifecycle::integrating) ||
                       circumstances.state_was_lost,
                   task.id, "integrate starts without a durable integrating record");
            check_integration(task_id, durable, circumstances);
            for (const auto& [other, code] : start.batch) {
                check_companion(other, durable, circumstances);
            }
            break;
        case StepKind::remediate:
            demand((record != nullptr && record->lifecycle == Lifecycle::integrating) ||
                       circumstances.state_was_lost,
                   task.id, "remediate starts without a durable integrating record");
            check_slot(task_id, start, circumstances);
            check_remediation(task_id, circumstances);
            break;
        case StepKind::discard:
            demand(
                circumstances.state_was_lost || record == nullptr ||
                    (record->lifecycle != Lifecycle::running && record->lifecycle != Lifecycle::integrating),
                task.id, "the workspace of an active task is discarded");
            break;
    }
    // What a batch has said of it in between is forgotten with the supervisor's memory, or not.
    // A discard is nobody's restart.
    demand(start.run.step == StepKind::discard ||
               losses_in_a_row(task, task.told_after) <= circumstances.max_restarts,
           task.id, "restarted more often than allowed");
    if (start.run.step == StepKind::work) {
        // By somebody else it may land at any moment.
        demand(!task.landed || task.landed_elsewhere, task.id, "a landed task is worked on again");
        demand(task.workspace, task.id, "work starts without a workspace");
        demand(!task.finished || task.nothing, task.id, "finished work is done again");
    }
    if (start.run.step == StepKind::prepare && !circumstances.state_was_lost) {
        demand(!task.finished || task.nothing || circumstances.max_push_attempts == 0, task.id,
               "finished work is thrown away");
    }
}

void Oracle::check_slot(const std::string& task_id, const FakeRun& start,
                        const Circumstances& circumstances) const {
    std::uint32_t live = 0;
    for (const FakeTask& task : model_.tasks()) {
        for (const FakeRun& run : task.runs) {
            if (run.alive() && holds_slot(run)) {
                ++live;
                // With the state, the slot of a run that could not be read is lost, too.
                demand(run.slot != start.slot || circumstances.state_was_lost, task_id,
                       "a slot is used twice");
            }
        }
    }
    demand(start.slot < circumstances.workers || circumstances.state_was_lost, task_id,
           "there is no such slot");
    demand(live < circumstances.workers || circumstances.state_was_lost, task_id,
           "more workers than were asked for");
}

void Oracle::check_integration(const std::string& task_id, const core::ParallelState& durable,
                               const Circumstances& circumstances) const {
    for (const FakeTask& task : model_.tasks()) {
        const core::WorkerRecord* const record = record_of(durable, task.id);
        // Its directory cannot be read, and its record went with the state: nobody can know of it. The lock
        // of the step itself, which is not in this world, keeps it apart.
        const bool is_lost = circumstances.state_was_lost &&
                             (record == nullptr || record->lifecycle != Lifecycle::integrating);
        const FakeRun* const live = task.live();
        demand(live == nullptr || live->run.step != StepKind::integrate || is_lost, task_id,
               "two integrations at once");
    }
    const FakeTask& task = model_.task(task_id);
    demand(task.workspace && task.finished, task.id, "unfinished work is integrated");
    if (!circumstances.state_was_lost) {
        demand(integrations_ended(task) < circumstances.max_push_attempts, task.id,
               "more integrations than were allowed");
    }
}

// Only after an integration that said so, and not more often than it may be.
void Oracle::check_remediation(const std::string& task_id, const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(task_id);
    demand(task.workspace && task.finished, task.id, "unfinished work is fixed");
    const FakeRun* const last = task.last_executed();
    demand(task.told == 66U || (last != nullptr && last->exited_with(66)) ||
               (last != nullptr && last->run.step == StepKind::remediate),
           task.id, "fixed although nobody said that it can be");
    demand(remediations_ended(task) < circumstances.max_remediations || circumstances.state_was_lost, task.id,
           "fixed more often than allowed");
}

// One that is landed by the run of another task.
void Oracle::check_companion(const std::string& task_id, const core::ParallelState& durable,
                             const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(task_id);
    const core::WorkerRecord* const record = record_of(durable, task_id);
    demand((record != nullptr && record->lifecycle == Lifecycle::integrating) || circumstances.state_was_lost,
           task.id, "is in a batch without a durable integrating record");
    demand(task.live() == nullptr, task.id, "is in a batch while a run of it is alive");
    demand(task.workspace && task.finished, task.id, "unfinished work is in a batch");
}

bool Oracle::in_living_batch(const std::string& task_id, const FakeRun& start) const {
    for (const FakeTask& task : model_.tasks()) {
        for (const FakeRun& run : task.runs) {
            const bool names_it = std::any_of(run.batch.begin(), run.batch.end(),
                                              [&](const auto& each) { return each.first == task_id; });
            if (&run != &start && run.alive() && names_it) {
                return true;
            }
        }
    }
    return false;
}

void Oracle::check_completed(const core::WorkerRecord& record, const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(record.task_id);
    if (task.told) {
        demand(task.told == 0U && task.landed, task.id, "completed although its batch did not land it");
        return;
    }
    const FakeRun* const last = task.last_executed();
    demand(last != nullptr && last->status == FakeRun::Status::exited, task.id,
           "completed although the last run has no exit record");
    demand((last->run.step == StepKind::integrate && last->exited_with(0)) ||
               (last->run.step == StepKind::prepare && last->exited_with(10)),
           task.id, "completed although the last run did not land it");
    demand(task.landed, task.id, "completed and not landed");
    demand(record.completed_at.has_value(), task.id, "a completed record without a time");
    demand(!record.last_error || last->says_landed_elsewhere, task.id, "a completed record with an error");
    if (last->says_landed_elsewhere && !circumstances.outcome_unread) {
        demand(record.last_error.value_or("").find("landed by somebody else") == 0, task.id,
               "completed without a word about who has landed it");
    }
}

void Oracle::check_failed(const core::WorkerRecord& record, const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(record.task_id);
    demand(record.completed_at && record.last_error && !record.last_error->empty(), task.id,
           "a failed record that does not say why");
    const FakeRun* const last = task.last_executed();
    if (circumstances.stop_requested) {
        return;
    }
    if (task.cancel_requested) {
        demand(task.live() == nullptr || task.live()->run.step == StepKind::discard ||
                   circumstances.state_was_lost,
               task.id, "cancelled while its run is alive");
        return;
    }
    // A supervisor that starts knows a task's own runs alone: what a batch said between two losses does not
    // part them.
    if (task.told && task.told != 0U && losses_in_a_row(task, 0) > circumstances.max_restarts) {
        return;
    }
    if (task.told) {
        demand(
            task.told != 0U && task.told != 65U && task.told != 66U && task.told != 67U && task.told != 75U,
            task.id, "failed although its batch said otherwise");
        return;
    }
    demand(last != nullptr, task.id, "failed although nothing ran");
    if (last->status == FakeRun::Status::lost || last->comes_to_no_verdict()) {
        demand(losses_in_a_row(task, 0) > circumstances.max_restarts, task.id, "given up too early");
        return;
    }
    demand(last->status == FakeRun::Status::exited, task.id, "failed while its run is alive");
    demand(!ended_by_us(*last), task.id, "failed since it was put back");
    demand(!last->exited_with(0) || last->exit.timed_out || ended_by_us(*last), task.id,
           "failed although the last run succeeded");
    demand(last->run.step != StepKind::integrate ||
               (!last->exited_with(65) && !last->exited_with(66) && !last->exited_with(75)),
           task.id, "failed where it should be blocked, fixed or tried again");
    demand(!last->waits_for_account() || circumstances.outcome_unread, task.id,
           "failed since its account is paused");
    demand(!last->exited_with(69) && !last->exited_with(71), task.id, "failed for what is nobody's failure");
    demand(last->run.step != StepKind::integrate || !last->exited_with(67), task.id,
           "failed where it should be blocked or worked on");
    demand(last->run.step != StepKind::remediate, task.id, "failed where it should be blocked");
    demand(!last->leaves_marker || ended_by_us(*last), task.id, "failed in spite of the block marker");
}

void Oracle::check_blocked(const core::WorkerRecord& record, const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(record.task_id);
    const FakeRun* const last = task.last_executed();
    demand(record.completed_at && record.last_error && !record.last_error->empty(), task.id,
           "a blocked record that does not say why");
    if (task.told) {
        demand(task.told == 65U || task.told == 66U || task.told == 67U || task.told == 75U, task.id,
               "blocked although its batch did not say so");
        demand(task.told != 67U || was_worked_on(task) || circumstances.state_was_lost, task.id,
               "blocked for nothing to land, and nobody worked on it");
        demand(task.told == 65U || task.told == 67U || circumstances.state_was_lost ||
                   circumstances.outcome_unread ||
                   (task.told == 66U && remediations_ended(task) >= circumstances.max_remediations) ||
                   integrations_ended(task) + task.deferred >= circumstances.max_push_attempts,
               task.id, "integrations given up too early in a batch");
        return;
    }
    demand(last != nullptr && last->status == FakeRun::Status::exited, task.id,
           "blocked without an exit record");
    if (last->run.step == StepKind::work) {
        demand(last->leaves_marker || (last->exited_with(0) && circumstances.max_push_attempts == 0), task.id,
               "blocked by its work without a marker");
        return;
    }
    if (last->run.step == StepKind::remediate) {
        demand(!last->waits_for_account() || circumstances.outcome_unread, task.id,
               "blocked since its account is paused");
        demand(!last->exited_with(0) || last->exit.timed_out, task.id, "blocked although it was fixed");
        return;
    }
    demand(last->run.step == StepKind::integrate && (last->exited_with(65) || last->exited_with(66) ||
                                                     last->exited_with(67) || last->exited_with(75)),
           task.id, "blocked without a reason");
    demand(!last->exited_with(67) || was_worked_on(task) || circumstances.state_was_lost, task.id,
           "blocked for nothing to land, and nobody worked on it");
    demand(!last->exited_with(66) || circumstances.state_was_lost || circumstances.outcome_unread ||
               remediations_ended(task) >= circumstances.max_remediations ||
               integrations_ended(task) + task.deferred >= circumstances.max_push_attempts,
           task.id, "blocked although it could be fixed");
    if (last->exited_with(75) && !circumstances.state_was_lost && !circumstances.outcome_unread) {
        demand(integrations_ended(task) + task.deferred >= circumstances.max_push_attempts, task.id,
               "integrations given up too early");
    }
}

void Oracle::check_move(const core::WorkerRecord* from, const core::WorkerRecord& to,
                        const Circumstances& circumstances) const {
    const FakeTask& task = model_.task(to.task_id);
    const bool was_terminal = from == nullptr || (from->lifecycle != Lifecycle::running &&
                                                  from->lifecycle != Lifecycle::integrating);
    if (from != nullptr) {
        demand(from->lifecycle != Lifecycle::completed, task.id, "a completed task moves");
        demand(from->lifecycle != Lifecycle::blocked_push || task.retry_requested ||
                   circumstances.state_was_lost,
               task.id, "a blocked task moves although nobody asked for it");
    }
    const bool is_active = to.lifecycle == Lifecycle::running || to.lifecycle == Lifecycle::integrating;
    if (was_terminal && is_active) {
        demand(task.live() == nullptr || task.live()->run.step == StepKind::discard ||
                   circumstances.state_was_lost,
               task.id, "selected while a run of it is alive");
    }
    switch (to.lifecycle) {
        case Lifecycle::running:
            break;
        case Lifecycle::integrating:
            demand(task.finished, task.id, "integrating although the work is not finished");
            break;
        case Lifecycle::completed:
            check_completed(to, circumstances);
            break;
        case Lifecycle::failed:
            check_failed(to, circumstances);
            break;
        case Lifecycle::blocked_push:
            check_blocked(to, circumstances);
            break;
    }
}

void Oracle::on_saved(const core::ParallelState& before, const core::ParallelState& after,
                      const Circumstances& circumstances) const {
    for (const core::WorkerRecord& record : after.workers) {
        const core::WorkerRecord* const old = record_of(before, record.task_id);
        if (old == nullptr || old->lifecycle != record.lifecycle) {
            check_move(old, record, circumstances);
        } else if (record.lifecycle == Lifecycle::completed) {
            demand(*old == record, record.task_id, "a completed record is changed");
        }
    }
    for (const core::WorkerRecord& record : before.workers) {
        if (record_of(after, record.task_id) == nullptr) {
            const FakeTask& task = model_.task(record.task_id);
            demand(task.live() == nullptr || task.live()->run.step == core::StepKind::discard, record.task_id,
                   "the record of a living run is forgotten");
            demand(record.lifecycle == Lifecycle::completed || !task.workspace, record.task_id,
                   "the record of kept work is forgotten");
        }
    }
}

void Oracle::on_rebuilt(const core::ParallelState& rebuilt, const Circumstances& circumstances) const {
    for (const core::WorkerRecord& record : rebuilt.workers) {
        const FakeTask& task = model_.task(record.task_id);
        const auto attempts = std::count_if(task.runs.begin(), task.runs.end(), is_integration);
        demand(circumstances.outcome_unread || record.push_attempts == attempts, task.id,
               "the doctor counts other attempts to land than there were");
        demand(record.lifecycle != Lifecycle::completed || task.landed, task.id,
               "the doctor takes for completed what has not landed");
        demand(task.live() == nullptr || !record.is_terminal() || task.live()->run.step == StepKind::discard,
               task.id, "the doctor takes for ended what runs");
    }
}

void Oracle::on_acknowledged(const std::string& task_id, std::uint32_t number) const {
    const FakeTask& task = model_.task(task_id);
    demand(number >= task.acknowledged, task.id,
           fmt::format("acknowledged runs become unacknowledged: {} after {}", number, task.acknowledged)
               .c_str());
    for (const FakeRun& run : task.runs) {
        demand(run.run.number > number || !run.alive(), task.id, "a living run is acknowledged");
    }
}

void Oracle::on_runs_removed(const std::string& task_id) const {
    demand(model_.task(task_id).live() == nullptr, task_id,
           "the run directories of a living run are removed");
}

void Oracle::check_model() const {
    for (const FakeTask& task : model_.tasks()) {
        demand(task.landings <= 1, task.id, "landed twice");
        demand(!task.landed || task.landings == 1, task.id, "landed without a landing");
    }
}

// What it was told last is that the target branch does not hold it yet.
bool Oracle::is_unpushed(const FakeTask& task) {
    return !task.runs.empty() && task.runs.back().run.step == StepKind::prepare &&
           task.runs.back().exit.exited_with(75);
}

void Oracle::on_quiet_end(const core::ParallelState& durable, int exit_code, bool limited) const {
    bool some_not_landed = false;
    for (const core::WorkerRecord& record : durable.workers) {
        demand((record.lifecycle != Lifecycle::running && record.lifecycle != Lifecycle::integrating) ||
                   is_unpushed(model_.task(record.task_id)),
               record.task_id, "still active although the session has ended");
        some_not_landed = some_not_landed || record.lifecycle != Lifecycle::completed;
    }
    if (exit_code != (some_not_landed ? 3 : 0)) {
        throw Violation{fmt::format("exit code {} is wrong", exit_code)};
    }
    for (const FakeTask& task : model_.tasks()) {
        // A discard that a crash left without a watcher ends by itself.
        demand(task.live() == nullptr || task.live()->run.step == StepKind::discard, task.id,
               "a run is left alive");
        const core::WorkerRecord* const record = record_of(durable, task.id);
        const bool waits = std::any_of(task.depends_on.begin(), task.depends_on.end(), [&](const auto& id) {
            const core::WorkerRecord* const other = record_of(durable, id);
            return !model_.task(id).done_in_queue &&
                   (other == nullptr || other->lifecycle != Lifecycle::completed);
        });
        demand(limited || task.landed || waits || record != nullptr, task.id, "never selected");
    }
}

}  // namespace ralph::sim
