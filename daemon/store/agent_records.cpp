#include "daemon/store/agent_records.h"

#include <algorithm>
#include <utility>

#include "core/base/jsonc.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t record_limit = std::size_t{1} << 20U;

std::string path_of(const std::string& run_directory) {
    return run_directory + "/agent.json";
}

}  // namespace

Result<void> write_agent_record(const std::string& run_directory, const core::AgentRecord& record) {
    return write_file_durably(path_of(run_directory), core::agent_record_text(record));
}

Result<std::optional<core::AgentRecord>> read_agent_record(const std::string& run_directory) {
    const std::string path = path_of(run_directory);
    TRY_ASSIGN(auto text, read_file(path, record_limit));
    if (!text) {
        return std::optional<core::AgentRecord>{};
    }
    const auto document = core::JsonDocument::parse(std::move(*text), path);
    auto record = document ? core::read_agent_record(*document) : Result<core::AgentRecord>{document.error()};
    return record ? std::optional(std::move(*record)) : std::optional<core::AgentRecord>{};
}

Result<std::vector<AgentRun>> agent_runs(const Paths& paths, const std::string& task_id) {
    std::vector<AgentRun> runs;
    TRY_ASSIGN(const auto names, list_directory(paths.runs_of(task_id)));
    for (const std::string& name : names) {
        const auto run = core::parse_run_directory_name(name);
        if (!run) {
            continue;
        }
        TRY_ASSIGN(auto record, read_agent_record(paths.runs_of(task_id) + "/" + name));
        if (record) {
            for (core::AgentRecord& phase : std::exchange(record->finished, {})) {
                runs.push_back({run->number, run->step, std::move(phase)});
            }
            runs.push_back({run->number, run->step, std::move(*record)});
        }
    }
    std::stable_sort(runs.begin(), runs.end(),
                     [](const AgentRun& left, const AgentRun& right) { return left.number < right.number; });
    return runs;
}

}  // namespace ralph::daemon
