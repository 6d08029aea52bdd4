#include "config/agent_choice.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace ralph::config {
bool tasks_choose_agent(const SupervisorConfig& settings) {
    return !settings.worker.agent.empty() || settings.worker.command.empty();
}

core::Result<std::optional<AgentChoice>> choose_agent(const SupervisorConfig& settings,
                                                      const core::Task& task, bool remediates) {
    if (task.custom_field("run") != nullptr && !remediates) {
        return std::optional<AgentChoice>{};
    }
    const std::string runner = tasks_choose_agent(settings) ? task.agent_text("runner") : std::string{};
    const std::string& name = runner.empty() ? settings.worker.agent : runner;
    if (name.empty()) {
        return std::optional<AgentChoice>{};
    }
    const auto found = settings.agents.find(name);
    if (found == settings.agents.end()) {
        return core::Error{
            fmt::format("{} asks for the agent \"{}\", which is none of {}", core::trimmed(task.id),
                        core::printable(name), names_of(settings.agents)),
            "change its agent.runner, or describe that agent in `agents` of .ralph/supervisor.jsonc"};
    }
    AgentChoice choice{found->second, task.agent_text("model"), task.agent_text("model_effort")};
    // A model belongs to an agent: that of the settings says nothing about another agent.
    const bool is_usual = name == settings.worker.agent;
    if (choice.model.empty() && is_usual) {
        choice.model = settings.worker.model;
    }
    if ((choice.effort.empty() || choice.effort == "default") && is_usual) {
        choice.effort = settings.worker.effort;
    }
    if (choice.effort == "default") {
        choice.effort.clear();
    }
    if (choice.model.substr(0, 1) == "-") {
        return core::Error{fmt::format("{} asks for the model \"{}\", which looks like an option",
                                       core::trimmed(task.id), core::printable(choice.model)),
                           "change its agent.model"};
    }
    return std::optional(std::move(choice));
}

}  // namespace ralph::config
