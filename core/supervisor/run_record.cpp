#include "core/supervisor/run_record.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <csignal>
#include <cstring>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/supervisor/transition.h"

namespace ralph::core {
namespace json = boost::json;
namespace {

constexpr auto all_steps = {StepKind::prepare, StepKind::work, StepKind::integrate, StepKind::remediate,
                            StepKind::discard};

template <class T>
Result<T> finished(const JsonDocument& document, const std::optional<JsonFault>& fault, T value) {
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return value;
}

BatchEnd read_batch_end(const json::value& value, std::string path, std::optional<JsonFault>& fault) {
    BatchEnd end;
    ObjectReader reader(value, std::move(path), fault);
    reader.require("task_id", end.task_id);
    reader.require("code", end.code);
    if (reader.ok() && end.code > 255) {
        reader.fail("code", "is no exit status");
    }
    reader.read("summary", end.summary);
    reader.read("note", end.note);
    reader.read("landed_sha", end.landed_sha);
    reader.read("landed_by", end.landed_by);
    end.landed_by = printable(end.landed_by);
    end.summary = printable(end.summary);
    end.note = printable(end.note);
    return end;
}

void read_batch(ObjectReader& reader, std::optional<JsonFault>& fault, std::vector<BatchEnd>& out) {
    const json::value* const value = reader.find("batch");
    if (value == nullptr) {
        return;
    }
    const json::array* const items = value->if_array();
    if (items == nullptr) {
        reader.fail("batch", "must be an array");
        return;
    }
    for (const json::value& item : *items) {
        out.push_back(read_batch_end(item, fmt::format("batch[{}]", out.size()), fault));
    }
}

json::array strings(const std::vector<std::string>& items) {
    json::array array;
    for (const std::string& item : items) {
        array.emplace_back(item);
    }
    return array;
}

std::string error_text(std::uint32_t error_number) {
    const char* const text = strerrordesc_np(static_cast<int>(error_number));
    return text == nullptr ? fmt::format("error {}", error_number) : text;
}

}  // namespace

std::string_view to_string(StepKind step) {
    switch (step) {
        case StepKind::prepare:
            return "prepare";
        case StepKind::work:
            return "work";
        case StepKind::integrate:
            return "integrate";
        case StepKind::remediate:
            return "remediate";
        case StepKind::discard:
            return "discard";
    }
    return "";
}

std::optional<StepKind> parse_step_kind(std::string_view text) {
    for (const StepKind step : all_steps) {
        if (to_string(step) == text) {
            return step;
        }
    }
    return std::nullopt;
}

bool counts_as_lost(StepKind step, const ExitRecord& record, bool leads_batch, bool by_agent) {
    const bool is_verdict =
        !record.timed_out && (record.exited_with(0) || record.exited_with(exit_blocked) ||
                              record.exited_with(exit_fixable) || record.exited_with(exit_nothing_to_land) ||
                              record.exited_with(exit_unavailable) || record.exited_with(exit_try_again));
    if (step == StepKind::integrate && leads_batch && !record.stopped && !is_verdict) {
        return true;
    }
    const bool runs_again =
        step == StepKind::work || step == StepKind::remediate ? by_agent && !record.out_of_memory : true;
    return runs_again && record.kind == ExitRecord::Kind::signalled && !record.stopped && !record.timed_out;
}

bool counts_as_integration(const ExitRecord& record, bool target_is_red, bool leads_batch) {
    return !record.stopped && !record.exited_with(exit_nothing_to_land) &&
           !record.exited_with(exit_unavailable) && !(target_is_red && record.exited_with(exit_try_again)) &&
           !counts_as_lost(StepKind::integrate, record, leads_batch);
}

std::string run_directory_name(const Run& run) {
    return fmt::format("{}-{}", run.number, to_string(run.step));
}

std::optional<RunName> parse_run_directory_name(std::string_view name) {
    std::uint32_t number = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, problem] = std::from_chars(name.data(), end, number);
    if (problem != std::errc{} || name.front() == '0' || rest == end || *rest != '-') {
        return std::nullopt;
    }
    const auto step = parse_step_kind(name.substr(static_cast<std::size_t>(rest - name.data()) + 1));
    if (!step) {
        return std::nullopt;
    }
    return RunName{number, *step};
}

