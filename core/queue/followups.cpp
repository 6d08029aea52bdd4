#include "core/queue/followups.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cstddef>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/check.h"
#include "core/base/json_reader.h"
#include "core/queue/queue_edit.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

void read_version(ObjectReader& reader) {
    reader.require("version");
    const json::value* version = reader.find("version");
    if (version == nullptr) {
        return;
    }
    const bool is_number = version->is_int64() && version->get_int64() == 1;
    const json::string* text = version->if_string();
    if (!is_number && (text == nullptr || *text != "followups@v1")) {
        reader.fail("version", "must be 1 or \"followups@v1\"");
    }
}

void require_text(ObjectReader& reader, std::string_view key, std::string& out) {
    reader.require(key, out);
    if (reader.ok() && trimmed(out).empty()) {
        reader.fail(key, "must not be blank");
    }
    out = trimmed(std::string(out));
}

FollowupTask followup_from(const json::value& value, std::string path, std::optional<JsonFault>& fault) {
    ObjectReader reader(value, std::move(path), fault);
    FollowupTask task;
    require_text(reader, "key", task.key);
    require_text(reader, "title", task.title);
    require_text(reader, "description", task.description);
    reader.require("priority");
    reader.read_as("priority", task.priority, parse_task_priority, "critical, high, medium or low");
    reader.read("tags", task.tags);
    reader.read("scope", task.scope);
    reader.read("evidence", task.evidence);
    reader.read("plan", task.plan);
    reader.read("depends_on_keys", task.depends_on_keys);
    require_text(reader, "independence_rationale", task.independence_rationale);
    reader.finish();
    return task;
}

using Positions = std::unordered_map<std::string_view, std::size_t>;

// The position of every key; of a key given twice the first.
Positions positions_of(const std::vector<FollowupTask>& tasks) {
    Positions positions;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        positions.emplace(trimmed(tasks[i].key), i);
    }
    return positions;
}

std::optional<JsonFault> check_keys(const std::vector<FollowupTask>& tasks) {
    const Positions positions = positions_of(tasks);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        if (positions.at(trimmed(tasks[i].key)) != i) {
            return JsonFault{fmt::format("tasks[{}].key", i),
                             fmt::format("must be unique, but \"{}\" is given twice", tasks[i].key)};
        }
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        for (std::size_t j = 0; j < tasks[i].depends_on_keys.size(); ++j) {
            const std::string_view wanted = trimmed(tasks[i].depends_on_keys[j]);
            const auto found = positions.find(wanted);
            if (found == positions.end()) {
                return JsonFault{fmt::format("tasks[{}].depends_on_keys[{}]", i, j),
                                 fmt::format("must be the key of a task proposed here, not \"{}\"", wanted)};
            }
            if (found->second == i) {
                return JsonFault{fmt::format("tasks[{}].depends_on_keys[{}]", i, j),
                                 "must not be the task's own key"};
            }
        }
    }
    return std::nullopt;
}

// Without line ends, so that it stays one line of the notes.
std::string one_line(std::string_view text) {
    std::string out;
    for (std::string_view rest = trimmed(text); !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find_first_of(" \t\n\v\f\r"));
        out += out.empty() ? "" : " ";
        out += word;
        rest = trimmed(rest.substr(word.size()));
    }
    return out;
}

Task task_from(const FollowupTask& followup, std::string_view id, const Task& source, Instant now) {
    Task task = make_task(id, followup.title, now);
    task.description = followup.description;
    task.priority = followup.priority;
    task.tags = followup.tags;
    task.scope = followup.scope;
    task.evidence = followup.evidence;
    task.plan = followup.plan;
    task.notes = {fmt::format("Follow-up of {}, proposed there as \"{}\": {}", trimmed(source.id),
                              one_line(followup.key), one_line(followup.independence_rationale))};
    task.request = source.request;
    task.relates_to = {std::string(trimmed(source.id))};
    return task;
}

}  // namespace

Result<FollowupProposal> read_followups(const JsonDocument& document, std::string_view source_task_id) {
    std::optional<JsonFault> fault;
    ObjectReader reader(document.root(), "", fault);
    FollowupProposal proposal;
    read_version(reader);
    require_text(reader, "source_task_id", proposal.source_task_id);
    if (reader.ok() && proposal.source_task_id != trimmed(source_task_id)) {
        reader.fail("source_task_id", fmt::format("must be \"{}\", the task that was worked on, not \"{}\"",
                                                  trimmed(source_task_id), proposal.source_task_id));
    }
    reader.require("tasks");
    if (const json::value* tasks = reader.find("tasks")) {
        if (const json::array* array = tasks->if_array()) {
            for (const json::value& value : *array) {
                const std::string path = fmt::format("tasks[{}]", proposal.tasks.size());
                proposal.tasks.push_back(followup_from(value, path, fault));
            }
        } else {
            reader.fail("tasks", "must be an array of tasks");
        }
    }
    reader.finish();
    if (!fault) {
        fault = check_keys(proposal.tasks);
    }
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return proposal;
}

Result<std::vector<std::string>> apply_followups(TaskFile& queue, const TaskFile& done, const Task& source,
                                                 const FollowupProposal& proposal, const QueueRules& rules,
                                                 Instant now, const std::vector<std::string>& taken) {
    auto ids = next_task_ids(queue, done, rules, proposal.tasks.size(), taken);
    if (!ids) {
        return ids.error();
    }
    const Positions positions = positions_of(proposal.tasks);
    std::vector<Task> tasks;
    tasks.reserve(ids->size());
    for (std::size_t i = 0; i < ids->size(); ++i) {
        tasks.push_back(task_from(proposal.tasks[i], (*ids)[i], source, now));
        for (const std::string& key : proposal.tasks[i].depends_on_keys) {
            const auto found = positions.find(trimmed(key));
            CHECK(found != positions.end());  // read_followups has refused unknown keys
            tasks.back().depends_on.push_back((*ids)[found->second]);
        }
    }
    const bool below_first = !queue.tasks.empty() && queue.tasks.front().status == TaskStatus::doing;
    TaskFile changed = queue;
    changed.tasks.insert(changed.tasks.begin() + (below_first ? 1 : 0),
                         std::make_move_iterator(tasks.begin()), std::make_move_iterator(tasks.end()));
    if (auto valid = validate_queue(changed, done, rules); !valid) {
        return Error{fmt::format("the follow-up tasks proposed by {} cannot be added: {}", trimmed(source.id),
                                 valid.error().message),
                     "correct the proposal or remove it"};
    }
    queue = std::move(changed);
    return ids;
}

}  // namespace ralph::core
