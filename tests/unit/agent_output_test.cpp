// What agents write, and what their ends mean: with presets of these tests', and with what the real programs
// have written (tests/agents/recorded, kept by tests/agents/run_agents.py --record).
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "config/agent_presets.h"
#include "core/agents/agent_output.h"
#include "core/agents/agent_record.h"
#include "core/agents/verdict.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"

using namespace ralph::core;
namespace config = ralph::config;
namespace fs = std::filesystem;

namespace {

AgentPreset robot() {
    const auto document = JsonDocument::parse(R"({robot: {
        first: ["robot", "{prompt}"], output: "events", error_prefixes: ["[Error:"],
        events: [
            {when: {"/type": "start"}, session: "/id", model: "/model", version: "/version"},
            {when: {"/type": "say"}, say: "/parts/*/text", tool: "/parts/*/name", tool_input: "/parts/*/input",
             turn: "/turn", answers: true},
            {when: {"/type": "used"}, adds: true, input_tokens: "/in", output_tokens: "/out", cost_usd: "/cost"},
            {when: {"/type": "end"}, ends: true, message: "/result", turns: "/turns", denied: "/denied/*",
             resets_at: "/resets_at"},
            {when: {"/type": "end", "/bad": true}, fails: true},
            {when: {"/type": "retry", "/status": [401, 403]}, contains: {"/text": ["denied", "refused"]},
             verdict: "unauthorized", stops: true}
        ],
        verdicts: [{verdict: "limited", texts: ["LIMIT"]}, {verdict: "context_full", exit_codes: [9]},
                   {verdict: "passing", texts: ["overloaded"]}]}})",
                                              "preset");
    std::optional<JsonFault> fault;
    config::AgentPresets presets;
    const boost::json::value whole{{"agents", document.value().root()}};
    ObjectReader reader(whole, "", fault);
    config::read_agents(reader, "agents", presets);
    REQUIRE_FALSE(fault);
    return presets.at("robot");
}

AgentEnd exited(int status) {
    AgentEnd end;
    end.status = status;
    return end;
}

Judgement judged(const AgentPreset& preset, const std::string& written, const AgentEnd& end) {
    AgentOutput output(preset);
    static_cast<void>(output.read(written));
    static_cast<void>(output.finish());
    return judge(preset, output.facts(), end, Instant{std::chrono::hours{24 * 365 * 50}}, 0);
}

}  // namespace

TEST_CASE("agent: output becomes facts and lines, in pieces of any size") {
    const AgentPreset preset = robot();
    const std::string written =
        "noise \x1b[31mred\x1b[0m\n"
        "{\"type\": \"start\", \"id\": \"s1\", \"model\": \"m\", \"version\": \"1.2\"}\n"
        "{\"type\": \"say\", \"turn\": \"t1\", \"parts\": [{\"text\": \"I look.\\nThen I act.\"}, "
        "{\"name\": \"Bash\", \"input\": {\"command\": \"ls \\u001b[2J\"}}]}\n"
        "{\"type\": \"say\", \"turn\": \"t1\", \"parts\": []}\n"
        "{\"type\": \"say\", \"turn\": \"t2\", \"parts\": []}\n"
        "{\"type\": \"used\", \"in\": 10, \"out\": 2, \"cost\": 0.5}\n"
        "{\"type\": \"used\", \"in\": 5, \"out\": 1, \"cost\": 0.25}\n"
        "{\"type\": \"used\", \"in\": -5, \"out\": \"x\", \"cost\": 1e300}\n"
        "[1, 2]\n"
        "{\"type\": \"end\", \"result\": \"Done.\", \"denied\": [\"Write\", \"Write\", \"Bash\"]}";  // no
                                                                                                     // line
                                                                                                     // end
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
        AgentOutput output(preset);
        std::string shown;
        for (std::size_t i = 0; i < written.size(); i += piece) {
            shown += output.read(std::string_view(written).substr(i, piece));
        }
        shown += output.finish();
        const AgentFacts& facts = output.facts();
        CHECK(facts.session == "s1");
        CHECK(facts.model == "m");
        CHECK(facts.version == "1.2");
        CHECK(facts.usage == Usage{2, 15, 3, 0, 0.75});
        CHECK(facts.answered);
        CHECK(facts.ended);
        CHECK_FALSE(facts.failed);
        CHECK(facts.message == "Done.");
        CHECK(facts.denied == std::vector<std::string>{"Write", "Bash"});
        CHECK(shown.find("  I look.\n  Then I act.\n> Bash: ls") != std::string::npos);
        CHECK(shown.find("noise red\n") != std::string::npos);
        CHECK(shown.find('\x1b') == std::string::npos);
    }
}

