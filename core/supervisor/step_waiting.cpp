// What waits: ends of runs that say that the time has not come, and that count for nothing.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/backoff.h"
#include "core/supervisor/admission.h"
#include "core/supervisor/event_handler.h"
#include "core/supervisor/reused_ids.h"
#include "core/supervisor/schedule.h"

namespace ralph::core {
namespace {

constexpr Milliseconds first_look_pause{1'000};
constexpr Milliseconds longest_look_pause{60'000};
constexpr Milliseconds shortest_workspace_pause{1'000};
// Between tries while this supervisor does not know of the pause, or another one's task is trying.
constexpr Milliseconds shortest_account_pause{5'000};
constexpr Milliseconds longest_account_pause{60'000};
// Looking costs a clone, and whoever sees that the branch has moved says so (event::TargetMoved).
constexpr Milliseconds shortest_branch_pause{5'000};
constexpr Milliseconds longest_branch_pause{300'000};

}  // namespace

// Whether the end of a run means that the task waits, and what for.
bool Handler::waits(ActiveTask& task, const ExitRecord& record, const Outcome& outcome, bool resumed) {
    const StepKind step = task.run.step;
    const std::string why =
        outcome.summary.empty() ? fmt::format("{} {}", to_string(step), describe(record)) : outcome.summary;
    Standing standing;
    standing.account_paused = !outcome.paused_account.empty();
    const bool is_decided = record.stopped || classify(step, record, standing) != TaskEvent::step_waits;
    if (!is_decided && record.exited_with(exit_account_paused)) {
        wait_for_account(task, outcome.paused_account, why);
        return true;
    }
    if (!is_decided && record.exited_with(exit_unavailable)) {
        wait_for_host(task, why, resumed);
        return true;
    }
    // Of a remediation the record says why the work could not be landed.
    if (step != StepKind::remediate &&
        (task.waits_for == WaitsFor::host || task.waits_for == WaitsFor::workspace ||
         task.waits_for == WaitsFor::branch || task.waits_for == WaitsFor::account)) {
        supervisor_.state.find(task.task_id)->last_error.reset();
    }
    if (!is_decided && record.exited_with(exit_try_again)) {
        end_outage_by(step);
        wait_for_branch(task, why, resumed);
        return true;
    }
    if (!is_decided) {
        wait_for_workspace(task, why);
        // It was found out without the host's help, so it says nothing of that where somebody else can.
        if (std::none_of(supervisor_.active.begin(), supervisor_.active.end(),
                         [](const ActiveTask& each) { return each.waits_for == WaitsFor::host; })) {
            end_outage_by(step);
        }
        return true;
    }
    end_outage_by(step);
    if (step == StepKind::integrate && !outcome.target_is_red) {
        supervisor_.target_fault.reset();
    }
    if (step == StepKind::integrate && outcome.target_is_red && record.exited_with(exit_try_again) &&
        !record.stopped) {
        wait_for_target(task, outcome, resumed);
        return true;
    }
    return false;
}

// Nothing was executed, so trying again costs nothing and is never counted against the task.
void Handler::end_start_failed(ActiveTask& task, const StartFailed& start_failed) {
    ++task.start_failures;
    task.phase = Phase::ready;
    if (task.waits_for != WaitsFor::host && task.waits_for != WaitsFor::workspace) {
        task.waits_for = WaitsFor::start;
    }
    const std::uint32_t doublings = std::min(task.start_failures - 1, 10U);
    task.not_before = now_ + std::min(longest_start_pause, Milliseconds{250LL << doublings});
    if (task.start_failures == 1) {
        note(true, task.task_id,
             fmt::format("{} could not be started: {}; trying again until it can", to_string(task.run.step),
                         start_failed.reason));
    }
}

// Prepare says that the target branch does not hold the task yet: somebody added it and has not pushed it.
// That is nobody's failure, however long it lasts, and in nobody's way.
void Handler::wait_for_branch(ActiveTask& task, const std::string& why, bool resumed) {
    note_waiting(task, why);
    if (task.waits_for != WaitsFor::branch) {
        note(true, task.task_id, fmt::format("waits: {}", why));
        task.start_failures = 0;
    }
    const Milliseconds pause =
        std::min(longest_branch_pause, shortest_branch_pause * (1 << std::min(task.start_failures, 10U)));
    ++task.start_failures;
    task.phase = Phase::ready;
    task.waits_for = WaitsFor::branch;
    task.counts.restarts = 0;
    task.slot.reset();
    task.not_before = resumed ? now_ : now_ + pause;
}

// What never began and stands in no file any more leaves nothing behind.
void Handler::withdraw_unpushed() {
    for (std::size_t i = supervisor_.active.size(); i-- > 0;) {
        const auto task = supervisor_.active.begin() + static_cast<std::ptrdiff_t>(i);
        const std::string task_id = task->task_id;
        if (task->waits_for != WaitsFor::branch || task->phase != Phase::ready ||
            supervisor_.queue->queue.find(task_id) != nullptr ||
            supervisor_.queue->done.find(task_id) != nullptr) {
            continue;
        }
        if (task->run.attempt > 1) {
            apply(task, TaskEvent::prepare_failed, "it was taken out of the queue");
            continue;
        }
        note(false, task_id, "was taken out of the queue before it began");
        supervisor_.active.erase(task);
        forget_task(supervisor_, task_id, actions_);
    }
}

void Handler::operator()(const event::TargetMoved&) {
    for (ActiveTask& task : supervisor_.active) {
        if (task.waits_for == WaitsFor::branch && task.phase == Phase::ready) {
            task.not_before = std::min(task.not_before, now_);
        }
    }
}

// In the record, for whoever asks for the status; for as long as that is so.
void Handler::note_waiting(const ActiveTask& task, const std::string& why) {
    supervisor_.state.find(task.task_id)->last_error = "waits: " + why;
}

// A bad minute is nobody's failure. It is told when it begins, and when it is over; a new start looks at
// once.
void Handler::wait_for_host(ActiveTask& task, const std::string& why, bool resumed) {
    note_waiting(task, why);
    task.phase = Phase::ready;
    task.waits_for = WaitsFor::host;
    task.not_before = now_;
    task.counts.restarts = 0;
    if (resumed) {
        return;
    }
    if (!supervisor_.outage) {
        note(true, task.task_id, fmt::format("nothing new starts until this is over: {}", why));
        supervisor_.outage = Outage{why, first_look_pause, now_ + first_look_pause};
    } else if (supervisor_.outage->next_look <= now_) {  // else it began before anybody knew
        const Milliseconds pause = std::min(2 * supervisor_.outage->pause, longest_look_pause);
        supervisor_.outage = Outage{why, pause, now_ + pause};
    }
}

void Handler::operator()(const event::HistoryUnreadable& event) {
    for (Tasks* const tasks : {&supervisor_.active, &supervisor_.discards}) {
        const auto task = find(*tasks, event.task_id);
        if (task != tasks->end() && task->phase == Phase::recovering) {
            task->waits_for = WaitsFor::start;
            ++task->start_failures;
        }
    }
}

// Whatever else a step that needs the host comes to, it could do what it does.
void Handler::end_outage_by(StepKind step) {
    if ((step == StepKind::prepare || step == StepKind::integrate) &&
        std::exchange(supervisor_.outage, std::nullopt)) {
        note(false, "", "what held back new starts is over");
    }
}

// Of another tool, maybe. It holds nobody else back, and no slot meanwhile.
void Handler::wait_for_workspace(ActiveTask& task, const std::string& why) {
    note_waiting(task, why);
    if (task.waits_for != WaitsFor::workspace) {
        note(true, task.task_id, fmt::format("waits: {}", why));
        task.start_failures = 0;
    }
    ++task.start_failures;
    task.phase = Phase::ready;
    task.waits_for = WaitsFor::workspace;
    task.counts.restarts = 0;
    task.slot.reset();
    task.not_before = now_ + std::max(shortest_workspace_pause,
                                      backoff_after(task.start_failures, supervisor_.settings.push_backoff));
}

// This counts as no attempt: the task keeps its workspace and its session. When it may start again is decided
// by the account's file, which was written before the run ended.
void Handler::wait_for_account(ActiveTask& task, const std::string& account, const std::string& why) {
    if (!is_budget(account)) {
        task.account = account;  // another phase may have another agent than the first
    }
    if (task.run.step == StepKind::work) {
        note_waiting(task, why);
    }
    ++task.start_failures;
    task.phase = Phase::ready;
    task.waits_for = WaitsFor::account;
    task.counts.restarts = 0;
    task.slot.reset();
    task.not_before = now_ + std::min(longest_account_pause,
                                      shortest_account_pause * (1 << std::min(task.start_failures - 1, 10U)));
}

void Handler::operator()(const event::AccountsRead& event) {
    auto before = std::exchange(supervisor_.accounts, {});
    for (const AccountPause& pause : event.pauses) {
        PausedAccount& account = supervisor_.accounts[pause.account];
        account.pause = pause;
        const auto known = before.find(pause.account);
        if (known != before.end() && (known->second.pause == pause || is_budget(pause.account))) {
            account.trying = known->second.trying;
        } else if (holds(pause, wall_)) {
            note(true, "",
                 fmt::format("{}; no agent{} starts", describe(pause),
                             is_budget(pause.account) ? "" : " of it"));
        }
    }
    for (const auto& [name, account] : before) {
        if (supervisor_.accounts.count(name) == 0) {
            for (ActiveTask& task : supervisor_.active) {
                if ((task.account == name || is_budget(name)) && task.waits_for == WaitsFor::account) {
                    task.not_before = std::min(task.not_before, now_);
                }
            }
            note(false, "", describe_end(name));
        }
    }
}

// Told when it begins and when it is over.
void Handler::operator()(const event::HostMeasured& event) {
    supervisor_.host_requested = false;
    supervisor_.host_measured = now_;
    const auto before =
        std::exchange(supervisor_.pressure, pressure_of(event.host, supervisor_.settings.host));
    if (supervisor_.pressure && !before) {
        note(true, "", fmt::format("no worker starts until this is over: {}", supervisor_.pressure->reason));
    } else if (before && !supervisor_.pressure) {
        note(false, "", "what held back workers is over");
    }
    ActiveTask* const youngest =
        supervisor_.pressure && supervisor_.pressure->is_critical && supervisor_.mode != Mode::ending
            ? to_put_back(supervisor_)
            : nullptr;
    if (youngest != nullptr) {
        youngest->put_back = true;
        note(true, youngest->task_id,
             fmt::format("{} is put back, what it did is kept: {}", to_string(youngest->run.step),
                         supervisor_.pressure->reason));
        ask_to_end(*youngest);
    }
}

void Handler::end_try(const ActiveTask& task) {
    const auto account = supervisor_.accounts.find(task.account);
    if (account != supervisor_.accounts.end() && account->second.trying == task.task_id) {
        account->second.trying.clear();
    }
}

// Nobody's fault, so that it counts as no attempt of anybody's. A new start looks at once.
void Handler::wait_for_target(ActiveTask& task, const Outcome& outcome, bool resumed) {
    task.phase = Phase::ready;
    task.not_before = now_;
    task.counts.restarts = 0;
    if (resumed) {
        return;
    }
    supervisor_.merge_queue_opens = now_ + red_target_pause;
    supervisor_.target_fault =
        TargetFault{outcome.summary, supervisor_.target_fault ? supervisor_.target_fault->since : wall_};
    note(true, task.task_id,
         fmt::format("nothing is landed for {} s: {}",
                     std::chrono::duration_cast<std::chrono::seconds>(red_target_pause).count(),
                     outcome.summary));
}

}  // namespace ralph::core
