// The transition table, and the table of exit codes: what may happen to a task, which lifecycle follows, what
// runs next and what is reset. Both are data; nothing else decides it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/supervisor/lifecycle.h"
#include "core/supervisor/run_record.h"

namespace ralph::core {

// In the order of `transitions`.
enum class TaskEvent {
    prepare_succeeded,     // the workspace is ready
    prepare_found_landed,  // the target branch already holds the task
    prepare_failed,
    work_succeeded,
    work_failed,              // without a readable marker
    work_blocked,             // with one
    integrate_succeeded,      // the target branch on the remote holds the work
    integrate_deferred,       // try again after the pause
    integrate_exhausted,      // the same, but no attempts are left
    integrate_blocked,        // an operator must resolve it
    integrate_found_nothing,  // the worker left nothing to land
    integrate_failed,
    integrate_fixable,    // remediations are left: the worker may repair it
    work_needed,          // nothing to land, but no worker ran since the retry: it is worked on first
    remediate_succeeded,  // back into the merge queue
    remediate_failed,
    step_waits,          // nothing of it counts, the step runs again
    step_lost,           // the outcome cannot be known, restarts are left: the step runs again
    restarts_exhausted,  // the outcome cannot be known, none is left
    interrupted,         // ended because the operator ended the supervisor
    cancelled,           // a person wants it to end
    retry_requested,     // `ralph run parallel retry`
};

struct Transition {
    TaskEvent event = TaskEvent::prepare_succeeded;
    std::string_view name;
    // The lifecycle that follows upon running, integrating, completed, failed and blocked_push: their first
    // letters, or '.' where the event is ignored. What has landed stays landed, whatever comes late; only a
    // retry leads out of failed and blocked_push; an interrupted integration is continued by the next start.
    std::string_view after;
    std::optional<StepKind> next = {};  // the step that runs then; nothing: as before, or none
    bool is_progress = false;           // the next step has all its restarts before it
    bool frees_slot = false;
    bool is_new_attempt = false;  // of the work
};

// As s6-supervise keeps its states: one row for each event.
inline constexpr std::array<Transition, 22> transitions{{
    {TaskEvent::prepare_succeeded, "prepare_succeeded", "r....", StepKind::work, true},
    {TaskEvent::prepare_found_landed, "prepare_found_landed", "c...."},
    {TaskEvent::prepare_failed, "prepare_failed", "f...."},
    {TaskEvent::work_succeeded, "work_succeeded", "i....", StepKind::integrate, true, true},
    {TaskEvent::work_failed, "work_failed", "f...."},
    {TaskEvent::work_blocked, "work_blocked", "b...."},
    {TaskEvent::integrate_succeeded, "integrate_succeeded", ".c..."},
    {TaskEvent::integrate_deferred, "integrate_deferred", ".i...", StepKind::integrate, true},
    {TaskEvent::integrate_exhausted, "integrate_exhausted", ".b..."},
    {TaskEvent::integrate_blocked, "integrate_blocked", ".b..."},
    {TaskEvent::integrate_found_nothing, "integrate_found_nothing", ".b..."},
    {TaskEvent::integrate_failed, "integrate_failed", ".f..."},
    {TaskEvent::integrate_fixable, "integrate_fixable", ".i...", StepKind::remediate, true},
    {TaskEvent::work_needed, "work_needed", ".r...", StepKind::prepare, true, false, true},
    {TaskEvent::remediate_succeeded, "remediate_succeeded", ".i...", StepKind::integrate, true, true},
    {TaskEvent::remediate_failed, "remediate_failed", ".b..."},
    {TaskEvent::step_waits, "step_waits", "ri..."},
    {TaskEvent::step_lost, "step_lost", "ri..."},
    {TaskEvent::restarts_exhausted, "restarts_exhausted", "ff..."},
    {TaskEvent::interrupted, "interrupted", "f...."},
    {TaskEvent::cancelled, "cancelled", "ff..."},
    {TaskEvent::retry_requested, "retry_requested", "...rr"},
}};

[[nodiscard]] constexpr const Transition& transition_of(TaskEvent event) {
    return transitions.at(static_cast<std::size_t>(event));
}
[[nodiscard]] constexpr std::string_view to_string(TaskEvent event) {
    return transition_of(event).name;
}

// The lifecycle that follows, or nothing where the event is ignored.
[[nodiscard]] std::optional<Lifecycle> transition(Lifecycle lifecycle, TaskEvent event);

// Exit codes with which the steps speak to the table (EX_DATAERR, EX_UNAVAILABLE and EX_TEMPFAIL of
// sysexits.h, and four of ours). Fixable: as blocked, but whoever made the work may be able to repair it.
// Account paused: of an agent, and it did not work. Nothing to land: the worker exited with 0 and left no
// commit and no change. Unavailable: the host or the remote has a bad minute, which is nobody's failure. In
// use: the task's workspace is held by a living worker that is none of ours.
inline constexpr std::uint32_t exit_already_landed = 10;
inline constexpr std::uint32_t exit_blocked = 65;
inline constexpr std::uint32_t exit_fixable = 66;
inline constexpr std::uint32_t exit_nothing_to_land = 67;
inline constexpr std::uint32_t exit_unavailable = 69;
inline constexpr std::uint32_t exit_in_use = 71;
inline constexpr std::uint32_t exit_account_paused = 72;
inline constexpr std::uint32_t exit_try_again = 75;

// What is known of the task whose run has ended.
struct Standing {
    bool blocked = false;            // the worker left a readable marker
    bool attempts_left = false;      // another integration may follow this one
    bool remediations_left = false;  // the worker may be asked to fix its work
    bool worked = true;              // a worker ran since the selection or the retry
    bool account_paused = false;     // of the agent, as its outcome says
};

// What an exit code of a step means. Where it depends on the task's standing: `event` if the member is true.
struct ExitMeaning {
    StepKind step = StepKind::prepare;
    std::optional<std::uint32_t> code;  // nothing: any other end
    TaskEvent event = TaskEvent::prepare_failed;
    bool Standing::*condition = nullptr;
    TaskEvent otherwise = TaskEvent::prepare_failed;
};

// Of each step the first row that fits. The README's table says the same in words.
inline constexpr std::array<ExitMeaning, 19> exit_meanings{{
    {StepKind::prepare, 0U, TaskEvent::prepare_succeeded},
    {StepKind::prepare, exit_already_landed, TaskEvent::prepare_found_landed},
    {StepKind::prepare, exit_unavailable, TaskEvent::step_waits},
    {StepKind::prepare, exit_in_use, TaskEvent::step_waits},
    {StepKind::prepare, exit_try_again, TaskEvent::step_waits},
    {StepKind::prepare, {}, TaskEvent::prepare_failed},
    {StepKind::work, 0U, TaskEvent::work_succeeded},
    {StepKind::work, exit_account_paused, TaskEvent::step_waits, &Standing::account_paused,
     TaskEvent::work_failed},
    {StepKind::work, {}, TaskEvent::work_blocked, &Standing::blocked, TaskEvent::work_failed},
    {StepKind::integrate, 0U, TaskEvent::integrate_succeeded},
    {StepKind::integrate, exit_try_again, TaskEvent::integrate_deferred, &Standing::attempts_left,
     TaskEvent::integrate_exhausted},
    {StepKind::integrate, exit_fixable, TaskEvent::integrate_fixable, &Standing::remediations_left,
     TaskEvent::integrate_blocked},
    {StepKind::integrate, exit_blocked, TaskEvent::integrate_blocked},
    {StepKind::integrate, exit_nothing_to_land, TaskEvent::integrate_found_nothing, &Standing::worked,
     TaskEvent::work_needed},
    {StepKind::integrate, exit_unavailable, TaskEvent::step_waits},
    {StepKind::integrate, {}, TaskEvent::integrate_failed},
    {StepKind::remediate, 0U, TaskEvent::remediate_succeeded},
    {StepKind::remediate, exit_account_paused, TaskEvent::step_waits, &Standing::account_paused,
     TaskEvent::remediate_failed},
    {StepKind::remediate, {}, TaskEvent::remediate_failed},
}};

// What the end of a run means; not of discard.
[[nodiscard]] TaskEvent classify(StepKind step, const ExitRecord& record, const Standing& standing);

}  // namespace ralph::core
