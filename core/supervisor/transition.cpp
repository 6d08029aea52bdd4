#include "core/supervisor/transition.h"

#include "core/base/check.h"

namespace ralph::core {
namespace {

constexpr std::optional<Lifecycle> ignored = std::nullopt;

std::optional<Lifecycle> from_running(TaskEvent event) {
    switch (event) {
        case TaskEvent::prepare_succeeded:
        case TaskEvent::step_waits:
        case TaskEvent::step_lost:
            return Lifecycle::running;
        case TaskEvent::prepare_found_landed:
            return Lifecycle::completed;
        case TaskEvent::work_succeeded:
            return Lifecycle::integrating;
        case TaskEvent::prepare_failed:
        case TaskEvent::work_failed:
        case TaskEvent::restarts_exhausted:
        case TaskEvent::interrupted:
            return Lifecycle::failed;
        case TaskEvent::work_blocked:
            return Lifecycle::blocked_push;
        case TaskEvent::integrate_succeeded:
        case TaskEvent::integrate_deferred:
        case TaskEvent::integrate_exhausted:
        case TaskEvent::integrate_blocked:
        case TaskEvent::integrate_failed:
        case TaskEvent::integrate_mendable:
        case TaskEvent::integrate_found_nothing:
        case TaskEvent::work_needed:
        case TaskEvent::remediate_succeeded:
        case TaskEvent::remediate_failed:
        case TaskEvent::retry_requested:
            return ignored;
    }
    return ignored;
}

std::optional<Lifecycle> from_integrating(TaskEvent event) {
    switch (event) {
        case TaskEvent::integrate_succeeded:
            return Lifecycle::completed;
        case TaskEvent::integrate_deferred:
        case TaskEvent::integrate_mendable:
        case TaskEvent::remediate_succeeded:
        case TaskEvent::step_waits:
        case TaskEvent::step_lost:
            return Lifecycle::integrating;
        case TaskEvent::work_needed:
            return Lifecycle::running;
        case TaskEvent::integrate_exhausted:
        case TaskEvent::integrate_blocked:
        case TaskEvent::integrate_found_nothing:
        case TaskEvent::remediate_failed:
            return Lifecycle::blocked_push;
        case TaskEvent::integrate_failed:
        case TaskEvent::restarts_exhausted:
            return Lifecycle::failed;
        case TaskEvent::prepare_succeeded:
        case TaskEvent::prepare_found_landed:
        case TaskEvent::prepare_failed:
        case TaskEvent::work_succeeded:
        case TaskEvent::work_failed:
        case TaskEvent::work_blocked:
        case TaskEvent::retry_requested:
            return ignored;
        // The work is done and only waits to be landed: the next start goes on with it.
        case TaskEvent::interrupted:
            return ignored;
    }
    return ignored;
}

// failed and blocked_push: only an operator's retry leads out.
std::optional<Lifecycle> from_retryable(TaskEvent event) {
    switch (event) {
        case TaskEvent::retry_requested:
            return Lifecycle::running;
        case TaskEvent::prepare_succeeded:
        case TaskEvent::prepare_found_landed:
        case TaskEvent::prepare_failed:
        case TaskEvent::work_succeeded:
        case TaskEvent::work_failed:
        case TaskEvent::work_blocked:
        case TaskEvent::integrate_succeeded:
        case TaskEvent::integrate_deferred:
        case TaskEvent::integrate_exhausted:
        case TaskEvent::integrate_blocked:
        case TaskEvent::integrate_failed:
        case TaskEvent::integrate_mendable:
        case TaskEvent::integrate_found_nothing:
        case TaskEvent::work_needed:
        case TaskEvent::remediate_succeeded:
        case TaskEvent::remediate_failed:
        case TaskEvent::step_waits:
        case TaskEvent::step_lost:
        case TaskEvent::restarts_exhausted:
        case TaskEvent::interrupted:
            return ignored;
    }
    return ignored;
}

TaskEvent classify_prepare(const ExitRecord& record) {
    if (record.timed_out) {
        return TaskEvent::prepare_failed;
    }
    if (record.exited_with(exit_already_landed)) {
        return TaskEvent::prepare_found_landed;
    }
    if (record.exited_with(exit_unavailable) || record.exited_with(exit_in_use)) {
        return TaskEvent::step_waits;
    }
    return record.exited_with(0) ? TaskEvent::prepare_succeeded : TaskEvent::prepare_failed;
}

TaskEvent classify_integrate(const ExitRecord& record, const Standing& standing) {
    if (record.exited_with(0)) {
        return TaskEvent::integrate_succeeded;
    }
    if (record.exited_with(exit_blocked)) {
        return TaskEvent::integrate_blocked;
    }
    if (record.exited_with(exit_mendable)) {
        return standing.remediations_left ? TaskEvent::integrate_mendable : TaskEvent::integrate_blocked;
    }
    if (record.exited_with(exit_nothing_to_land)) {
        return standing.worked ? TaskEvent::integrate_found_nothing : TaskEvent::work_needed;
    }
    if (record.exited_with(exit_unavailable)) {
        return TaskEvent::step_waits;
    }
    if (record.exited_with(exit_try_again)) {
        return standing.attempts_left ? TaskEvent::integrate_deferred : TaskEvent::integrate_exhausted;
    }
    return TaskEvent::integrate_failed;
}

}  // namespace

std::string_view to_string(TaskEvent event) {
    switch (event) {
        case TaskEvent::prepare_succeeded:
            return "prepare_succeeded";
        case TaskEvent::prepare_found_landed:
            return "prepare_found_landed";
        case TaskEvent::prepare_failed:
            return "prepare_failed";
        case TaskEvent::work_succeeded:
            return "work_succeeded";
        case TaskEvent::work_failed:
            return "work_failed";
        case TaskEvent::work_blocked:
            return "work_blocked";
        case TaskEvent::integrate_succeeded:
            return "integrate_succeeded";
        case TaskEvent::integrate_deferred:
            return "integrate_deferred";
        case TaskEvent::integrate_exhausted:
            return "integrate_exhausted";
        case TaskEvent::integrate_blocked:
            return "integrate_blocked";
        case TaskEvent::integrate_failed:
            return "integrate_failed";
        case TaskEvent::integrate_mendable:
            return "integrate_mendable";
        case TaskEvent::integrate_found_nothing:
            return "integrate_found_nothing";
        case TaskEvent::work_needed:
            return "work_needed";
        case TaskEvent::step_waits:
            return "step_waits";
        case TaskEvent::remediate_succeeded:
            return "remediate_succeeded";
        case TaskEvent::remediate_failed:
            return "remediate_failed";
        case TaskEvent::step_lost:
            return "step_lost";
        case TaskEvent::restarts_exhausted:
            return "restarts_exhausted";
        case TaskEvent::interrupted:
            return "interrupted";
        case TaskEvent::retry_requested:
            return "retry_requested";
    }
    return "";
}

std::optional<Lifecycle> transition(Lifecycle lifecycle, TaskEvent event) {
    switch (lifecycle) {
        case Lifecycle::running:
            return from_running(event);
        case Lifecycle::integrating:
            return from_integrating(event);
        case Lifecycle::completed:
            return ignored;  // what has landed stays landed, whatever comes late
        case Lifecycle::failed:
        case Lifecycle::blocked_push:
            return from_retryable(event);
    }
    return ignored;
}

TaskEvent classify(StepKind step, const ExitRecord& record, const Standing& standing) {
    // A worker that answers our SIGTERM with exit 0 has not finished its work; an integration that says 0 has
    // landed it, whatever we asked of it meanwhile.
    if (record.stopped && !(step == StepKind::integrate && record.exited_with(0))) {
        return TaskEvent::interrupted;
    }
    switch (step) {
        case StepKind::prepare:
            return classify_prepare(record);
        case StepKind::work:
            if (record.exited_with(0) && !record.timed_out) {
                return TaskEvent::work_succeeded;
            }
            return standing.blocked ? TaskEvent::work_blocked : TaskEvent::work_failed;
        case StepKind::integrate:
            return classify_integrate(record, standing);
        case StepKind::remediate:
            return record.exited_with(0) && !record.timed_out ? TaskEvent::remediate_succeeded
                                                              : TaskEvent::remediate_failed;
        case StepKind::discard:
            break;
    }
    CHECK(step != StepKind::discard);  // discarding a workspace moves no lifecycle
    return TaskEvent::integrate_failed;
}

}  // namespace ralph::core
