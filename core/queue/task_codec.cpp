#include "core/queue/task_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

std::optional<TaskKind> parse_task_kind(std::string_view text) {
    if (text == "work_item") {
        return TaskKind::work_item;
    }
    if (text == "group") {
        return TaskKind::group;
    }
    return std::nullopt;
}

using Choices = std::span<const std::string_view>;
constexpr std::array<std::string_view, 5> model_efforts{"default", "low", "medium", "high", "xhigh"};
constexpr Choices reasoning_efforts = Choices(model_efforts).subspan(1);

void check_choice(ObjectReader& reader, std::string_view key, const std::optional<std::string>& text,
                  Choices choices) {
    if (text && std::find(choices.begin(), choices.end(), *text) == choices.end()) {
        reader.fail(key, fmt::format("must be one of {}, not \"{}\"", fmt::join(choices, ", "), *text));
    }
}

void check_model(ObjectReader& reader) {
    std::optional<std::string> model;
    reader.read("model", model);
    if (model && trimmed(*model).empty()) {
        reader.fail("model", "must not be blank");
    }
}

void check_effort(ObjectReader& reader, std::string_view key) {
    std::optional<std::string> effort;
    reader.read(key, effort);
    check_choice(reader, key, effort, reasoning_efforts);
}

void check_number(ObjectReader& reader, std::string_view key, std::uint32_t least, std::uint32_t most) {
    std::optional<std::uint32_t> number;
    reader.read(key, number);
    if (number && (*number < least || *number > most)) {
        reader.fail(key, most == UINT32_MAX ? fmt::format("must be {} or more", least)
                                            : fmt::format("must be from {} to {}", least, most));
    }
}

// Calls `read` with a reader of the object at `key`, unless that is absent or null.
template <class Read>
void read_nested(ObjectReader& reader, std::string_view key, std::optional<JsonFault>& fault, Read read) {
    const json::value* value = reader.find(key);
    if (value != nullptr && !value->is_null()) {
        ObjectReader nested(*value, reader.path_of(key), fault);
        read(nested);
        nested.finish();
    }
}

// The keys of contract section 1.2; `cursor` is cueloop's (section 14.4) and belongs to its runner.
void check_agent(ObjectReader& agent, std::optional<JsonFault>& fault) {
    std::optional<std::string> runner;
    agent.read("runner", runner);
    check_model(agent);
    if (agent.find("model_effort") != nullptr) {
        std::string effort;
        agent.read("model_effort", effort);
        check_choice(agent, "model_effort", effort, model_efforts);
    }
    check_number(agent, "phases", 1, 3);
    check_number(agent, "iterations", 1, UINT32_MAX);
    check_effort(agent, "followup_reasoning_effort");
    read_nested(agent, "runner_cli", fault, [](ObjectReader& options) {
        for (const std::string_view key : {"output_format", "verbosity", "approval_mode", "sandbox",
                                           "plan_mode", "unsupported_option_policy"}) {
            std::optional<std::string> option;
            options.read(key, option);
        }
    });
    read_nested(agent, "phase_overrides", fault, [&fault](ObjectReader& phases) {
        for (const std::string_view key : {"phase1", "phase2", "phase3"}) {
            read_nested(phases, key, fault, [](ObjectReader& phase) {
                std::optional<std::string> phase_runner;
                phase.read("runner", phase_runner);
                check_model(phase);
                check_effort(phase, "reasoning_effort");
                phase.ignore("cursor");
            });
        }
    });
    agent.ignore("cursor");
}

// Numbers and booleans are taken as their text, as the Rust tools take them.
void read_custom_fields(ObjectReader& reader, std::vector<std::pair<std::string, std::string>>& out) {
    const json::value* value = reader.find("custom_fields");
    if (value == nullptr) {
        return;
    }
    const json::object* fields = value->if_object();
    if (fields == nullptr) {
        reader.fail("custom_fields", "must be an object");
        return;
    }
    out.reserve(fields->size());
    for (const auto& [key, field] : *fields) {
        if (const json::string* text = field.if_string()) {
            out.emplace_back(std::string(key), std::string(text->data(), text->size()));
        } else if (field.is_number() || field.is_bool()) {
            out.emplace_back(std::string(key), canonical_json(field));
        } else {
            reader.fail(fmt::format("custom_fields.{}", std::string_view(key)),
                        "must be a string, a number, true or false");
            return;
        }
    }
}

