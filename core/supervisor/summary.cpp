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
    const std::string held_back =
        supervisor.outage ? fmt::format("; nothing new starts: {}", supervisor.outage->reason) : "";
    return fmt::format("{} running, {} integrating, {} queued; merge queue {}{}", running, integrating,
                       queued, waiting, held_back);
}

}  // namespace ralph::core
