#include "core/queue/queue_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>

namespace ralph::core {
namespace {

bool is_blank(const std::optional<std::string>& text) {
    return !text || trimmed(*text).empty();
}

}  // namespace

Result<void> set_status(TaskFile& file, std::string_view id, TaskStatus status, Instant now,
                        std::optional<std::string_view> note) {
    Task* task = file.find(id);
    if (task == nullptr) {
        return Error{fmt::format("there is no task {} in queue.jsonc", trimmed(id)),
                     "name a task of the queue"};
    }
    const std::string time = format_rfc3339(now);
    task->status = status;
    task->updated_at = time;
    if (!is_terminal(status)) {
        task->completed_at.reset();
    } else if (is_blank(task->completed_at)) {
        task->completed_at = time;
    }
    if (status == TaskStatus::doing && !task->started_at) {
        task->started_at = time;
    }
    if (note && !trimmed(*note).empty()) {
        task->notes.emplace_back(trimmed(*note));
    }
    return {};
}

std::size_t archive_terminal(TaskFile& queue, TaskFile& done, Instant now) {
    const std::string time = format_rfc3339(now);
    const auto first = std::stable_partition(queue.tasks.begin(), queue.tasks.end(),
                                             [](const Task& task) { return !is_terminal(task.status); });
    for (auto task = first; task != queue.tasks.end(); ++task) {
        if (is_blank(task->completed_at)) {
            task->completed_at = time;
        }
        task->updated_at = time;
    }
    const auto moved = static_cast<std::size_t>(std::distance(first, queue.tasks.end()));
    done.tasks.insert(done.tasks.end(), std::make_move_iterator(first),
                      std::make_move_iterator(queue.tasks.end()));
    queue.tasks.erase(first, queue.tasks.end());
    return moved;
}

Result<void> archive_finished_task(TaskFile& queue, TaskFile& done, std::string_view id, Instant now) {
    const std::string_view wanted = trimmed(id);
    const Task* queued = queue.find(wanted);
    if (const Task* archived = done.find(wanted)) {
        if (archived->status == TaskStatus::done) {
            const auto is_wanted = [wanted](const Task& task) { return trimmed(task.id) == wanted; };
            queue.tasks.erase(std::remove_if(queue.tasks.begin(), queue.tasks.end(), is_wanted),
                              queue.tasks.end());
            return {};
        }
        // New ids skip rejected ones, so a rejected task in the archive may be an older one of the same id.
        const bool is_another = archived->status == TaskStatus::rejected && queued != nullptr &&
                                queued->status != TaskStatus::rejected;
        if (!is_another) {
            return Error{
                fmt::format("{} stands in done.jsonc with the status {}, though its work is complete", wanted,
                            to_string(archived->status)),
                "set its status there to done, or give the work up"};
        }
    }
    if (queued == nullptr) {
        return Error{
            fmt::format("{} stands neither in queue.jsonc nor in done.jsonc, though its work is complete",
                        wanted),
            "put the task back into queue.jsonc, or give the work up"};
    }
    TRY(set_status(queue, wanted, TaskStatus::done, now));
    archive_terminal(queue, done, now);
    return {};
}

Result<std::string> next_task_id(const TaskFile& queue, const TaskFile& done, const QueueRules& rules,
                                 const std::vector<std::string>& taken) {
    TRY_ASSIGN(auto ids, next_task_ids(queue, done, rules, 1, taken));
    return {boost::system::in_place_value, std::move(ids.front())};
}

Result<std::vector<std::string>> next_task_ids(const TaskFile& queue, const TaskFile& done,
                                               const QueueRules& rules, std::size_t count,
                                               const std::vector<std::string>& taken) {
    TRY(validate_queue(queue, done, rules));
    std::uint64_t largest = 0;
    for (const TaskFile* file : {&queue, &done}) {
        for (const Task& task : file->tasks) {
            if (task.status != TaskStatus::rejected) {
                largest = std::max<std::uint64_t>(largest, task_number(task.id, rules).value());
            }
        }
    }
    std::set<std::uint64_t> used;
    for (const std::string& id : taken) {
        if (const auto number = task_number(id, rules)) {
            used.insert(*number);
        }
    }
    std::vector<std::string> ids;
    ids.reserve(count);
    for (std::uint64_t number = largest + 1; ids.size() < count; ++number) {
        if (used.count(number) != 0) {
            continue;
        }
        ids.push_back(format_task_id(number, rules));
        if (!task_number(ids.back(), rules)) {
            return Error{fmt::format("no task id is free after {}", format_task_id(number - 1, rules)),
                         "renumber the tasks, or use another queue.id_prefix"};
        }
    }
    return ids;
}

Task make_task(std::string_view id, std::string_view title, Instant now) {
    Task task;
    task.id = trimmed(id);
    task.title = trimmed(title);
    task.created_at = format_rfc3339(now);
    task.updated_at = task.created_at;
    return task;
}

}  // namespace ralph::core
