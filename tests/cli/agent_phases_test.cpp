// Agents that work in phases.
#include <doctest/doctest.h>

#include <boost/json/object.hpp>
#include <csignal>

#include "core/agents/agent_record.h"
#include "core/base/jsonc.h"
#include "tests/support/project.h"
#include "tests/support/robots.h"

using ralph::core::Lifecycle;
using ralph::core::Verdict;
using ralph::tests::Project;
using ralph::tests::Robots;

namespace {

constexpr const char* phases = R"("phases": [{"name": "plan"}, {"name": "implement"},
                                             {"name": "review", "session": "new", "model": "strict"}])";

}  // namespace

TEST_CASE("phases follow each other in one workspace, each with its words, and what they used is one sum") {
    const Robots robots("plan work review", phases);
    robots.add();
    const auto ended = robots.project.ralph({"run", "--parallel", "2"});
    INFO(ended.errors);
    INFO(robots.log());
    CHECK(ended.status == 0);
    CHECK(robots.calls() == "RQ-0001 plan first\nRQ-0001 work again\nRQ-0001 review first\n");
    CHECK(robots.prompt(1).find("planning phase") != std::string::npos);
    CHECK(robots.prompt(1).find(".ralph/cache/plans/RQ-0001.md") != std::string::npos);
    CHECK(robots.prompt(2).find("The plan is in ") != std::string::npos);
    CHECK(robots.prompt(2).find("Rules:") == std::string::npos);  // the conversation goes on
    CHECK(robots.prompt(3).find("this is the review") != std::string::npos);
    CHECK(robots.prompt(3).find("Rules:") != std::string::npos);
    const auto records = robots.records();
    REQUIRE(records.size() == 3);
    CHECK(records[0].phase == "plan");
    CHECK(records[1].session == records[0].session);
    CHECK(records[2].session != records[0].session);
    CHECK(records[2].model == "strict");
    const std::string status = robots.project.ralph({"run", "parallel", "status"}).output;
    CHECK(status.find("RQ-0001: robot, phase review, ok, 3 turns, 300 tokens, $1.50") != std::string::npos);
    CHECK(status.find("in this run: 3 turns, 300 tokens, $1.50") != std::string::npos);
    // The plan is no work.
    CHECK(
        robots.project.git(robots.project.remote(), {"ls-tree", "-r", "--name-only", "main"}).find("plans") ==
        std::string::npos);
}

TEST_CASE(
    "a phase that was killed, or is held up, goes on where it was, and what is done is not done again") {
    Robots robots("plan wait review", phases);
    robots.add();
    SUBCASE("the step") {
        robots.project.start({"run", "--parallel", "2"});
        REQUIRE(
            Project::eventually([&] { return !Project::read(robots.project.outside("robot/pid")).empty(); }));
        robots.behave("work review");
        const std::string path = robots.project.paths().runs_of("RQ-0001") + "/2-work/worker.json";
        const auto worker = ralph::core::JsonDocument::parse(Project::read(path), path);
        REQUIRE(worker.has_value());
        CHECK(::kill(static_cast<pid_t>(worker->root().at("pid").as_int64()), SIGKILL) == 0);
        CHECK(robots.project.wait() == 0);
        CHECK(robots.calls() ==
              "RQ-0001 plan first\nRQ-0001 wait again\nRQ-0001 work again\nRQ-0001 review first\n");
        CHECK(robots.prompt(3).find("in the phase \"implement\"") != std::string::npos);
    }
    SUBCASE("its account") {
        robots.behave("plan limit work review");
        CHECK(robots.project.ralph({"run", "--parallel", "2"}).status == 0);
        CHECK(robots.calls() ==
              "RQ-0001 plan first\nRQ-0001 limit again\nRQ-0001 work again\nRQ-0001 review first\n");
    }
    SUBCASE("its failure") {
        robots.behave("plan work wrong");
        CHECK(robots.project.ralph({"run", "--parallel", "2"}).status == 3);
        CHECK(robots.project.record("RQ-0001")->last_error.value_or("").find(
                  "robot, phase review: I cannot do it") != std::string::npos);
        robots.behave("review");
        CHECK(robots.project.ralph({"run", "parallel", "retry", "--task", "RQ-0001"}).status == 0);
        CHECK(robots.project.ralph({"run", "--parallel", "2"}).status == 0);
        CHECK(robots.calls() ==
              "RQ-0001 plan first\nRQ-0001 work again\nRQ-0001 wrong first\nRQ-0001 review again\n");
    }
    CHECK(robots.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
}
