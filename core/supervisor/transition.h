// The transition table: what may happen to a task, and which lifecycle follows. Every pair of lifecycle and
// event is either a written transition or an explicitly ignored one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/supervisor/lifecycle.h"
#include "core/supervisor/run_record.h"

namespace ralph::core {

enum class TaskEvent {
    prepare_succeeded,        // exit 0: the workspace is ready
    prepare_found_landed,     // exit 10: the target branch already holds the task
    prepare_failed,           // any other end
    work_succeeded,           // exit 0
    work_failed,              // any other end without a readable marker
    work_blocked,             // any other end with one
    integrate_succeeded,      // exit 0: the target branch on the remote holds the work
    integrate_deferred,       // exit 75, attempts left: try again after the pause
    integrate_exhausted,      // exit 75, no attempts left
    integrate_blocked,        // exit 65: an operator must resolve it
    integrate_found_nothing,  // exit 67: the worker left nothing to land
    integrate_failed,         // any other end
    integrate_mendable,       // exit 66, remediations left: the worker may mend it
    remediate_succeeded,      // exit 0: back into the lane
    remediate_failed,         // any other end
    work_needed,              // exit 67 where no worker ran since the retry: it is worked on first
    step_waits,               // exit 69, or 71 of prepare: nothing of it counts, the step runs again
    step_lost,                // the outcome cannot be known, restarts left: the step runs again
    restarts_exhausted,       // the outcome cannot be known, none left
    interrupted,              // ended because the operator ended the supervisor
    retry_requested,          // `ralph run parallel retry`
};

inline constexpr std::array all_task_events{
    TaskEvent::prepare_succeeded,       TaskEvent::prepare_found_landed, TaskEvent::prepare_failed,
    TaskEvent::work_succeeded,          TaskEvent::work_failed,          TaskEvent::work_blocked,
    TaskEvent::integrate_succeeded,     TaskEvent::integrate_deferred,   TaskEvent::integrate_exhausted,
    TaskEvent::integrate_blocked,       TaskEvent::integrate_failed,     TaskEvent::integrate_mendable,
    TaskEvent::integrate_found_nothing, TaskEvent::work_needed,          TaskEvent::step_waits,
    TaskEvent::remediate_succeeded,     TaskEvent::remediate_failed,     TaskEvent::step_lost,
    TaskEvent::restarts_exhausted,      TaskEvent::interrupted,          TaskEvent::retry_requested};

[[nodiscard]] std::string_view to_string(TaskEvent event);

// The lifecycle that follows, or nothing where the event is ignored.
[[nodiscard]] std::optional<Lifecycle> transition(Lifecycle lifecycle, TaskEvent event);

// Exit codes with which the steps speak to the table (EX_DATAERR, EX_UNAVAILABLE and EX_TEMPFAIL of
// sysexits.h, and four of ours). Mendable: as blocked, but whoever made the work may be able to mend it.
// Nothing to land: the worker exited with 0 and left no commit and no change. Unavailable: the host or the
// remote has a bad minute, which is nobody's failure. In use: the task's workspace is held by a living worker
// that is none of ours.
inline constexpr std::uint32_t exit_already_landed = 10;
inline constexpr std::uint32_t exit_blocked = 65;
inline constexpr std::uint32_t exit_mendable = 66;
inline constexpr std::uint32_t exit_nothing_to_land = 67;
inline constexpr std::uint32_t exit_unavailable = 69;
inline constexpr std::uint32_t exit_in_use = 71;
inline constexpr std::uint32_t exit_try_again = 75;

// What is known of the task whose run has ended.
struct Standing {
    bool blocked = false;            // the worker left a readable marker
    bool attempts_left = false;      // another integration may follow this one
    bool remediations_left = false;  // the worker may be asked to mend its work
    bool worked = true;              // a worker ran since the selection or the retry
};
// What the end of a run means; not of discard.
[[nodiscard]] TaskEvent classify(StepKind step, const ExitRecord& record, const Standing& standing);

}  // namespace ralph::core
