// Who works on a task: a command, or which agent with which model, in how many phases.
#pragma once

#include <string>
#include <vector>

#include "config/supervisor_config.h"
#include "core/base/error.h"
#include "core/queue/task.h"

namespace ralph::config {

struct AgentChoice {
    std::string phase;  // empty: the whole work at once
    core::AgentPreset preset;
    std::string model;   // empty: the agent's own choice
    std::string effort;  // the same
    std::string prompt_file;
    bool keeps_session = true;  // as PhaseSettings
};

// The agents that work on a task, one after the other; empty if a command works. `remediates`: one agent, in
// no phase; and a task's own command (custom_fields.run) only works, and does not repair.
//
// The task's own `agent` object comes before the settings, its phase_overrides before its runner and model,
// and the settings of a phase before those of the worker. Its `phases` is how many there are: 1 is the whole
// work at once. Where worker.command is set, that command may look at the object by itself. An unknown agent
// is an error.
[[nodiscard]] core::Result<std::vector<AgentChoice>> choose_agents(const SupervisorConfig& settings,
                                                                   const core::Task& task,
                                                                   bool remediates = false);

// Whether a task's `agent.runner` counts.
[[nodiscard]] bool tasks_choose_agent(const SupervisorConfig& settings);

}  // namespace ralph::config
