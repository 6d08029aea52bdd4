#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/agents/account.h"
#include "core/agents/agent_record.h"
#include "core/agents/prompt.h"
#include "core/agents/reset_time.h"
#include "core/agents/session_plan.h"

using namespace ralph::core;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

Instant at(const char* text) {
    return parse_rfc3339(text).value().instant;
}

const Instant noon = at("2026-11-28T12:00:00Z");

AgentPreset preset_with(AgentPreset::Sessions sessions) {
    AgentPreset preset;
    preset.name = "robot";
    preset.sessions = sessions;
    return preset;
}

AgentRecord record_of(std::string agent, std::string session, std::optional<Verdict> verdict) {
    AgentRecord record;
    record.agent = std::move(agent);
    record.session = std::move(session);
    record.verdict = verdict;
    record.message = "words";
    record.answered = true;
    return record;
}

}  // namespace

TEST_CASE("agent: when a limit ends, as agents tell it") {
    const std::vector<std::pair<std::string, std::string>> told{
        {"or try again at 1:44 PM.", "2026-11-28T13:45:00Z"},  // in that minute, and then it is over
        {"try again at 12:00 PM", "2026-11-28T12:01:00Z"},
        {"try again at 11:59 AM", ""},  // just past: no day is waited for that
        {"try again at 11:31 AM", ""},
        {"try again at 11:29 AM", "2026-11-29T11:30:00Z"},
        {"Your limit resets 3pm (UTC)", "2026-11-28T15:00:00Z"},
        {"limit reached, resets at 12am", "2026-11-29T00:00:00Z"},
        {"resets at 15:30", "2026-11-28T15:31:00Z"},
        {"try again at Nov 30th, 2026 1:44 PM", "2026-11-30T13:45:00Z"},
        {"try again at Jan 2nd at 9:00 am", ""},  // more than 31 days ahead
        {"Please try again in 1.5s.", "2026-11-28T12:00:01.5Z"},
        {"try again in 2 hours 5 minutes", "2026-11-28T14:05:00Z"},
        {"quota will reset after 1h2m3s", "2026-11-28T13:02:03Z"},
        {"\"retryDelay\":\"31s\"", "2026-11-28T12:00:31Z"},
        {"Claude AI usage limit reached|1795874400", "2026-11-28T14:00:00Z"},
        {"usage limit reached|1795860000", ""},  // is over
        {"try again later", ""},
        {"try again in 40 days", ""},
        {"resets on jan 1, 9999 at 3pm", ""},
        {"resets 25:00", ""},
        {"again at 0pm", ""},
        {"", ""},
    };
    for (const auto& each : told) {
        const std::string text = each.first;
        const std::string when = each.second;
        CAPTURE(text);
        const auto found = reset_time(text, noon, 0);
        CHECK((found ? format_rfc3339(*found) : "") ==
              (when.empty() ? "" : format_rfc3339(at(when.c_str()))));
    }
    // A time of day is local.
    CHECK(reset_time("try again at 1:44 PM", noon, 60).value() == at("2026-11-28T12:45:00Z"));
    CHECK(reset_time("try again at 12:20 PM", noon, 60).value() == at("2026-11-29T11:21:00Z"));
    CHECK(reset_time("resets 1pm (UTC)", noon, 60).value() == at("2026-11-28T13:00:00Z"));
}

TEST_CASE("agent: a session that its model never answered in is not gone on with") {
    using Sessions = AgentPreset::Sessions;
    for (const auto sessions : {Sessions::chosen, Sessions::told, Sessions::newest}) {
        AgentRecord record = record_of("robot", "one", Verdict::passing);
        CHECK(plan_session(preset_with(sessions), {record}).goes_on);
        record.answered = false;
        const SessionPlan plan = plan_session(preset_with(sessions), {record});
        CHECK_FALSE(plan.goes_on);
        CHECK(plan.session.empty());
    }
    // The first records did not say it.
    const auto old = read_agent_record(
        JsonDocument::parse(R"({"version": 1, "agent": "robot", "session": "one"})", "agent.json").value());
    REQUIRE(old.has_value());
    CHECK(old->answered);
}

