#include "core/agents/agent_record.h"

#include <algorithm>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace {

constexpr std::uint32_t format_version = 1;

void read_members(ObjectReader& reader, AgentRecord& record) {
    reader.require("agent", record.agent);
    reader.read("account", record.account);
    reader.read("program_version", record.program_version);
    reader.read("model", record.model);
    reader.read("effort", record.effort);
    reader.read("phase", record.phase);
    reader.read("task", record.task);
    reader.read("session", record.session);
    reader.read("resumed", record.resumed);
    record.answered = true;  // the first records did not say
    reader.read("answered", record.answered);
    reader.read("session_note", record.session_note);
    std::optional<std::string> verdict;
    reader.read("verdict", verdict);
    if (verdict && !(record.verdict = parse_verdict(*verdict))) {
        reader.fail("verdict", "is none that this ralph knows");
    }
    reader.read("message", record.message);
    std::uint32_t exit_status = 0;
    std::uint32_t signal = 0;
    reader.read("exit_status", exit_status);
    reader.read("signal", signal);
    reader.read("ended_by", record.ended_by);
    record.exit_status = static_cast<int>(std::min(exit_status, 255U));
    record.signal = static_cast<int>(std::min(signal, 255U));
    reader.read("resets_at", record.resets_at);
    read_usage(reader, record.usage);
    reader.read("faults", record.faults);
    reader.read("started_at", record.started_at);
    reader.read("ended_at", record.ended_at);
    record.message = printable(record.message);
    record.session_note = printable(record.session_note);
}

boost::json::object object_of(const AgentRecord& record) {
    boost::json::object root;
    root["agent"] = record.agent;
    root["account"] = record.account;
    root["program_version"] = record.program_version;
    root["model"] = record.model;
    root["effort"] = record.effort;
    root["phase"] = record.phase;
    root["task"] = record.task;
    root["session"] = record.session;
    root["resumed"] = record.resumed;
    root["answered"] = record.answered;
    root["session_note"] = record.session_note;
    root["verdict"] = record.verdict ? boost::json::value(to_string(*record.verdict)) : nullptr;
    root["message"] = record.message;
    root["exit_status"] = record.exit_status;
    root["signal"] = record.signal;
    root["ended_by"] = record.ended_by;
    root["resets_at"] = record.resets_at;
    add_usage(root, record.usage);
    root["faults"] = record.faults;
    root["started_at"] = record.started_at;
    root["ended_at"] = record.ended_at;
    return root;
}

}  // namespace

std::string agent_record_text(const AgentRecord& record) {
    boost::json::object root;
    root["version"] = format_version;
    for (auto& [key, value] : object_of(record)) {
        root[key] = std::move(value);
    }
    boost::json::array finished;
    for (const AgentRecord& phase : record.finished) {
        finished.push_back(object_of(phase));
    }
    root["finished"] = std::move(finished);
    return canonical_json(root);
}

Result<AgentRecord> read_agent_record(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    AgentRecord record;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(format_version);
    read_members(reader, record);
    reader.read_objects("finished", [&record](ObjectReader& phase) {
        AgentRecord finished;
        read_members(phase, finished);
        record.finished.push_back(std::move(finished));
    });
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return record;
}

}  // namespace ralph::core
