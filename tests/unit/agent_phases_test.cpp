// Plan, implement, review: who does them, where they begin again, whose conversation goes on.
#include <doctest/doctest.h>

#include "config/agent_choice.h"
#include "core/agents/agent_record.h"
#include "core/agents/prompt.h"
#include "core/agents/session_plan.h"

using namespace ralph::core;
using ralph::config::choose_agents;
using ralph::config::Layer;
using ralph::config::load_supervisor_config;
using ralph::config::SupervisorConfig;

namespace {

SupervisorConfig load(const std::string& text) {
    return load_supervisor_config(std::nullopt, Layer{"s.jsonc", text}, true).value();
}

std::string error_of(const std::string& text) {
    const auto loaded = load_supervisor_config(std::nullopt, Layer{"s.jsonc", text}, true);
    return loaded ? "no error" : loaded.error().message;
}

Task task_with(const std::string& agent) {
    Task task;
    task.id = "RQ-0001";
    task.agent = JsonDocument::parse(agent, "task").value().root();
    return task;
}

// "plan claude opus high, ...".
std::string chosen(const SupervisorConfig& settings, const std::string& agent, bool remediates = false) {
    const auto choices = choose_agents(settings, task_with(agent), remediates);
    if (!choices) {
        return choices.error().message;
    }
    std::string text;
    for (const auto& choice : *choices) {
        text += (text.empty() ? "" : ", ") + choice.phase + " " + choice.preset.name + " " + choice.model +
                " " + choice.effort;
    }
    return text;
}

const char* const three = R"({worker: {agent: "claude", model: "sonnet", effort: "low", phases: [
    {name: "plan", model: "opus", effort: "high"},
    {name: "implement"},
    {name: "review", agent: "codex", session: "new"}]}})";

AgentRecord record_of(const std::string& phase, const std::string& agent, const std::string& session,
                      std::optional<Verdict> verdict) {
    AgentRecord record;
    record.phase = phase;
    record.agent = agent;
    record.session = session;
    record.verdict = verdict;
    record.answered = true;
    return record;
}

}  // namespace

TEST_CASE("phases: each has its agent, model and effort, and the task's own object wins") {
    const SupervisorConfig settings = load(three);
    CHECK(chosen(settings, "{}") == "plan claude opus high, implement claude sonnet low, review codex  ");
    CHECK(chosen(settings, R"({"phases": 1})") == " claude sonnet low");
    CHECK(chosen(settings, R"({"phases": 2})") == "plan claude opus high, implement claude sonnet low");
    CHECK(chosen(settings, R"({"runner": "gemini", "model": "pro"})") ==
          "plan gemini pro , implement gemini pro , review gemini pro ");
    CHECK(chosen(settings, R"({"model": "haiku", "model_effort": "default"})") ==
          "plan claude haiku high, implement claude haiku low, review codex  ");
    CHECK(chosen(settings, R"({"phase_overrides": {"phase2": {"runner": "qwen", "model": "coder"},
                               "phase3": {"reasoning_effort": "xhigh"}}})") ==
          "plan claude opus high, implement qwen coder , review codex  xhigh");
    // Who repairs what could not be landed is in no phase.
    CHECK(chosen(settings, "{}", true) == " claude sonnet low");
    CHECK(chosen(settings, R"({"phase_overrides": {"phase1": {"runner": "nobody"}}})").find("nobody") !=
          std::string::npos);
}

TEST_CASE("phases: a task may ask for those that everybody knows") {
    const SupervisorConfig settings = load(R"({worker: {agent: "claude"}})");
    CHECK(chosen(settings, "{}") == " claude  ");
    CHECK(chosen(settings, R"({"phases": 2})") == "plan claude  , implement claude  ");
    CHECK(chosen(settings, R"({"phases": 3})") == "plan claude  , implement claude  , review claude  ");
    CHECK_FALSE(choose_agents(settings, task_with(R"({"phases": 3})")).value()[2].keeps_session);
    // A command works by itself, whatever the task says.
    CHECK(chosen(load(R"({worker: {command: ["make"]}})"), R"({"phases": 3})").empty());
}