TEST_CASE("agent: an account is paused until the time that was told, else for longer and longer") {
    const AccountPause told = next_pause({}, "a", Verdict::limited, "limit", noon + hours{2}, noon, 0.5);
    CHECK(told.until >= noon + hours{2});
    CHECK(told.until <= noon + hours{2} + seconds{2});
    CHECK(holds(told, noon + minutes{119}));
    CHECK_FALSE(holds(told, told.until));

    std::optional<AccountPause> before;
    Instant now = noon;
    for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
        CAPTURE(expected);
        const AccountPause low = next_pause(before, "a", Verdict::limited, "", {}, now, 0);
        const AccountPause high = next_pause(before, "a", Verdict::limited, "", {}, now, 1);
        CHECK(low.until - now == seconds{expected * 48});
        CHECK(high.until - now == seconds{expected * 72});
        before = high;
        now = high.until;
    }
    // Whoever began before the pause and meets the same limit makes it no longer than it is.
    const AccountPause again = next_pause(told, "a", Verdict::limited, "", {}, noon + seconds{1}, 0.5);
    CHECK(again.until == told.until);
    CHECK(again.tries == told.tries);
}

TEST_CASE("agent: an account that is refused waits for a person") {
    const AccountPause refused = next_pause({}, "a", Verdict::unauthorized, "401", {}, noon, 0.5);
    CHECK(refused.needs_person);
    CHECK(holds(refused, noon + hours{1000}));
    // A pause of the future was written under another clock.
    CHECK_FALSE(holds(refused, noon - seconds{1}));
    const auto text = account_pause_text(refused);
    CHECK(read_account_pause(JsonDocument::parse(text, "f").value()).value() == refused);
    CHECK(read_account_pause(JsonDocument::parse(R"({"version": 2})", "f").value()).has_error());
    CHECK(read_account_pause(JsonDocument::parse("[]", "f").value()).has_error());
}

TEST_CASE("agent: an attempt goes on with the session of before, if there is one that can be continued") {
    using Sessions = AgentPreset::Sessions;
    const auto plan = [](Sessions sessions, std::vector<AgentRecord> earlier) {
        return plan_session(preset_with(sessions), earlier);
    };
    CHECK_FALSE(plan(Sessions::chosen, {}).is_begun);
    for (const std::optional<Verdict> verdict :
         {std::optional<Verdict>{}, std::optional(Verdict::ok), std::optional(Verdict::limited),
          std::optional(Verdict::passing), std::optional(Verdict::failed), std::optional(Verdict::stopped)}) {
        const SessionPlan goes_on = plan(Sessions::told, {record_of("robot", "s1", verdict)});
        CHECK(goes_on.goes_on);
        CHECK(goes_on.session == "s1");
        CHECK_FALSE(goes_on.why.empty());
    }
    for (const Verdict verdict : {Verdict::context_full, Verdict::session_lost}) {
        const SessionPlan anew = plan(Sessions::chosen, {record_of("robot", "s1", verdict)});
        CHECK_FALSE(anew.goes_on);
        CHECK(anew.is_begun);
        CHECK(anew.session.empty());
        CHECK_FALSE(anew.note.empty());
    }
    CHECK_FALSE(plan(Sessions::chosen, {record_of("robot", "", {})}).goes_on);
    CHECK_FALSE(plan(Sessions::none, {record_of("robot", "s1", {})}).goes_on);
    CHECK(plan(Sessions::newest, {record_of("robot", "", {})}).goes_on);
    // Of another agent, in between.
    CHECK_FALSE(plan(Sessions::chosen, {record_of("robot", "s1", {}), record_of("other", "s2", {})}).goes_on);
}