TEST_CASE("agent: a line without an end, or with too much in it, costs no memory and no crash") {
    const AgentPreset preset = robot();
    AgentOutput output(preset);
    const std::string mebibyte(std::size_t{1} << 20U, 'x');
    for (int i = 0; i < 40; ++i) {
        CHECK(output.read(mebibyte).empty());
    }
    const std::string shown =
        output.read("\n{\"type\": \"say\", \"parts\": [{\"text\": \"" + mebibyte + "\"}]}\n");
    CHECK(shown.size() < 20'000);
    CHECK(output.facts().tail.size() <= 4'000);
}

TEST_CASE("agent: an end is judged by exit status and words together") {
    const AgentPreset preset = robot();
    const std::string end = R"({"type": "end", "result": "Done."})";
    CHECK(judged(preset, end, exited(0)).verdict == Verdict::ok);
    CHECK(judged(preset, end, exited(1)).verdict == Verdict::failed);
    CHECK(judged(preset, "", exited(0)).verdict == Verdict::no_result);
    CHECK(judged(preset, R"({"type": "end", "bad": true, "result": "no"})", exited(0)).verdict ==
          Verdict::failed);
    CHECK(judged(preset, R"({"type": "end", "result": "[Error: 1] x"})", exited(0)).verdict ==
          Verdict::failed);
    CHECK(judged(preset, R"({"type": "end", "bad": true, "result": "the limit is reached"})", exited(0))
              .verdict == Verdict::limited);
    // What a good end says decides nothing.
    CHECK(judged(preset, R"({"type": "end", "result": "the limit is documented"})", exited(0)).verdict ==
          Verdict::ok);
    CHECK(judged(preset, "", exited(9)).verdict == Verdict::context_full);
    CHECK(judged(preset, "Overloaded\n", exited(1)).verdict == Verdict::passing);
    CHECK(judged(preset, R"({"type": "retry", "status": 401, "text": "was refused"})", exited(143)).verdict ==
          Verdict::unauthorized);
    CHECK(judged(preset, R"({"type": "retry", "status": 500, "text": "was refused"})", exited(143)).verdict ==
          Verdict::failed);
    AgentEnd killed;
    killed.signal = 9;
    CHECK(judged(preset, "", killed).verdict == Verdict::passing);
    CHECK(judged(preset, "", killed).message == "robot was killed by signal 9 (SIGKILL)");
}

TEST_CASE("agent: what an agent says while it works pauses no account") {
    const config::AgentPresets presets = config::built_in_agents();
    const std::string talk =
        "Next I add authentication, a rate limit and a 401 Unauthorized to the login page.";
    AgentEnd killed;
    killed.signal = 9;
    const std::string codex =
        R"({"type":"item.completed","item":{"id":"1","type":"agent_message","text":")" + talk + "\"}}\n";
    const std::string opencode =
        R"({"type":"text","sessionID":"s","part":{"type":"text","text":")" + talk + "\"}}\n";
    for (const auto& each : {std::pair<std::string, std::string>{"codex", codex},
                             {"opencode", opencode},
                             {"aider", talk + "\n"}}) {
        const std::string agent = each.first;
        const std::string& written = each.second;
        CAPTURE(agent);
        CHECK(judged(presets.at(agent), written, killed).verdict == Verdict::passing);
        CHECK(judged(presets.at(agent), written + "x\n", exited(1)).verdict == Verdict::failed);
    }
    // An error that is over by the time of an answer is none of the end.
    const std::string recovered = R"({"type":"error","message":"last status: 429 Too Many Requests"})"
                                  "\n" +
                                  codex;
    CHECK(judged(presets.at("codex"), recovered, killed).verdict == Verdict::passing);
    CHECK(judged(presets.at("aider"), "the api key\nlitellm.InternalServerError: x\n", exited(0)).verdict ==
          Verdict::passing);
}

