// Who works on a task: a command, or which agent with which model.
#pragma once

#include <optional>
#include <string>

#include "config/supervisor_config.h"
#include "core/base/error.h"
#include "core/queue/task.h"

namespace ralph::config {

struct AgentChoice {
    core::AgentPreset preset;
    std::string model;   // empty: the agent's own choice
    std::string effort;  // the same
};

// Nothing if a command works. `remediates`: a task's own command (custom_fields.run) only works, and does not
// repair. The task's own `agent` object comes before worker.agent, worker.model and worker.effort; where
// worker.command is set, that command may look at it by itself. An unknown agent is an error.
[[nodiscard]] core::Result<std::optional<AgentChoice>> choose_agent(const SupervisorConfig& settings,
                                                                    const core::Task& task,
                                                                    bool remediates = false);

// Whether a task's `agent.runner` counts.
[[nodiscard]] bool tasks_choose_agent(const SupervisorConfig& settings);

}  // namespace ralph::config
