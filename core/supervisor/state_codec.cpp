#include "core/supervisor/state_codec.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace json = boost::json;
namespace {

WorkerRecord read_record(const json::value& value, const std::string& path, std::optional<JsonFault>& fault) {
    WorkerRecord record;
    ObjectReader reader(value, path, fault);
    reader.require("task_id", record.task_id);
    reader.require("workspace_path", record.workspace_path);
    reader.read_as("lifecycle", record.lifecycle, parse_lifecycle,
                   "running, integrating, completed, failed or blocked_push");
    reader.require("started_at", record.started_at);
    reader.read("completed_at", record.completed_at);
    reader.read("push_attempts", record.push_attempts);
    reader.read("last_error", record.last_error);
    return record;
}

}  // namespace

Result<ParallelState> read_state(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    ParallelState state;
    state.schema_version = 1;
    ObjectReader reader(document.root(), "", fault);
    reader.read("schema_version", state.schema_version);
    reader.read("started_at", state.started_at);
    reader.read("target_branch", state.target_branch);
    if (const json::value* workers = reader.find("workers")) {
        if (const json::array* array = workers->if_array()) {
            state.workers.reserve(array->size());
            for (const json::value& element : *array) {
                state.workers.push_back(
                    read_record(element, fmt::format("workers[{}]", state.workers.size()), fault));
            }
        } else {
            reader.fail("workers", "must be an array");
        }
    }
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    if (state.schema_version < state_schema_version) {
        state.schema_version = state_schema_version;
        state.workers.clear();
    }
    return state;
}

std::string state_text(const ParallelState& state) {
    json::array workers;
    workers.reserve(state.workers.size());
    for (const WorkerRecord& record : state.workers) {
        json::object object;
        object["task_id"] = record.task_id;
        object["workspace_path"] = record.workspace_path;
        object["lifecycle"] = to_string(record.lifecycle);
        object["started_at"] = record.started_at;
        if (record.completed_at) {
            object["completed_at"] = *record.completed_at;
        }
        object["push_attempts"] = record.push_attempts;
        if (record.last_error) {
            object["last_error"] = *record.last_error;
        }
        workers.push_back(std::move(object));
    }
    json::object root;
    root["schema_version"] = state.schema_version;
    root["started_at"] = state.started_at;
    root["target_branch"] = state.target_branch;
    root["workers"] = std::move(workers);
    return canonical_json(root);
}

}  // namespace ralph::core