TEST_CASE("phases: what is wrong with a list is said with its place") {
    const auto error = [](const std::string& phases) {
        return error_of("{worker: {agent: \"claude\", phases: " + phases + "}}");
    };
    CHECK(error("[{name: 'plan'}, {name: 'plan'}]").find("worker.phases[1].name` is the second \"plan\"") !=
          std::string::npos);
    CHECK(error("[{name: 'test'}]").find("worker.phases[0].prompt_file` must be set") != std::string::npos);
    CHECK(error("[{name: 'test', prompt_file: 'test.md'}]") == "no error");
    CHECK(error("[{name: 'a b', prompt_file: 'x'}]").find("letters, digits") != std::string::npos);
    CHECK(error("[{}]").find("worker.phases[0]") != std::string::npos);
    CHECK(error("[{name: 'plan', agent: 'nobody'}]").find("worker.phases[0].agent` is \"nobody\"") !=
          std::string::npos);
    CHECK(error("[{name: 'plan', session: 'old'}]").find("worker.phases[0].session`") != std::string::npos);
    CHECK(error("[{name: 'plan', model: '--yes'}]").find("must not begin with a dash") != std::string::npos);
    CHECK(error("[{name: 'plan', what: 1}]").find("what") != std::string::npos);
    CHECK(error("{}").find("must be an array of objects") != std::string::npos);
    std::string many = "[";
    for (int i = 0; i < 10; ++i) {
        many += (i == 0 ? "" : ", ") + std::string("{name: 'p") + std::to_string(i) + "', prompt_file: 'x'}";
    }
    CHECK(error(many + "]").find("must be at most 9 phases") != std::string::npos);
}

TEST_CASE("phases: the next one is the one after the last that ended well") {
    const std::vector<std::string> names{"plan", "implement", "review"};
    CHECK(next_phase(names, {}) == 0);
    CHECK(next_phase(names, {record_of("plan", "a", "s", {})}) == 0);
    CHECK(next_phase(names, {record_of("plan", "a", "s", Verdict::limited)}) == 0);
    CHECK(next_phase(names, {record_of("plan", "a", "s", Verdict::ok)}) == 1);
    CHECK(next_phase(names, {record_of("plan", "a", "s", Verdict::ok),
                             record_of("implement", "a", "s", Verdict::failed)}) == 1);
    CHECK(next_phase(names, {record_of("review", "a", "s", Verdict::ok)}) == 3);
    CHECK(next_phase(names, {record_of("test", "a", "s", Verdict::ok)}) == 0);
    CHECK(next_phase({""}, {record_of("", "a", "s", Verdict::ok)}) == 1);
    CHECK(next_phase({""}, {record_of("", "a", "s", Verdict::failed)}) == 0);
}

TEST_CASE(
    "phases: a conversation goes on from phase to phase if the agent is the same and nobody says otherwise") {
    AgentPreset preset;
    preset.name = "robot";
    preset.sessions = AgentPreset::Sessions::chosen;
    const std::vector<AgentRecord> planned{record_of("plan", "robot", "one", Verdict::ok)};
    const SessionPlan next = plan_session(preset, planned, "implement", true);
    CHECK(next.goes_on);
    CHECK(next.session == "one");
    CHECK_FALSE(next.is_begun);
    const SessionPlan fresh = plan_session(preset, planned, "implement", false);
    CHECK_FALSE(fresh.goes_on);
    CHECK_FALSE(fresh.note.empty());
    CHECK_FALSE(
        plan_session(preset, {record_of("plan", "other", "one", Verdict::ok)}, "implement", true).goes_on);
    // Within a phase it goes on in any case.
    const SessionPlan again =
        plan_session(preset, {record_of("review", "robot", "two", Verdict::limited)}, "review", false);
    CHECK(again.goes_on);
    CHECK(again.is_begun);
    CHECK(again.session == "two");
}

TEST_CASE("phases: a run's record holds those that it came through") {
    AgentRecord record = record_of("review", "codex", "three", {});
    record.finished = {record_of("plan", "claude", "one", Verdict::ok),
                       record_of("implement", "claude", "one", Verdict::ok)};
    record.finished[0].usage.turns = 3;
    const auto read = read_agent_record(JsonDocument::parse(agent_record_text(record), "agent.json").value());
    REQUIRE(read.has_value());
    CHECK(*read == record);
    CHECK_FALSE(
        read_agent_record(
            JsonDocument::parse(R"({"version": 1, "agent": "a", "finished": [{}]})", "agent.json").value())
            .has_value());
}

TEST_CASE("phases: the words say where the plan is, and what the phase before said where it is not known") {
    PhaseFacts facts;
    facts.plan_file = "/w/plan.md";
    CHECK(phase_words("plan", facts).find("/w/plan.md") != std::string::npos);
    CHECK(phase_words("implement", facts).find("/w/plan.md") == std::string::npos);
    facts.has_plan = true;
    facts.before = "plan";
    facts.before_said = "It is written.";
    CHECK(phase_words("implement", facts).find("/w/plan.md") != std::string::npos);
    CHECK(phase_words("review", facts).find("It is written.") != std::string::npos);
    CHECK(phase_words("test", facts).empty());
}
