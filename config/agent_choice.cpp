#include "config/agent_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/object.hpp>
#include <vector>

#include "core/base/error.h"

namespace ralph::config {
namespace {

std::string member(const core::Task& task, std::string_view key) {
    const boost::json::object* const agent = task.agent ? task.agent->if_object() : nullptr;
    const boost::json::value* const value = agent == nullptr ? nullptr : agent->if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

}  // namespace

bool tasks_choose_agent(const SupervisorConfig& settings) {
    return !settings.worker.agent.empty() || settings.worker.command.empty();
}

core::Result<std::optional<AgentChoice>> choose_agent(const SupervisorConfig& settings,
                                                      const core::Task& task, bool remediates) {
    if (task.custom_field("run") != nullptr && !remediates) {
        return std::optional<AgentChoice>{};
    }
    const std::string runner = tasks_choose_agent(settings) ? member(task, "runner") : std::string{};
    const std::string& name = runner.empty() ? settings.worker.agent : runner;
    if (name.empty()) {
        return std::optional<AgentChoice>{};
    }
    const auto found = settings.agents.find(name);
    if (found == settings.agents.end()) {
        std::vector<std::string> known;
        for (const auto& [each, preset] : settings.agents) {
            known.push_back(each);
        }
        return core::Error{
            fmt::format("{} asks for the agent \"{}\", which is none of {}", core::trimmed(task.id),
                        core::printable(name), fmt::join(known, ", ")),
            "change its agent.runner, or describe that agent in `agents` of .ralph/supervisor.jsonc"};
    }
    AgentChoice choice{found->second, member(task, "model"), member(task, "model_effort")};
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
