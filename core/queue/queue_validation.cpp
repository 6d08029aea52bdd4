#include "core/queue/queue_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <charconv>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/base/time.h"
#include "core/queue/queue_graph.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

constexpr std::string_view queue_name = "queue.jsonc";
constexpr std::string_view done_name = "done.jsonc";

// Leaves room for a prefix in the 100 bytes of a safe id.
constexpr std::uint32_t widest_id = 90;

std::string upper_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return out;
}

bool has_white_space(std::string_view text) {
    return text.find_first_of(" \t\n\v\f\r") != std::string_view::npos;
}

Error task_error(const Task& task, std::string_view file, std::string_view problem, std::string remedy) {
    return Error{fmt::format("{} in {} {}", trimmed(task.id), file, problem), std::move(remedy)};
}

Result<void> check_rules(const QueueRules& rules) {
    if (rules.id_width == 0 || rules.id_width > widest_id) {
        return Error{fmt::format("the id width is {}", rules.id_width),
                     fmt::format("set queue.id_width to a number from 1 to {}", widest_id)};
    }
    if (trimmed(rules.id_prefix).empty()) {
        return Error{"the id prefix is blank", "set queue.id_prefix, for example to RQ"};
    }
    return {};
}

Result<void> check_id(const Task& task, std::size_t position, std::string_view file,
                      const QueueRules& rules) {
    if (trimmed(task.id).empty()) {
        return Error{fmt::format("task number {} in {} has a blank id", position + 1, file),
                     fmt::format("give it a free id of the form {}", format_task_id(1, rules))};
    }
    if (auto number = task_number(task.id, rules); !number) {
        Error error = number.error();
        error.remedy = fmt::format("correct the id in {}", file);
        return error;
    }
    return {};
}

Result<void> check_texts(const Task& task, std::string_view file) {
    if (trimmed(task.title).empty()) {
        return task_error(task, file, "has a blank title", "give it one");
    }
    using Items = std::pair<std::string_view, const std::vector<std::string>*>;
    for (const auto& [key, items] : {Items{"tags", &task.tags}, Items{"scope", &task.scope},
                                     Items{"evidence", &task.evidence}, Items{"plan", &task.plan}}) {
        for (std::size_t i = 0; i < items->size(); ++i) {
            if (trimmed((*items)[i]).empty()) {
                return task_error(task, file, fmt::format("has a blank item {}[{}]", key, i),
                                  "fill it in or remove it");
            }
        }
    }
    for (const auto& [key, value] : task.custom_fields) {
        if (trimmed(key).empty()) {
            return task_error(task, file, "has a custom field with a blank key", "name it or remove it");
        }
        if (has_white_space(key)) {
            return task_error(task, file,
                              fmt::format("has the custom field \"{}\", whose key contains white space", key),
                              "rename it, for example with underscores");
        }
    }
    return {};
}

Result<void> check_time(const Task& task, std::string_view file, std::string_view key,
                        const std::optional<std::string>& text, bool needed) {
    static constexpr std::string_view example = "2026-02-20T12:30:00Z";
    if (!text) {
        if (!needed) {
            return {};
        }
        return task_error(task, file, fmt::format("has no {}", key),
                          fmt::format("add \"{}\", a UTC time such as {}", key, example));
    }
    const auto time = parse_rfc3339(*text);
    if (!time || time->offset_minutes != 0) {
        return task_error(task, file, fmt::format("has the {} \"{}\", which is no UTC time", key, *text),
                          fmt::format("write it as {}", example));
    }
    return {};
}

Result<void> check_times(const Task& task, std::string_view file) {
    TRY(check_time(task, file, "created_at", task.created_at, true));
    TRY(check_time(task, file, "updated_at", task.updated_at, true));
    return check_time(task, file, "completed_at", task.completed_at, is_terminal(task.status));
}

// The reader refuses these already; tasks that were not read from a file meet the same bounds here.
Result<void> check_agent(const Task& task, std::string_view file) {
    const json::object* agent = task.agent ? task.agent->if_object() : nullptr;
    if (agent == nullptr) {
        return {};
    }
    const auto number = [agent](std::string_view key) -> std::optional<std::int64_t> {
        const json::value* value = agent->if_contains(key);
        return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
    };
    if (const auto iterations = number("iterations"); iterations && *iterations < 1) {
        return task_error(task, file, fmt::format("has agent.iterations {}", *iterations),
                          "set it to 1 or more");
    }
    if (const auto phases = number("phases"); phases && (*phases < 1 || *phases > 3)) {
        return task_error(task, file, fmt::format("has agent.phases {}", *phases), "set it to 1, 2 or 3");
    }
    return {};
}

