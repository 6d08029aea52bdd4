// agent.json in the run directories: what the agents' runs of a task say together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/agents/agent_record.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct AgentRun {
    std::uint32_t number = 0;
    core::StepKind step = core::StepKind::work;
    core::AgentRecord record;
};

[[nodiscard]] Result<void> write_agent_record(const std::string& run_directory,
                                              const core::AgentRecord& record);
[[nodiscard]] Result<std::optional<core::AgentRecord>> read_agent_record(const std::string& run_directory);

// By number, and each phase of a run by itself. A record that cannot be understood is passed over: it was
// written by another version.
[[nodiscard]] Result<std::vector<AgentRun>> agent_runs(const Paths& paths, const std::string& task_id);

}  // namespace ralph::daemon