std::string run_spec_text(const RunSpec& spec) {
    json::object root;
    root["version"] = run_format_version;
    root["task_id"] = spec.task_id;
    root["step"] = to_string(spec.run.step);
    root["number"] = spec.run.number;
    root["attempt"] = spec.run.attempt;
    root["slot"] = spec.slot;
    root["run_id"] = spec.run_id;
    root["command"] = strings(spec.command);
    root["environment_names"] = strings(spec.environment_names);
    root["working_directory"] = spec.working_directory;
    root["created_at"] = spec.created_at;
    if (!spec.batch.empty()) {
        root["batch"] = strings(spec.batch);
    }
    if (!spec.agent.empty()) {
        root["agent"] = spec.agent;
    }
    if (spec.settings) {
        root["settings"] = *spec.settings;
    }
    return canonical_json(root);
}

Result<RunSpec> read_run_spec(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    RunSpec spec;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(run_format_version);
    reader.require("task_id", spec.task_id);
    reader.require("step");
    reader.read_as("step", spec.run.step, parse_step_kind, "prepare, work, integrate, remediate or discard");
    reader.require("number", spec.run.number);
    reader.require("attempt", spec.run.attempt);
    reader.require("slot", spec.slot);
    reader.require("run_id", spec.run_id);
    reader.read("command", spec.command);
    reader.read("environment_names", spec.environment_names);
    reader.read("working_directory", spec.working_directory);
    reader.read("created_at", spec.created_at);
    reader.read("batch", spec.batch);
    reader.read("agent", spec.agent);
    if (const json::value* const settings = reader.find("settings");
        settings != nullptr && settings->is_object()) {
        spec.settings = settings->as_object();
    }
    return finished(document, fault, std::move(spec));
}

Result<ProcessRecord> read_process_record(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    ProcessRecord record;
    ProcessIdentity& identity = record.identity;
    std::uint32_t pid = 0;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(run_format_version);
    reader.require("pid", pid);
    reader.require("start_ticks");
    reader.read("start_ticks", identity.start_ticks);
    reader.require("boot_id", identity.boot_id);
    if (reader.ok() && (pid == 0 || pid > 0x7fffffffU)) {
        reader.fail("pid", "is not a process id");
    }
    identity.pid = static_cast<std::int32_t>(pid);
    reader.read("cgroup", record.cgroup);
    return finished(document, fault, std::move(record));
}

Result<ExitRecord> read_exit_record(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    ExitRecord record;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(run_format_version);
    std::string kind;
    reader.require("kind", kind);
    if (reader.ok() && kind != "exited" && kind != "signalled") {
        reader.fail("kind", "must be \"exited\" or \"signalled\"");
    }
    record.kind = kind == "signalled" ? ExitRecord::Kind::signalled : ExitRecord::Kind::exited;
    reader.require("value", record.value);
    if (reader.ok() &&
        (record.value > 255 || (kind == "signalled" && (record.value == 0 || record.value > 64)))) {
        reader.fail("value", "is no exit status and no signal");
    }
    reader.read("core_dumped", record.core_dumped);
    reader.read("timed_out", record.timed_out);
    reader.read("stopped", record.stopped);
    reader.read("out_of_memory", record.out_of_memory);
    reader.read("started_at", record.started_at);
    reader.read("ended_at", record.ended_at);
    reader.read("user_cpu_microseconds", record.user_cpu_microseconds);
    reader.read("system_cpu_microseconds", record.system_cpu_microseconds);
    reader.read("peak_memory_kib", record.peak_memory_kib);
    reader.read("exec_error", record.exec_error);
    return finished(document, fault, std::move(record));
}