TEST_CASE("agent: we ended it, and that is what the end means") {
    const AgentPreset preset = robot();
    const std::string said = R"({"type": "say", "turn": "1", "parts": []})";
    AgentEnd end = exited(0);
    end.stopped = true;
    CHECK(judged(preset, R"({"type": "end", "result": "Done."})", end).verdict == Verdict::stopped);
    end = exited(143);
    end.budget_spent = true;
    CHECK(judged(preset, said, end).verdict == Verdict::budget_spent);
    end = exited(143);
    end.silent = true;
    CHECK(judged(preset, said, end).verdict == Verdict::passing);
    CHECK(judged(preset, "", end).verdict == Verdict::limited);  // the model never answered
}

TEST_CASE("agent: claude that waits by itself for the end of a limit, for too long, has met a limit") {
    const AgentPreset claude = config::built_in_agents().at("claude");
    const std::string answer =
        R"({"type":"user","message":{"content":[{"type":"tool_result","content":"done"}]}})"
        "\n";
    const std::string waits =
        R"({"type":"system","subtype":"api_retry","attempt":1,"retry_delay_ms":53000,"error_status":429})"
        "\n";
    AgentEnd silent = exited(143);
    silent.silent = true;
    CHECK(judged(claude, answer + waits, silent).verdict == Verdict::limited);
    CHECK(judged(claude, answer + waits + answer, silent).verdict == Verdict::passing);
}

TEST_CASE("agent: denied is who may not use its tools and changes nothing") {
    const AgentPreset preset = robot();
    const std::string denied = R"({"type": "end", "result": "Done.", "denied": ["Bash"]})";
    AgentEnd end = exited(0);
    CHECK(judged(preset, denied, end).verdict == Verdict::ok);
    end.changed = true;
    CHECK(judged(preset, denied, end).verdict == Verdict::ok);
    end.changed = false;
    CHECK(judged(preset, denied, end).verdict == Verdict::denied);
    CHECK(judged(preset, denied, end).message.find("Bash") != std::string::npos);
}

TEST_CASE("agent: when a limit ends is taken from where it is told") {
    const AgentPreset preset = robot();
    const auto judgement = judged(
        preset, R"({"type": "end", "bad": true, "result": "limit", "resets_at": 1576900000})", exited(1));
    CHECK(judgement.verdict == Verdict::limited);
    CHECK(judgement.resets_at.value() == Instant{std::chrono::seconds{1576900000}});
    CHECK_FALSE(
        judged(preset, R"({"type": "end", "bad": true, "result": "limit", "resets_at": 1e14})", exited(1))
            .resets_at.has_value());
    CHECK(judged(preset, R"({"type": "end", "bad": true, "result": "limit; try again in 5s"})", exited(1))
              .resets_at.value() == Instant{std::chrono::hours{24 * 365 * 50} + std::chrono::seconds{5}});
}

TEST_CASE("agent: an agent of text is bad if it says so and no answer follows") {
    AgentPreset preset;
    preset.name = "text";
    preset.error_prefixes = {"lib."};
    preset.answer_prefixes = {"Tokens:"};
    {
        AgentOutput output(preset);
        static_cast<void>(output.read("Hello\n"));
        CHECK_FALSE(output.facts().answered);
        static_cast<void>(output.read("Tokens: 3\n"));
        CHECK(output.facts().answered);
    }
    preset.verdicts = {{Verdict::unauthorized, {"lib.AuthError"}, {}}};
    CHECK(judged(preset, "Hello\nTokens: 3\nDone\n", exited(0)).verdict == Verdict::ok);
    CHECK(judged(preset, "lib.AuthError: no\nThe key is wrong\n", exited(0)).verdict ==
          Verdict::unauthorized);
    CHECK(judged(preset, "lib.AuthError: no\nThe key is wrong\n", exited(0)).message == "lib.AuthError: no");
    CHECK(judged(preset, "lib.Timeout: x\nagain\nTokens: 3\n", exited(0)).verdict == Verdict::ok);
}

