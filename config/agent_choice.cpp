#include "config/agent_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace ralph::config {
namespace {

// What somebody asks for; empty: nothing. A model and an effort belong to an agent and say nothing about
// another.
struct Wish {
    std::string agent;
    std::string model;
    std::string effort;
    std::string owner;  // the agent whose model and effort these are; empty: whichever is chosen
};

Wish wish_of(std::string agent, std::string model, std::string effort, const std::string& usual_agent) {
    std::string owner = agent.empty() ? usual_agent : agent;
    return {std::move(agent), std::move(model), std::move(effort), std::move(owner)};
}

// Wishes of a task, the most important one first.
core::Result<AgentChoice> choose(const SupervisorConfig& settings, const core::Task& task,
                                 const std::vector<Wish>& wishes) {
    const auto asks =
        std::find_if(wishes.begin(), wishes.end(), [](const Wish& wish) { return !wish.agent.empty(); });
    const std::string name = asks == wishes.end() ? std::string{} : asks->agent;
    const auto found = settings.agents.find(name);
    if (found == settings.agents.end()) {
        return core::Error{
            fmt::format("{} asks for the agent \"{}\", which is none of {}", core::trimmed(task.id),
                        core::printable(name), names_of(settings.agents)),
            "change its agent.runner, or describe that agent in `agents` of .ralph/supervisor.jsonc"};
    }
    AgentChoice choice;
    choice.preset = found->second;
    for (const Wish& wish : wishes) {
        if (wish.owner.empty() || wish.owner == name) {
            choice.model = choice.model.empty() ? wish.model : choice.model;
            choice.effort = choice.effort.empty() && wish.effort != "default" ? wish.effort : choice.effort;
        }
    }
    if (choice.model.substr(0, 1) == "-") {
        return core::Error{fmt::format("{} asks for the model \"{}\", which looks like an option",
                                       core::trimmed(task.id), core::printable(choice.model)),
                           "change its agent.model"};
    }
    return choice;
}

std::string text_of(const boost::json::object* object, std::string_view key) {
    const boost::json::value* const value = object == nullptr ? nullptr : object->if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

// Of agent.phase_overrides; `number` counts from 1.
Wish override_of(const core::Task& task, std::size_t number) {
    const boost::json::object* const agent = task.agent ? task.agent->if_object() : nullptr;
    const boost::json::value* const all = agent == nullptr ? nullptr : agent->if_contains("phase_overrides");
    const boost::json::object* const phases = all == nullptr ? nullptr : all->if_object();
    const boost::json::value* const one =
        phases == nullptr ? nullptr : phases->if_contains(fmt::format("phase{}", number));
    const boost::json::object* const phase = one == nullptr ? nullptr : one->if_object();
    return wish_of(text_of(phase, "runner"), text_of(phase, "model"), text_of(phase, "reasoning_effort"), "");
}

// The task's `phases`; nothing if it does not say.
std::optional<std::size_t> phases_asked_for(const core::Task& task) {
    const boost::json::object* const agent = task.agent ? task.agent->if_object() : nullptr;
    const boost::json::value* const value = agent == nullptr ? nullptr : agent->if_contains("phases");
    if (value == nullptr || !value->is_number()) {
        return std::nullopt;
    }
    boost::system::error_code problem;
    const auto number = value->to_number<std::size_t>(problem);
    return problem ? std::nullopt : std::optional(number);
}

std::vector<PhaseSettings> phases_of(const SupervisorConfig& settings, const core::Task& task) {
    std::vector<PhaseSettings> phases = settings.worker.phases;
    const auto asked = phases_asked_for(task);
    if (asked) {
        if (*asked > 1 && phases.empty()) {
            phases = built_in_phases();
        }
        phases.resize(*asked > 1 ? std::min(*asked, phases.size()) : 0);
    }
    return phases;
}

}  // namespace

bool tasks_choose_agent(const SupervisorConfig& settings) {
    return !settings.worker.agent.empty() || settings.worker.command.empty();
}

core::Result<std::vector<AgentChoice>> choose_agents(const SupervisorConfig& settings, const core::Task& task,
                                                     bool remediates) {
    std::vector<AgentChoice> choices;
    if (task.custom_field("run") != nullptr && !remediates) {
        return choices;
    }
    const WorkerSettings& worker = settings.worker;
    const Wish of_worker = wish_of(worker.agent, worker.model, worker.effort, worker.agent);
    const Wish of_task = wish_of(tasks_choose_agent(settings) ? task.agent_text("runner") : std::string{},
                                 task.agent_text("model"), task.agent_text("model_effort"), worker.agent);
    if (of_task.agent.empty() && of_worker.agent.empty()) {
        return choices;
    }
    const auto phases = remediates ? std::vector<PhaseSettings>{} : phases_of(settings, task);
    for (std::size_t i = 0; i < phases.size(); ++i) {
        const PhaseSettings& phase = phases[i];
        const Wish of_phase = wish_of(phase.agent, phase.model, phase.effort, worker.agent);
        TRY_ASSIGN(auto choice,
                   choose(settings, task, {override_of(task, i + 1), of_task, of_phase, of_worker}));
        choice.phase = phase.name;
        choice.prompt_file = phase.prompt_file;
        choice.keeps_session = phase.keeps_session;
        choices.push_back(std::move(choice));
    }
    if (choices.empty()) {
        TRY_ASSIGN(auto choice, choose(settings, task, {of_task, of_worker}));
        choice.prompt_file = worker.prompt_file;
        choices.push_back(std::move(choice));
    }
    return choices;
}

}  // namespace ralph::config
