// Tasks as queue.jsonc and done.jsonc hold them (contract sections 1.1 and 1.2).
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ralph::core {

enum class TaskStatus { draft, todo, doing, done, rejected };
enum class TaskPriority { critical, high, medium, low };

[[nodiscard]] std::string_view to_string(TaskStatus status);
[[nodiscard]] std::string_view to_string(TaskPriority priority);
[[nodiscard]] std::optional<TaskStatus> parse_task_status(std::string_view text);
[[nodiscard]] std::optional<TaskPriority> parse_task_priority(std::string_view text);
// Critical before high before medium before low.
[[nodiscard]] bool comes_before(TaskPriority left, TaskPriority right);
[[nodiscard]] bool is_terminal(TaskStatus status);  // done or rejected

// cueloop marks containers with kind "group"; they are never run (contract section 14.3).
enum class TaskKind { work_item, group };

// The fields stand in the order in which they are written.
struct Task {
    std::string id;
    TaskStatus status = TaskStatus::todo;
    TaskKind kind = TaskKind::work_item;  // written only for groups
    std::string title;
    std::optional<std::string> description;
    TaskPriority priority = TaskPriority::medium;
    std::vector<std::string> tags;
    std::vector<std::string> scope;
    std::vector<std::string> evidence;
    std::vector<std::string> plan;
    std::vector<std::string> notes;
    std::optional<std::string> request;
    std::optional<boost::json::value> agent;  // validated on reading, otherwise passed through untouched
    std::optional<std::string> created_at;
    std::optional<std::string> updated_at;
    std::optional<std::string> completed_at;
    std::optional<std::string> started_at;
    std::optional<std::uint32_t> estimated_minutes;
    std::optional<std::uint32_t> actual_minutes;
    std::optional<std::string> scheduled_start;
    std::vector<std::string> depends_on;
    std::vector<std::string> blocks;
    std::vector<std::string> relates_to;
    std::optional<std::string> duplicates;
    std::vector<std::pair<std::string, std::string>> custom_fields;  // in the order of the file
    std::optional<std::string> parent_id;

    // The value of a custom field, or nullptr.
    [[nodiscard]] const std::string* custom_field(std::string_view key) const;

    // A text of the agent object; empty if it is not there.
    [[nodiscard]] std::string agent_text(std::string_view key) const;

    bool operator==(const Task&) const = default;
};

struct TaskFile {
    std::uint32_t version = 1;
    std::vector<Task> tasks;

    // Identity is the trimmed id, case-sensitive; nullptr if there is none. An id may be held twice when one
    // copy is rejected (contract section 1.5), since new ids skip rejected ones: the first copy that is not
    // rejected wins, else the first.
    [[nodiscard]] const Task* find(std::string_view id) const;
    [[nodiscard]] Task* find(std::string_view id);

    bool operator==(const TaskFile&) const = default;
};

// Without leading and trailing ASCII white space.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace ralph::core
