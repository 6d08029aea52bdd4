#include "core/supervisor/history.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/supervisor/transition.h"

namespace ralph::core {
namespace {

RunFacts facts_of(const RunHistory::Newest& newest) {
    RunFacts facts;
    facts.step = newest.run.step;
    facts.number = newest.run.number;
    facts.began = true;
    facts.leads_batch = newest.leads_batch;
    facts.target_is_red = newest.outcome.target_is_red;
    facts.by_agent = newest.by_agent;
    facts.account_paused = !newest.outcome.paused_account.empty();
    if (newest.end) {
        facts.never_executed = std::holds_alternative<StartFailed>(*newest.end);
        if (const auto* const record = std::get_if<ExitRecord>(&*newest.end)) {
            facts.exit = *record;
        }
    }
    return facts;
}

// The step at which the work stands after this run.
StepKind step_after(const RunFacts& run) {
    return leaves_finished_work(run.step, run.exit ? &*run.exit : nullptr) ? StepKind::integrate : run.step;
}

}  // namespace

bool RunFacts::is_lost() const {
    return exit ? counts_as_lost(step, *exit, leads_batch, by_agent) && !never_executed : began;
}

bool RunFacts::waits_for_account() const {
    return account_paused && exit && exit->exited_with(exit_account_paused) && !exit->stopped &&
           (step == StepKind::work || step == StepKind::remediate);
}

bool RunFacts::was_integration() const {
    return step == StepKind::integrate && exit && !never_executed &&
           counts_as_integration(*exit, target_is_red, leads_batch);
}

void RunCounts::add_end(const RunFacts& run) {
    if (!run.exit || run.never_executed || run.waits_for_account()) {
        return;
    }
    integrations += run.was_integration() ? 1 : 0;
    remediations += run.step == StepKind::remediate && !run.exit->stopped ? 1 : 0;
    worked = worked || run.step == StepKind::work || run.step == StepKind::remediate;
}

RunHistory fold(const std::vector<RunFacts>& runs, std::uint32_t acknowledged) {
    RunHistory history;
    // Numbers go on from what was acknowledged, too: the directory of a start that failed may never have
    // become durable, and a new run must not bear a number that counts as dealt with.
    history.last_number = acknowledged;
    StepKind step_before = StepKind::prepare;
    for (const RunFacts& run : runs) {
        history.last_number = std::max(history.last_number, run.number);
        history.work_attempts +=
            run.step == StepKind::work && run.began && !run.never_executed && !run.waits_for_account() ? 1
                                                                                                       : 0;
        if (run.number <= acknowledged) {
            history.acknowledged_step = step_after(run);
            history.acknowledged_integrations += run.was_integration() ? 1 : 0;
            continue;
        }
        RunCounts& counts = history.counts;
        // Lost runs in a row of one step; what never began changes nothing.
        const bool is_verdict = run.exit && !run.is_lost() && !run.never_executed;
        if (run.step != std::exchange(step_before, run.step) || is_verdict) {
            counts.restarts = 0;
        }
        if (&run == &runs.back()) {
            RunCounts of_newest;
            of_newest.add_end(run);
            counts.worked = counts.worked || of_newest.worked;
        } else {
            counts.add_end(run);
            counts.restarts += run.is_lost() ? 1 : 0;
        }
    }
    return history;
}

RunHistory acknowledged(RunHistory history) {
    if (history.newest && history.newest->end) {
        const RunFacts newest = facts_of(*history.newest);
        history.acknowledged_step = step_after(newest);
        history.acknowledged_integrations += history.counts.integrations + (newest.was_integration() ? 1 : 0);
        history.counts = {};
        history.newest.reset();
    }
    return history;
}

std::uint32_t push_attempts(const std::vector<RunFacts>& runs) {
    return std::accumulate(runs.begin(), runs.end(), 0U, [](std::uint32_t sum, const RunFacts& run) {
        return sum + (run.was_integration() ? 1U : 0U);
    });
}

}  // namespace ralph::core
