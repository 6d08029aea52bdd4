#include "core/supervisor/state.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace ralph::core {

void WorkerRecord::mark_running() {
    lifecycle = Lifecycle::running;
    last_error.reset();
}

void WorkerRecord::mark_integrating() {
    lifecycle = Lifecycle::integrating;
}

void WorkerRecord::mark_completed(Instant now) {
    lifecycle = Lifecycle::completed;
    completed_at = format_rfc3339(now);
    last_error.reset();
}

void WorkerRecord::mark_failed(Instant now, std::string error) {
    lifecycle = Lifecycle::failed;
    completed_at = format_rfc3339(now);
    last_error = std::move(error);
}

void WorkerRecord::mark_blocked_push(Instant now, std::string error) {
    lifecycle = Lifecycle::blocked_push;
    completed_at = format_rfc3339(now);
    last_error = std::move(error);
}

void WorkerRecord::count_push_attempt() {
    if (push_attempts < std::numeric_limits<std::uint32_t>::max()) {
        ++push_attempts;
    }
}

void ParallelState::upsert(WorkerRecord record) {
    if (WorkerRecord* existing = find(record.task_id)) {
        *existing = std::move(record);
    } else {
        workers.push_back(std::move(record));
    }
}

bool ParallelState::remove(std::string_view task_id) {
    const auto found = std::find_if(workers.begin(), workers.end(), [task_id](const WorkerRecord& record) {
        return record.task_id == task_id;
    });
    if (found == workers.end()) {
        return false;
    }
    workers.erase(found);
    return true;
}

const WorkerRecord* ParallelState::find(std::string_view task_id) const {
    const auto found = std::find_if(workers.begin(), workers.end(), [task_id](const WorkerRecord& record) {
        return record.task_id == task_id;
    });
    return found == workers.end() ? nullptr : &*found;
}

WorkerRecord* ParallelState::find(std::string_view task_id) {
    return const_cast<WorkerRecord*>(std::as_const(*this).find(task_id));
}

std::vector<const WorkerRecord*> ParallelState::by_lifecycle(Lifecycle lifecycle) const {
    std::vector<const WorkerRecord*> found;
    for (const WorkerRecord& record : workers) {
        if (record.lifecycle == lifecycle) {
            found.push_back(&record);
        }
    }
    return found;
}

std::size_t ParallelState::count(Lifecycle lifecycle) const {
    return static_cast<std::size_t>(
        std::count_if(workers.begin(), workers.end(),
                      [lifecycle](const WorkerRecord& record) { return record.lifecycle == lifecycle; }));
}

std::size_t ParallelState::active_count() const {
    return count(Lifecycle::running) + count(Lifecycle::integrating);
}

}  // namespace ralph::core
