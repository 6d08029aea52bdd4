// What agents may use: for a task, in a run of ralph, on a day.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/agents/agent_record.h"
#include "tests/support/project.h"
#include "tests/support/robots.h"

using ralph::core::Lifecycle;
using ralph::core::Verdict;
using ralph::tests::Project;
using ralph::tests::Robots;
namespace fs = std::filesystem;

TEST_CASE(
    "a budget ends the agent, blocks the task and says what it cost, and a retry does not spend it again") {
    Robots robots("endless", "", R"("limits": {"task": {"turns": 5}})");
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
    const auto record = robots.project.record("RQ-0001");
    CHECK(record->lifecycle == Lifecycle::blocked_push);
    CHECK(record->last_error->find("the budget of the task is spent: ") == 0);
    const auto used = robots.records()[0].usage.turns;
    CHECK(used >= 5);
    CHECK(used <= 7);  // what it wrote before it was gone
    CHECK(robots.project.ralph({"run", "parallel", "retry", "--task", "RQ-0001"}).status == 0);
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
    CHECK(robots.calls() == "RQ-0001 endless first\n");
}

TEST_CASE("the budget of a run ends it, the work is kept, and the next run goes on") {
    const Robots robots("endless", "", R"("limits": {"run": {"turns": 3}})");
    robots.add();
    robots.add();
    const auto ended = robots.project.ralph({"run", "--parallel", "2"});
    CHECK(ended.status == 3);
    CHECK(ended.errors.find("the budget of this run (limits.run) is spent: ") != std::string::npos);
    std::uint64_t turns = 0;
    for (const char* task : {"RQ-0001", "RQ-0002"}) {
        CAPTURE(task);
        const auto record = robots.project.record(task);
        CHECK((!record || record->lifecycle == Lifecycle::running));
        for (const auto& agent : robots.records(task)) {
            CHECK(agent.ended_by == "budget");
            turns += agent.usage.turns;
        }
    }
    CHECK(turns >= 3);
    // The next run has a budget of its own: nothing is paused.
    CHECK(robots.project.ralph({"run", "parallel", "status"}).output.find("Paused Accounts") ==
          std::string::npos);
    robots.behave("work");
    const auto next = robots.project.ralph({"run", "--parallel", "2"});
    INFO(next.errors);
    CHECK(next.status == 0);
    CHECK(robots.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(robots.project.record("RQ-0002")->lifecycle == Lifecycle::completed);
    CHECK(robots.records().back().resumed);
}

TEST_CASE("the budget of a day holds back every agent until it is raised, and says so") {
    Robots robots("endless", "", R"("limits": {"day": {"cost_usd": 1}})");
    robots.add();
    robots.project.start({"run", "--parallel", "2"});
    const bool waits = Project::eventually([&] {
        const auto record = robots.project.record("RQ-0001");
        return record && record->last_error.value_or("").find("waits: the budget of the day") == 0;
    });
    INFO(robots.project.log());
    INFO(robots.log("RQ-0001"));
    REQUIRE(waits);
    CHECK(robots.said("no agent starts"));
    const std::string status = robots.project.ralph({"run", "parallel", "status"}).output;
    CHECK(status.find("the budget of the day (limits.day) is spent until ") != std::string::npos);
    CHECK(status.find("today: ") != std::string::npos);
    // It holds over a start, and nobody begins.
    robots.project.crash();
    robots.project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return robots.said("no agent starts"); }));
    robots.project.crash();
    CHECK(robots.calls() == "RQ-0001 endless first\n");
    // Somebody raises it.
    robots.behave("work");
    const std::string file = robots.project.root() + "/.ralph/supervisor.jsonc";
    std::string settings = Project::read(file);
    settings.replace(settings.find("\"cost_usd\": 1}"), 14, "\"cost_usd\": 0}");
    Project::write(file, settings);
    CHECK(robots.project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(robots.calls() == "RQ-0001 endless first\nRQ-0001 work again\n");
}

TEST_CASE("while it is not known what was used, no agent starts if there is a budget") {
    bool has_budget = false;
    SUBCASE("without a budget") {}
    SUBCASE("with one") {
        has_budget = true;
    }
    const Robots robots("work", "", has_budget ? R"("limits": {"day": {"turns": 9}})" : "");
    robots.add();
    fs::create_directories(robots.project.paths().parallel());
    Project::write(robots.project.paths().spending(), "{");
    const auto ended = robots.project.ralph({"run", "--parallel", "2"});
    CHECK(ended.errors.find("spending.json") != std::string::npos);
    CHECK((ended.errors.find("it is not known what agents have used") != std::string::npos) == has_budget);
    CHECK(ended.status == (has_budget ? 3 : 0));
    CHECK(robots.calls() == (has_budget ? "" : "RQ-0001 work first\n"));
}