Task task_from(const json::value& value, std::string path, std::optional<JsonFault>& fault) {
    ObjectReader reader(value, std::move(path), fault);
    Task task;
    reader.require("id", task.id);
    reader.read_as("status", task.status, parse_task_status, "draft, todo, doing, done or rejected");
    reader.read_as("kind", task.kind, parse_task_kind, "work_item or group");
    reader.require("title", task.title);
    reader.read("description", task.description);
    reader.read_as("priority", task.priority, parse_task_priority, "critical, high, medium or low");
    reader.read("tags", task.tags);
    reader.read("scope", task.scope);
    reader.read("evidence", task.evidence);
    reader.read("plan", task.plan);
    reader.read("notes", task.notes);
    reader.read("request", task.request);
    read_nested(reader, "agent", fault, [&fault](ObjectReader& agent) { check_agent(agent, fault); });
    if (const json::value* agent = reader.find("agent"); agent != nullptr && !agent->is_null()) {
        task.agent = *agent;
    }
    reader.read("created_at", task.created_at);
    reader.read("updated_at", task.updated_at);
    reader.read("completed_at", task.completed_at);
    reader.read("started_at", task.started_at);
    reader.read("estimated_minutes", task.estimated_minutes);
    reader.read("actual_minutes", task.actual_minutes);
    reader.read("scheduled_start", task.scheduled_start);
    reader.read("depends_on", task.depends_on);
    reader.read("blocks", task.blocks);
    reader.read("relates_to", task.relates_to);
    reader.read("duplicates", task.duplicates);
    read_custom_fields(reader, task.custom_fields);
    reader.read("parent_id", task.parent_id);
    reader.finish();
    return task;
}

void put(json::object& object, std::string_view key, const std::string& text) {
    object.emplace(key, json::string(text));
}

void put(json::object& object, std::string_view key, const std::optional<std::string>& text) {
    if (text) {
        put(object, key, *text);
    }
}

void put(json::object& object, std::string_view key, const std::optional<std::uint32_t>& number) {
    if (number) {
        object.emplace(key, *number);
    }
}

void put(json::object& object, std::string_view key, const std::vector<std::string>& items) {
    json::array array;
    array.reserve(items.size());
    for (const std::string& item : items) {
        array.emplace_back(json::string(item));
    }
    object.emplace(key, std::move(array));
}

}  // namespace

Result<TaskFile> read_task_file(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    ObjectReader reader(document.root(), "", fault);
    TaskFile file;
    reader.require("version", file.version);
    if (const json::value* tasks = reader.find("tasks")) {
        if (const json::array* array = tasks->if_array()) {
            file.tasks.reserve(array->size());
            for (const json::value& value : *array) {
                file.tasks.push_back(task_from(value, fmt::format("tasks[{}]", file.tasks.size()), fault));
                if (fault) {
                    break;
                }
            }
        } else {
            reader.fail("tasks", "must be an array of tasks");
        }
    }
    reader.finish();
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return file;
}

Result<Task> read_task(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    Task task = task_from(document.root(), "", fault);
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return task;
}

json::object write_task(const Task& task) {
    json::object object;
    put(object, "id", task.id);
    put(object, "status", std::string(to_string(task.status)));
    switch (task.kind) {
        case TaskKind::work_item:
            break;
        case TaskKind::group:
            put(object, "kind", std::string("group"));
            break;
    }
    put(object, "title", task.title);
    put(object, "description", task.description);
    put(object, "priority", std::string(to_string(task.priority)));
    put(object, "tags", task.tags);
    put(object, "scope", task.scope);
    put(object, "evidence", task.evidence);
    put(object, "plan", task.plan);
    put(object, "notes", task.notes);
    put(object, "request", task.request);
    if (task.agent) {
        object.emplace("agent", *task.agent);
    }
    put(object, "created_at", task.created_at);
    put(object, "updated_at", task.updated_at);
    put(object, "completed_at", task.completed_at);
    put(object, "started_at", task.started_at);
    put(object, "estimated_minutes", task.estimated_minutes);
    put(object, "actual_minutes", task.actual_minutes);
    put(object, "scheduled_start", task.scheduled_start);
    put(object, "depends_on", task.depends_on);
    put(object, "blocks", task.blocks);
    put(object, "relates_to", task.relates_to);
    put(object, "duplicates", task.duplicates);
    json::object fields;
    for (const auto& [key, value] : task.custom_fields) {
        put(fields, key, value);
    }
    object.emplace("custom_fields", std::move(fields));
    put(object, "parent_id", task.parent_id);
    return object;
}

std::string task_file_text(const TaskFile& file) {
    json::array tasks;
    tasks.reserve(file.tasks.size());
    for (const Task& task : file.tasks) {
        tasks.emplace_back(write_task(task));
    }
    json::object root;
    root.emplace("version", file.version);
    root.emplace("tasks", std::move(tasks));
    return canonical_json(root);
}

}  // namespace ralph::core