TEST_CASE("agent: what a session tells as its sum is counted once") {
    AgentPreset preset;
    Usage told{3, 4800, 180, 1200, 0.5};
    const Usage before{2, 2400, 90, 600, {}};
    CHECK(used_by_attempt(preset, told, before) == told);
    preset.session_totals = true;
    CHECK(used_by_attempt(preset, told, before) == Usage{3, 2400, 90, 600, 0.5});
    CHECK(used_by_attempt(preset, Usage{}, before) == Usage{});
}

TEST_CASE("agent: agent.json reads back what it holds") {
    AgentRecord record = record_of("claude", "s", Verdict::limited);
    record.account = "team";
    record.usage = {1, 2, 3, 4, 0.25};
    record.resumed = true;
    record.exit_status = 1;
    record.faults = 2;
    record.started_at = "2026-11-28T12:00:00Z";
    CHECK(read_agent_record(JsonDocument::parse(agent_record_text(record), "f").value()).value() == record);
    record.verdict.reset();
    record.usage.cost_usd.reset();
    CHECK(read_agent_record(JsonDocument::parse(agent_record_text(record), "f").value()).value() == record);
    for (const char* wrong :
         {"{}", R"({"version": 1, "agent": "a", "verdict": "unheard of"})",
          R"({"version": 1, "agent": "a", "cost_usd": "much"})", R"({"version": 9, "agent": "a"})"}) {
        CAPTURE(wrong);
        CHECK(read_agent_record(JsonDocument::parse(wrong, "f").value()).has_error());
    }
}

TEST_CASE("agent: the prompts say what is to be done, and what is not") {
    Task task;
    task.id = "RQ-0007";
    task.title = "Fix the parser";
    task.description = "It fails at \"}\".";
    task.plan = {"Read it", "Fix it"};
    task.evidence = {"log.txt"};
    task.scope = {"src/"};
    PromptFacts facts{"/r/task.json", "main", {"make test"}, false};
    const std::string first = work_prompt(task, facts);
    for (const char* part :
         {"RQ-0007", "Fix the parser", "It fails at", "- Read it", "- log.txt", "- src/", "make test",
          "Do not push", "queue.jsonc", "--allow-empty", "/r/task.json", "main"}) {
        CAPTURE(part);
        CHECK(first.find(part) != std::string::npos);
    }
    facts.no_change_completes = true;
    CHECK(work_prompt(task, facts).find("--allow-empty") == std::string::npos);

    const std::string again = go_on_prompt(task, facts, "the host was restarted.");
    CHECK(again.find("the host was restarted.") != std::string::npos);
    CHECK(again.find("It fails at") == std::string::npos);  // it is known
    const std::string said = task_digest(task);
    CHECK(said == task_digest(task));
    Task other = task;
    other.updated_at = "2026-02-20T00:00:00Z";
    CHECK(task_digest(other) == said);  // says the same
    other.description = "It fails at \"{\".";
    CHECK(task_digest(other) != said);
    const std::string told = go_on_prompt(other, facts, "asked for.", {}, true);
    CHECK(told.find("Somebody has changed the task") != std::string::npos);
    CHECK(told.find("It fails at \"{\".") != std::string::npos);
    const std::string taken = take_over_prompt(task, facts, "it is lost.");
    CHECK(taken.find("It fails at") != std::string::npos);
    CHECK(taken.find("it is lost.") != std::string::npos);

    const std::string wrong = remediation_prompt(task, facts, "conflict in a.c", "/w/handoff.json", true);
    CHECK(wrong.find("conflict in a.c") != std::string::npos);
    CHECK(wrong.find("/w/handoff.json") != std::string::npos);
    CHECK(wrong.find("Do not do the task again") != std::string::npos);
    CHECK(wrong.find("It fails at") == std::string::npos);
    CHECK(remediation_prompt(task, facts, "x", "", false).find("It fails at") != std::string::npos);

    task.description = std::string(500'000, 'x');
    task.notes.assign(300, std::string(5'000, 'y'));
    const std::string longest = work_prompt(task, facts);
    CHECK(longest.size() < 100'000);
    CHECK(longest.find("Do not push") != std::string::npos);  // the rules are never cut
}