Result<void> check_task(const Task& task, std::size_t position, std::string_view file,
                        const QueueRules& rules) {
    TRY(check_id(task, position, file, rules));
    TRY(check_texts(task, file));
    TRY(check_times(task, file));
    return check_agent(task, file);
}

Result<void> check_file(const TaskFile& file, std::string_view name, const QueueRules& rules) {
    if (file.version != 1) {
        return Error{fmt::format("{} has version {}", name, file.version),
                     "only version 1 is known; restore the file or update ralph"};
    }
    TRY(check_rules(rules));
    for (std::size_t i = 0; i < file.tasks.size(); ++i) {
        TRY(check_task(file.tasks[i], i, name, rules));
    }
    std::unordered_set<std::string_view> ids;
    for (const Task& task : file.tasks) {
        if (task.status != TaskStatus::rejected && !ids.insert(trimmed(task.id)).second) {
            return task_error(task, name, "stands there twice", "remove one of the two or give it a free id");
        }
    }
    return {};
}

Result<void> check_archive(const TaskFile& done) {
    for (const Task& task : done.tasks) {
        if (!is_terminal(task.status)) {
            return task_error(task, done_name, fmt::format("has the status {}", to_string(task.status)),
                              "move it to queue.jsonc or set its status to done or rejected");
        }
    }
    return {};
}

Result<void> check_across(const TaskFile& queue, const TaskFile& done) {
    std::unordered_set<std::string_view> ids;
    for (const Task& task : queue.tasks) {
        if (task.status != TaskStatus::rejected) {
            ids.insert(trimmed(task.id));
        }
    }
    for (const Task& task : done.tasks) {
        if (task.status != TaskStatus::rejected && ids.count(trimmed(task.id)) != 0) {
            return Error{
                fmt::format("{} stands both in {} and in {}", trimmed(task.id), queue_name, done_name),
                "remove the copy that is out of date"};
        }
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> validate_queue(const TaskFile& queue, const TaskFile& done,
                                                const QueueRules& rules) {
    TRY(check_file(queue, queue_name, rules));
    TRY(check_file(done, done_name, rules));
    TRY(check_archive(done));
    TRY(check_across(queue, done));
    return check_relations(queue, done, rules.max_dependency_depth);
}

Result<std::uint32_t> task_number(std::string_view id, const QueueRules& rules) {
    const auto refuse = [&](std::string_view reason) {
        return Error{
            fmt::format("\"{}\" is not a task id of the form {}: {}", id, format_task_id(1, rules), reason),
            "correct the id"};
    };
    const std::string_view whole = trimmed(id);
    const std::size_t dash = whole.find('-');
    if (dash == std::string_view::npos) {
        return refuse("it has no '-'");
    }
    if (upper_case(trimmed(whole.substr(0, dash))) != upper_case(trimmed(rules.id_prefix))) {
        return refuse("the prefix is another");
    }
    const std::string_view digits = whole.substr(dash + 1);
    const bool all_digits =
        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!all_digits) {
        return refuse("after the '-' only digits may stand");
    }
    // After the last number of that width the ids go on with longer ones; a number is never written twice.
    if (digits.size() < rules.id_width || (digits.size() > rules.id_width && digits.front() == '0')) {
        return refuse(fmt::format("it has {} digits instead of {}", digits.size(), rules.id_width));
    }
    std::uint32_t number = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (problem != std::errc{}) {
        return refuse("the number is too large");
    }
    return number;
}

std::string format_task_id(std::uint64_t number, const QueueRules& rules) {
    return fmt::format("{}-{:0{}}", upper_case(trimmed(rules.id_prefix)), number,
                       std::min(rules.id_width, widest_id));
}

bool is_safe_task_id(std::string_view id) {
    const auto is_safe = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '.';
    };
    return !id.empty() && id.size() <= 100 && id.front() != '.' && id.front() != '-' &&
           std::all_of(id.begin(), id.end(), is_safe);
}

}  // namespace ralph::core
