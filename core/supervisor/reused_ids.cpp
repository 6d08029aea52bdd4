#include "core/supervisor/reused_ids.h"

#include <fmt/format.h>

#include "core/base/check.h"

namespace ralph::core {
namespace {

bool are_different(const std::string& left, const std::string& right) {
    if (left == right || left.empty() || right.empty()) {
        return false;
    }
    const auto left_time = parse_rfc3339(left);
    const auto right_time = parse_rfc3339(right);
    return !left_time || !right_time || left_time->instant != right_time->instant;
}

bool is_another_task(const Supervisor& supervisor, const Task& task) {
    const auto known = supervisor.created.find(trimmed(task.id));
    if (is_terminal(task.status) || known == supervisor.created.end() ||
        !are_different(known->second, task.created_at.value_or(""))) {
        return false;
    }
    const WorkerRecord* const record = supervisor.state.find(trimmed(task.id));
    return record != nullptr && record->is_terminal();
}

}  // namespace

std::set<std::string, std::less<>> reused_ids(const Supervisor& supervisor) {
    std::set<std::string, std::less<>> reused;
    for (const Task& task : supervisor.queue->queue.tasks) {
        if (is_another_task(supervisor, task)) {
            reused.emplace(trimmed(task.id));
        }
    }
    return reused;
}

bool is_reused(const Supervisor& supervisor, std::string_view task_id) {
    const Task* const task = supervisor.queue ? supervisor.queue->queue.find(task_id) : nullptr;
    return task != nullptr && is_another_task(supervisor, *task);
}

void make_room(Supervisor& supervisor, const std::string& task_id, std::vector<Action>& actions) {
    CHECK(supervisor.state.find(task_id) != nullptr && supervisor.state.find(task_id)->is_terminal());
    actions.emplace_back(action::Note{
        false, task_id,
        fmt::format("the record of an earlier task of this id, created {}, makes room: the queue's was "
                    "created at another time",
                    supervisor.created.at(task_id))});
    forget_task(supervisor, task_id, actions);
}

void forget_task(Supervisor& supervisor, const std::string& task_id, std::vector<Action>& actions) {
    supervisor.state.remove(task_id);
    supervisor.created.erase(task_id);
    supervisor.attempted.erase(task_id);
    supervisor.forgetting.insert(task_id);
    actions.emplace_back(action::ForgetRuns{task_id});
}

}  // namespace ralph::core
