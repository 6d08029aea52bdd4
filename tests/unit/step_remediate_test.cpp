// What could not be landed is given back to the worker, and comes into the merge queue again.
#include <doctest/doctest.h>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;

namespace {

SupervisorSettings fixing(std::uint32_t times) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_remediations = times;
    settings.continuous = true;
    return settings;
}

Outcome saying(std::string summary) {
    Outcome outcome;
    outcome.summary = std::move(summary);
    return outcome;
}

// T1's first integration has ended with a conflict.
StepDriver in_conflict(std::uint32_t times) {
    StepDriver driver(fixing(times));
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    driver.started("T1", 3);
    driver.ended("T1", 3, exited(66), {}, saying("conflict in a.txt"));
    return driver;
}

}  // namespace

TEST_CASE("remediate: the worker fixes it, and it integrates again") {
    StepDriver driver(fixing(1));
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    driver.started("T1", 3);
    CHECK(driver.ended("T1", 3, exited(66), {}, saying("conflict in a.txt")) ==
          lines({"announce T1 integrating -> integrating attempt=1: conflict in a.txt",
                 "start T1 4-remediate attempt=1"}));
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.error("T1") == "conflict in a.txt");
    CHECK(driver.supervisor.active.at(0).slot == 0);
    driver.started("T1", 4);
    CHECK(driver.ended("T1", 4, 0) == lines({"start T1 5-integrate attempt=1 integration=2"}));
    CHECK(!driver.supervisor.active.at(0).slot);
    driver.started("T1", 5);
    driver.ended("T1", 5, 0);
    CHECK(driver.lifecycle("T1") == "completed");
    CHECK(driver.error("T1") == "no error");
}

TEST_CASE("remediate: not more often than it may be") {
    StepDriver driver = in_conflict(1);
    driver.started("T1", 4);
    driver.ended("T1", 4, 0);
    driver.started("T1", 5);
    driver.ended("T1", 5, exited(66), {}, saying("conflict in b.txt"));
    CHECK(driver.lifecycle("T1") == "blocked_push");
    CHECK(driver.error("T1") == "conflict in b.txt");
    StepDriver never = in_conflict(0);
    CHECK(never.lifecycle("T1") == "blocked_push");
}

TEST_CASE("remediate: a worker that cannot fix it leaves it blocked, with both reasons") {
    StepDriver driver = in_conflict(2);
    driver.started("T1", 4);
    driver.ended("T1", 4, 7);
    CHECK(driver.lifecycle("T1") == "blocked_push");
    CHECK(driver.error("T1") == "remediate exited with status 7; before that: conflict in a.txt");
}

TEST_CASE("remediate: after a restart it goes on, its end counts, and its number is remembered") {
    const auto restarted = [](std::uint32_t times) {
        return StepDriver(fixing(times), {record("T1", Lifecycle::integrating)});
    };
    StepDriver alive = restarted(1);
    CHECK(alive.recovered("T1", history({StepKind::remediate, 4, 1}, 0, std::nullopt)) ==
          lines({"adopt T1 4-remediate", "note T1: remediate goes on under its shim"}));
    CHECK(alive.lifecycle("T1") == "integrating");
    CHECK(alive.supervisor.active.at(0).slot == 0);
    StepDriver ended = restarted(1);
    CHECK(ended.recovered("T1", history({StepKind::remediate, 4, 1}, 0, exited(0))) ==
          lines({"start T1 5-integrate attempt=1 integration=1"}));
    StepDriver again = restarted(1);
    RunHistory before = history({StepKind::integrate, 5, 1}, 0, exited(66));
    before.counts.remediations = 1;
    again.recovered("T1", before);
    CHECK(again.lifecycle("T1") == "blocked_push");
    StepDriver interrupted = restarted(1);
    CHECK(interrupted.recovered("T1", history({StepKind::remediate, 4, 1}, 0, stopped())) ==
          lines({"note T1: remediate was ended with the supervisor; it runs again",
                 "start T1 5-remediate attempt=1"}));
}

TEST_CASE("remediate: a retry of what could not be fixed goes on with landing") {
    StepDriver driver = in_conflict(1);
    driver.started("T1", 4);
    driver.ended("T1", 4, 7);
    driver.take(event::RetryHistoryRead{"T1", history({StepKind::remediate, 4, 1}, 0, exited(7))});
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.supervisor.active.at(0).run == Run{StepKind::integrate, 5, 1});
    // Found by the simulation, seed 264: when its end was lost, the work was thrown away.
    StepDriver lost = in_conflict(1);
    lost.started("T1", 4);
    for (std::uint32_t number = 4; number < 7; ++number) {
        lost.started("T1", number);
        lost.ended("T1", number, LostRun{"power"});
    }
    CHECK(lost.lifecycle("T1") == "failed");
    lost.take(event::RetryHistoryRead{"T1", history({StepKind::remediate, 6, 1}, 0, LostRun{"power"})});
    CHECK(lost.supervisor.active.at(0).run == Run{StepKind::integrate, 7, 1});
}

TEST_CASE("remediate: one of a batch is fixed as well") {
    StepDriver driver(fixing(1),
                      {record("T1", Lifecycle::integrating), record("T2", Lifecycle::integrating)});
    driver.supervisor.settings.batch.max = 4;
    driver.recovered("T1", history({StepKind::work, 2, 1}, 0, exited(0)));
    driver.recovered("T2", history({StepKind::work, 2, 1}, 1, exited(0)));
    driver.started("T1", 3);
    Outcome outcome;
    outcome.batch.push_back({"T2", 66, "red alone", "", ""});
    const std::string after = driver.ended("T1", 3, exited(0), {}, outcome);
    CHECK(after.find("start T2 3-remediate attempt=1\n") != std::string::npos);
    CHECK(driver.lifecycle("T2") == "integrating");
}
