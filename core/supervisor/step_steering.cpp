// What a person asks of one task or of all: to cancel, to pause, how many workers there are.
#include <fmt/format.h>

#include "core/supervisor/event_handler.h"

namespace ralph::core {

void Handler::operator()(const event::CancelRequested& event) {
    const WorkerRecord* const record = supervisor_.state.find(event.task_id);
    if (record != nullptr && !record->is_terminal()) {
        supervisor_.cancels.try_emplace(event.task_id, 0U);
        return;
    }
    actions_.emplace_back(action::ForgetCancelRequest{event.task_id});
    if (!event.at_start) {  // else a predecessor has answered, and was killed before it took the request away
        note(true, event.task_id,
             record == nullptr
                 ? "there is nothing to cancel: it has not begun"
                 : fmt::format("there is nothing to cancel: it is {}", to_string(record->lifecycle)));
    }
}

void Handler::operator()(const event::SteeringRead& event) {
    if (event.steering == supervisor_.steering) {
        return;
    }
    const bool was_paused = supervisor_.paused;
    const std::uint32_t workers = supervisor_.workers();
    supervisor_.steering = event.steering;
    supervisor_.paused = is_paused(event.steering, wall_);
    if (supervisor_.paused) {
        note(false, "", describe(*event.steering.pause) + "; no worker starts, what runs goes on and lands");
    } else if (was_paused) {
        note(false, "", "resumed");
    }
    if (supervisor_.workers() != workers) {
        note(false, "", fmt::format("{} workers from now on", supervisor_.workers()));
    }
}

// A batch that lands may take any task of the merge queue along.
bool Handler::lands_now() const {
    return std::any_of(supervisor_.active.begin(), supervisor_.active.end(), [](const ActiveTask& task) {
        return task.run.step == StepKind::integrate &&
               (task.phase == Phase::starting || task.phase == Phase::running);
    });
}

void Handler::cancel_asked() {
    for (auto each = supervisor_.cancels.begin(); each != supervisor_.cancels.end();) {
        const std::string& task_id = each->first;
        const auto task = find(supervisor_.active, task_id);
        const bool is_over = task == supervisor_.active.end();
        const bool lands = !is_over && task->run.step == StepKind::integrate;
        if (!is_over && task->phase == Phase::running && !lands && each->second != task->run.number) {
            each->second = task->run.number;
            ask_to_end(*task);
        }
        const bool may_end = !is_over && task->phase == Phase::ready && !(lands && lands_now());
        if (!is_over && !may_end) {
            ++each;
            continue;
        }
        if (may_end) {
            apply(task, TaskEvent::cancelled, "cancelled on request");
        } else if (const WorkerRecord* const record = supervisor_.state.find(task_id)) {
            note(true, task_id, fmt::format("too late to cancel: it is {}", to_string(record->lifecycle)));
        }
        actions_.emplace_back(action::ForgetCancelRequest{task_id});
        each = supervisor_.cancels.erase(each);
    }
}

}  // namespace ralph::core
