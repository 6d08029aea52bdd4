#include "core/queue/task.h"

#include <boost/json/object.hpp>

namespace ralph::core {
namespace {

template <class File>
auto* find_task(File& file, std::string_view id) {
    const std::string_view wanted = trimmed(id);
    decltype(file.tasks.data()) rejected = nullptr;
    for (auto& task : file.tasks) {
        if (trimmed(task.id) != wanted) {
            continue;
        }
        if (task.status != TaskStatus::rejected) {
            return &task;
        }
        if (rejected == nullptr) {
            rejected = &task;
        }
    }
    return rejected;
}

}  // namespace

std::string_view to_string(TaskStatus status) {
    switch (status) {
        case TaskStatus::draft:
            return "draft";
        case TaskStatus::todo:
            return "todo";
        case TaskStatus::doing:
            return "doing";
        case TaskStatus::done:
            return "done";
        case TaskStatus::rejected:
            return "rejected";
    }
    return "";
}

std::string_view to_string(TaskPriority priority) {
    switch (priority) {
        case TaskPriority::critical:
            return "critical";
        case TaskPriority::high:
            return "high";
        case TaskPriority::medium:
            return "medium";
        case TaskPriority::low:
            return "low";
    }
    return "";
}

std::optional<TaskStatus> parse_task_status(std::string_view text) {
    for (const TaskStatus candidate :
         {TaskStatus::draft, TaskStatus::todo, TaskStatus::doing, TaskStatus::done, TaskStatus::rejected}) {
        if (to_string(candidate) == text) {
            return candidate;
        }
    }
    return std::nullopt;
}

std::optional<TaskPriority> parse_task_priority(std::string_view text) {
    for (const TaskPriority candidate :
         {TaskPriority::critical, TaskPriority::high, TaskPriority::medium, TaskPriority::low}) {
        if (to_string(candidate) == text) {
            return candidate;
        }
    }
    return std::nullopt;
}

bool is_terminal(TaskStatus status) {
    switch (status) {
        case TaskStatus::draft:
        case TaskStatus::todo:
        case TaskStatus::doing:
            return false;
        case TaskStatus::done:
        case TaskStatus::rejected:
            return true;
    }
    return false;
}

std::string Task::agent_text(std::string_view key) const {
    const boost::json::object* const object = agent ? agent->if_object() : nullptr;
    const boost::json::value* const value = object == nullptr ? nullptr : object->if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

const std::string* Task::custom_field(std::string_view key) const {
    for (const auto& [name, value] : custom_fields) {
        if (name == key) {
            return &value;
        }
    }
    return nullptr;
}

const Task* TaskFile::find(std::string_view id) const {
    return find_task(*this, id);
}

Task* TaskFile::find(std::string_view id) {
    return find_task(*this, id);
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view white = " \t\n\v\f\r";
    const std::size_t first = text.find_first_not_of(white);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

bool comes_before(TaskPriority left, TaskPriority right) {
    return static_cast<int>(left) < static_cast<int>(right);
}

}  // namespace ralph::core