TEST_CASE("agent: what the real programs wrote at their ends means what it was found to mean") {
    const config::AgentPresets presets = config::built_in_agents();
    std::set<std::string> agents;
    std::size_t ends = 0;
    for (const auto& entry : fs::recursive_directory_iterator(RALPH_SOURCE_DIR "/tests/agents/recorded")) {
        if (entry.path().extension() != ".json") {
            continue;
        }
        CAPTURE(entry.path().string());
        std::ifstream expected_file(entry.path());
        const std::string expected{std::istreambuf_iterator<char>(expected_file), {}};
        std::ifstream written_file(fs::path(entry.path()).replace_extension(".out"));
        const std::string written{std::istreambuf_iterator<char>(written_file), {}};
        std::optional<JsonFault> fault;
        const auto document = JsonDocument::parse(expected, "expected").value();
        ObjectReader reader(document.root(), "", fault);
        std::string verdict;
        std::string session;
        std::uint32_t status = 0;
        std::uint64_t turns = 0;
        reader.require("verdict", verdict);
        reader.require("exit_status", status);
        reader.read("session", session);
        std::string ended_by;
        reader.require("ended_by", ended_by);
        std::uint32_t signal = 0;
        reader.require("signal", signal);
        reader.read("turns", turns);
        REQUIRE_FALSE(fault);
        const std::string agent = entry.path().parent_path().filename();
        const AgentPreset& preset = presets.at(agent);
        AgentOutput output(preset);
        for (std::size_t i = 0; i < written.size(); i += 1000) {
            static_cast<void>(output.read(std::string_view(written).substr(i, 1000)));
        }
        static_cast<void>(output.finish());
        AgentEnd end = exited(static_cast<int>(status));
        end.signal = static_cast<int>(signal);
        end.silent = ended_by == "silence";
        end.stopped = ended_by == "stop";
        end.changed = verdict != "denied";
        CHECK(to_string(judge(preset, output.facts(), end, Instant{}, 0).verdict) == verdict);
        if (preset.sessions != AgentPreset::Sessions::newest) {
            CHECK(output.facts().session == session);
        }
        agents.insert(agent);
        ++ends;
    }
    CHECK(agents.size() == presets.size());
    CHECK(ends >= 30);
}

TEST_CASE(
    "agent output: what a line of text says of usage is counted, and what it does not say is not made up") {
    const AgentPreset aider = config::built_in_agents().at("aider");
    AgentOutput output(aider);
    static_cast<void>(
        output.read("Added a.c to the chat.\nTokens: 3.2k sent, 1.1k cache hit, 40 received. Cost: $0.0083 "
                    "message, $0.0083 session.\n"));
    CHECK(describe(output.facts().usage) == "1 turns, 3240 tokens, $0.01");
    CHECK(output.facts().usage.cached_tokens == 1100);
    static_cast<void>(output.read("Tokens: 1.5M sent, 60 received. Cost: $2.50 message, $2.51 session.\n"));
    CHECK(output.facts().usage.turns == 2);
    CHECK(output.facts().usage.input_tokens == 1'503'200);
    CHECK(output.facts().usage.output_tokens == 100);
    CHECK(output.facts().usage.cost_usd.value_or(0) == doctest::Approx(2.5083));
    AgentOutput free(aider);
    static_cast<void>(free.read("Tokens: 770 sent, 20 received.\n"));
    CHECK(free.facts().usage == Usage{1, 770, 20, 0, {}});
    for (const char* const nonsense :
         {"Tokens: ", "Tokens: sent received", "Tokens: -3 sent", "Tokens: 1e400 sent",
          "Tokens: nan sent, 3x received", " Tokens: 5 sent"}) {
        CAPTURE(nonsense);
        AgentOutput odd(aider);
        static_cast<void>(odd.read(std::string(nonsense) + "\n"));
        CHECK(odd.facts().usage.tokens() == 0);
    }
}

TEST_CASE("agent output: how long an agent waits by itself for a limit is taken from its own words") {
    const AgentPreset claude = config::built_in_agents().at("claude");
    AgentOutput output(claude);
    static_cast<void>(
        output.read("{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":1,\"retry_delay_ms\":67000.5,"
                    "\"error_status\":429,\"error\":\"rate_limit\"}\n"));
    CHECK(output.facts().waits == 1);
    CHECK(output.facts().wait_ms == 67000);
    CHECK(output.facts().verdict == Verdict::limited);
    static_cast<void>(
        output.read("{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":2,\"retry_delay_ms\":500,"
                    "\"error_status\":500,\"error\":\"x\"}\n"));
    CHECK(output.facts().waits == 1);  // that is no limit
}