std::string outcome_text(const Outcome& outcome) {
    json::object root;
    root["version"] = run_format_version;
    root["summary"] = printable(outcome.summary);
    root["note"] = printable(outcome.note);
    root["base_sha"] = outcome.base_sha;
    root["landed_sha"] = outcome.landed_sha;
    if (!outcome.kept.empty()) {
        root["kept"] = outcome.kept;
    }
    if (outcome.target_is_red) {
        root["target_is_red"] = true;
    }
    if (!outcome.paused_account.empty()) {
        root["paused_account"] = outcome.paused_account;
    }
    if (!outcome.landed_by.empty()) {
        root["landed_by"] = printable(outcome.landed_by);
    }
    if (!outcome.batch.empty()) {
        json::array batch;
        for (const BatchEnd& end : outcome.batch) {
            json::object object;
            object["task_id"] = end.task_id;
            object["code"] = end.code;
            object["summary"] = printable(end.summary);
            object["note"] = printable(end.note);
            object["landed_sha"] = end.landed_sha;
            if (!end.landed_by.empty()) {
                object["landed_by"] = printable(end.landed_by);
            }
            batch.push_back(std::move(object));
        }
        root["batch"] = std::move(batch);
    }
    return canonical_json(root);
}

Result<Outcome> read_outcome(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    Outcome outcome;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(run_format_version);
    reader.read("summary", outcome.summary);
    reader.read("note", outcome.note);
    reader.read("base_sha", outcome.base_sha);
    reader.read("landed_sha", outcome.landed_sha);
    reader.read("kept", outcome.kept);
    reader.read("target_is_red", outcome.target_is_red);
    reader.read("paused_account", outcome.paused_account);
    reader.read("landed_by", outcome.landed_by);
    read_batch(reader, fault, outcome.batch);
    outcome.summary = printable(outcome.summary);  // one line, whoever wrote it
    outcome.note = printable(outcome.note);
    outcome.landed_by = printable(outcome.landed_by);
    return finished(document, fault, std::move(outcome));
}

std::string landed_by_text(std::string_view landed_by) {
    return fmt::format("landed by somebody else: {}", landed_by);
}

std::string landing_progress_text(const LandingProgress& progress) {
    json::object root;
    root["version"] = run_format_version;
    root["doing"] = progress.doing;
    root["gate"] = progress.gate;
    root["candidate"] = progress.candidate;
    root["tasks"] = strings(progress.tasks);
    root["ahead"] = strings(progress.ahead);
    root["since"] = progress.since;
    return canonical_json(root);
}

Result<LandingProgress> read_landing_progress(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    LandingProgress progress;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(run_format_version);
    reader.require("doing", progress.doing);
    reader.read("gate", progress.gate);
    reader.read("candidate", progress.candidate);
    reader.read("tasks", progress.tasks);
    reader.read("ahead", progress.ahead);
    reader.read("since", progress.since);
    return finished(document, fault, std::move(progress));
}

std::string block_marker_text(const BlockMarker& marker) {
    json::object root;
    root["task_id"] = marker.task_id;
    root["reason"] = printable(marker.reason);
    root["attempt"] = marker.attempt;
    root["max_attempts"] = marker.max_attempts;
    root["generated_at"] = marker.generated_at;
    return canonical_json(root);
}

Result<BlockMarker> read_block_marker(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    BlockMarker marker;
    ObjectReader reader(document.root(), "", fault);
    reader.require("task_id", marker.task_id);
    reader.require("reason", marker.reason);
    reader.require("attempt", marker.attempt);
    reader.require("max_attempts", marker.max_attempts);
    reader.require("generated_at", marker.generated_at);
    marker.reason = printable(marker.reason);
    return finished(document, fault, std::move(marker));
}

std::string describe(const ExitRecord& record) {
    if (record.timed_out) {
        return "ran out of time";
    }
    if (record.stopped) {
        return "was stopped";
    }
    if (record.out_of_memory) {
        return "was killed by the kernel: out of memory";
    }
    if (record.exec_error != 0) {
        return fmt::format("could not be executed: {}", error_text(record.exec_error));
    }
    switch (record.kind) {
        case ExitRecord::Kind::exited:
            return fmt::format("exited with status {}", record.value);
        case ExitRecord::Kind::signalled: {
            const char* const name = sigabbrev_np(static_cast<int>(record.value));
            const std::string signal = name == nullptr ? "" : fmt::format(" (SIG{})", name);
            return fmt::format("was killed by signal {}{}{}", record.value, signal,
                               record.core_dumped ? ", core dumped" : "");
        }
    }
    return "";
}

}  // namespace ralph::core
