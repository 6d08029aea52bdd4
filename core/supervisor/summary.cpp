#include "core/supervisor/summary.h"

#include <fmt/format.h>

#include <algorithm>

namespace ralph::core {

std::string summary(const Supervisor& supervisor) {
    std::size_t running = 0;
    std::size_t integrating = 0;
    std::size_t waiting = 0;
    for (const ActiveTask& task : supervisor.active) {
        if (task.run.step != StepKind::integrate) {
            ++running;
        } else if (task.phase == Phase::ready) {
            ++waiting;
        } else {
            ++integrating;
        }
    }
    std::ptrdiff_t queued = 0;
    if (supervisor.queue) {
        const auto& tasks = supervisor.queue->queue.tasks;
        queued = std::count_if(tasks.begin(), tasks.end(), [&](const Task& task) {
            const bool wanted = task.status == TaskStatus::todo || task.status == TaskStatus::doing ||
                                (task.status == TaskStatus::draft && supervisor.settings.include_draft);
            return wanted && task.kind != TaskKind::group &&
                   supervisor.attempted.count(trimmed(task.id)) == 0;
        });
    }
    std::string text = fmt::format("{} running, {} integrating, {} queued; merge queue {}", running,
                                   integrating, queued, waiting);
    const auto add = [&text](std::size_t number, const char* what) {
        text += number == 0 ? std::string{} : fmt::format("; {} {}", number, what);
    };
    add(supervisor.state.count(Lifecycle::failed), "failed");
    add(supervisor.state.blocked_count(), "blocked");
    add(static_cast<std::size_t>(
            std::count_if(supervisor.active.begin(), supervisor.active.end(),
                          [](const ActiveTask& task) { return task.waits_for == WaitsFor::branch; })),
        "not pushed");
    if (supervisor.paused) {
        text += "; " + describe(*supervisor.steering.pause);
    }
    if (supervisor.queue_fault) {
        text += fmt::format("; the queue cannot be used: {}", *supervisor.queue_fault);
    }
    if (supervisor.target_fault) {
        text += fmt::format("; nothing lands, the target is red: {}", supervisor.target_fault->reason);
    }
    if (supervisor.outage) {
        text += fmt::format("; nothing new starts: {}", supervisor.outage->reason);
    }
    return text;
}

}  // namespace ralph::core
