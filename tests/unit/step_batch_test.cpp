// Batches: one integrate run lands several tasks of the merge queue.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

SupervisorSettings in_batches(std::uint32_t max, Milliseconds wait = Milliseconds{0}) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = 4;
    settings.batch.max = max;
    settings.batch.wait = wait;
    return settings;
}

// T1 has done its work, T2 is about to begin, and T3 is at work.
StepDriver first_finished(SupervisorSettings settings) {
    StepDriver driver(std::move(settings));
    driver.queue({"T1", "T2", "T3"});
    driver.recovered("T2");
    driver.recovered("T3");
    driver.run_first("T1", 2);
    return driver;
}

void finish(StepDriver& driver, const std::string& id) {
    driver.started(id, 1);
    driver.ended(id, 1, 0);
    driver.started(id, 2);
    driver.ended(id, 2, 0);
}

// Of a run with T2 and T3 beside its own task.
Outcome batch_of(std::vector<BatchEnd> ends, std::string summary = "") {
    Outcome outcome;
    outcome.summary = std::move(summary);
    outcome.batch = std::move(ends);
    return outcome;
}

// T1's run for T1, T2 and T3 is under way.
StepDriver batch_of_three() {
    StepDriver driver(in_batches(8),
                      {record("T1", Lifecycle::integrating), record("T2", Lifecycle::integrating),
                       record("T3", Lifecycle::integrating)});
    driver.queue({"T1", "T2", "T3"});
    driver.recovered("T1", history({StepKind::work, 2, 1}, 0, exited(0)));
    driver.recovered("T2", history({StepKind::work, 2, 1}, 1, exited(0)));
    CHECK(driver.recovered("T3", history({StepKind::work, 2, 1}, 2, exited(0))) ==
          lines({"announce T3 running -> integrating attempt=1",
                 "start T1 3-integrate attempt=1 integration=1 with T2,T3"}));
    driver.started("T1", 3);
    return driver;
}

}  // namespace

TEST_CASE("batch: all who wait in the merge queue are landed by the run of the first, in their order") {
    StepDriver driver = batch_of_three();
    CHECK(driver.ended("T1", 3, exited(0), {}, batch_of({{"T2", 0, "", "", ""}, {"T3", 0, "", "", ""}})) ==
          lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                 "announce T2 integrating -> completed attempt=1", "settle T2 2",
                 "announce T3 integrating -> completed attempt=1", "settle T3 2",
                 "start T1 4-discard attempt=1"}));
}

TEST_CASE(
    "batch: with gates at the same time a run takes more tasks, but no more than its record can tell of") {
    for (const auto& row :
         std::vector<std::array<std::uint32_t, 3>>{{2, 1, 2}, {2, 3, 6}, {200, 1, 200}, {200, 2, 256}}) {
        const auto max = row[0];
        const auto gates = row[1];
        const auto most = row[2];
        SupervisorSettings settings = in_batches(max);
        settings.batch.gates = gates;
        std::vector<WorkerRecord> records;
        for (int i = 1; i <= 300; ++i) {
            records.push_back(record("T" + std::to_string(i), Lifecycle::integrating));
        }
        StepDriver driver(settings, records);
        std::string last;
        for (int i = 1; i <= 300; ++i) {
            last = driver.recovered("T" + std::to_string(i), history({StepKind::work, 2, 1}, 0, exited(0)));
        }
        CAPTURE(max);
        CAPTURE(gates);
        CHECK(static_cast<std::uint32_t>(std::count(last.begin(), last.end(), ',')) + 2 == most);
    }
}

TEST_CASE("batch: everybody ends as a run of its own would have") {
    StepDriver driver = batch_of_three();
    driver.ended("T1", 3, exited(0), {},
                 batch_of({{"T2", 65, "the gate is red", "", ""}, {"T3", 1, "no idea", "", ""}}));
    CHECK(driver.lifecycle("T1") == "completed");
    CHECK(driver.lifecycle("T2") == "blocked_push");
    CHECK(driver.error("T2") == "the gate is red");
    CHECK(driver.supervisor.state.find("T2")->push_attempts == 1);
    CHECK(driver.lifecycle("T3") == "failed");
}

TEST_CASE("batch: who is not told of integrates again") {
    StepDriver driver = batch_of_three();
    const std::string after = driver.ended("T1", 3, exited(0), {}, batch_of({{"T3", 0, "", "", ""}}));
    CHECK(driver.lifecycle("T2") == "integrating");
    CHECK(driver.supervisor.state.find("T2")->push_attempts == 0);
    CHECK(after.find("start T2 3-integrate attempt=1 integration=1\n") != std::string::npos);
}

TEST_CASE("batch: who is put off meets the others again") {
    StepDriver driver = batch_of_three();
    driver.ended("T1", 3, exited(75), {},
                 batch_of({{"T2", 75, "", "", ""}, {"T3", 75, "", "", ""}}, "somebody else pushed"));
    CHECK(driver.pass(499ms) == lines({"wake +1ms", "wake +1ms", "wake +1ms"}));
    CHECK(driver.pass(1ms) == lines({"start T1 4-integrate attempt=1 integration=2 with T2,T3"}));
    CHECK(driver.supervisor.state.find("T2")->push_attempts == 1);
}

TEST_CASE("batch: nothing is known of the others when the run is lost") {
    StepDriver driver = batch_of_three();
    CHECK(driver.ended("T1", 3, LostRun{"power"}, {}, batch_of({{"T2", 65, "", "", ""}})) ==
          lines({"warn T1: the outcome of integrate is lost: power; running it again",
                 "start T1 4-integrate attempt=1 integration=1 with T2,T3"}));
}

TEST_CASE("batch: strangers in the outcome change nothing") {
    StepDriver driver = batch_of_three();
    driver.queue({"T1", "T2", "T3", "T4"});
    driver.ended("T1", 3, exited(0), {}, batch_of({{"T4", 0, "", "", ""}, {"T9", 0, "", "", ""}}));
    CHECK(driver.lifecycle("T4") == "running");
    CHECK(driver.lifecycle("T9") == "none");
}

TEST_CASE("batch: no more than the largest batch") {
    StepDriver driver(in_batches(2),
                      {record("T1", Lifecycle::integrating), record("T2", Lifecycle::integrating),
                       record("T3", Lifecycle::integrating)});
    driver.recovered("T1", history({StepKind::work, 2, 1}, 0, exited(0)));
    driver.recovered("T2", history({StepKind::work, 2, 1}, 1, exited(0)));
    CHECK(driver.recovered("T3", history({StepKind::work, 2, 1}, 2, exited(0))) ==
          lines({"announce T3 running -> integrating attempt=1",
                 "start T1 3-integrate attempt=1 integration=1 with T2"}));
}

TEST_CASE("batch: the first waits for those at work, but not longer than it may") {
    StepDriver driver = first_finished(in_batches(8, 1000ms));
    CHECK(driver.supervisor.active.at(0).phase == Phase::ready);
    driver.now += 600ms;
    finish(driver, "T2");
    CHECK(driver.pass(399ms) == lines({"wake +1ms"}));
    CHECK(driver.pass(1ms) == lines({"start T1 3-integrate attempt=1 integration=1 with T2"}));
}

TEST_CASE("batch: nobody is waited for when nobody is at work, or enough are there") {
    StepDriver alone(in_batches(8, 1000ms));
    alone.queue({"T1"});
    alone.run_first("T1", 1);
    alone.started("T1", 2);
    CHECK(alone.ended("T1", 2, 0) == lines({"announce T1 running -> integrating attempt=1",
                                            "start T1 3-integrate attempt=1 integration=1"}));
    SupervisorSettings settings = in_batches(8, 1000ms);
    settings.batch.min = 2;
    StepDriver two = first_finished(settings);
    two.started("T2", 1);
    two.ended("T2", 1, 0);
    two.started("T2", 2);
    CHECK(two.ended("T2", 2, 0) == lines({"announce T2 running -> integrating attempt=1",
                                          "start T1 3-integrate attempt=1 integration=1 with T2"}));
}

TEST_CASE("batch: a target that itself fails the gate closes the merge queue and is nobody's attempt") {
    StepDriver driver = batch_of_three();
    Outcome red = batch_of({{"T2", 75, "red", "", ""}, {"T3", 75, "red", "", ""}}, "origin/main is red");
    red.target_is_red = true;
    const std::string after = driver.ended("T1", 3, exited(75), {}, red);
    CHECK(after.find("warn T1: nothing is landed for 60 s: origin/main is red\n") != std::string::npos);
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 0);
    CHECK(driver.supervisor.state.find("T2")->push_attempts == 0);
    CHECK(driver.pass(59'999ms) == lines({"wake +1ms"}));
    CHECK(driver.pass(1ms) == lines({"start T1 4-integrate attempt=1 integration=1 with T2,T3"}));
}

TEST_CASE("batch: a task that a batch blocked goes on with landing when it is retried") {
    StepDriver driver = batch_of_three();
    driver.ended("T1", 3, exited(0), {}, batch_of({{"T2", 65, "conflict", "", ""}, {"T3", 0, "", "", ""}}));
    RunHistory acknowledged;
    acknowledged.last_number = 2;
    acknowledged.work_attempts = 1;
    acknowledged.workspace_exists = true;
    acknowledged.acknowledged_step = StepKind::integrate;  // as the store says of work that was finished
    driver.take(event::RetryHistoryRead{"T2", acknowledged});
    CHECK(driver.lifecycle("T2") == "integrating");
    // What has ended and is not acknowledged yet is understood in the same way.
    StepDriver again = batch_of_three();
    again.ended("T1", 3, exited(0), {}, batch_of({{"T2", 65, "conflict", "", ""}, {"T3", 0, "", "", ""}}));
    again.take(event::RetryHistoryRead{"T2", history({StepKind::work, 2, 1}, 1, exited(0))});
    CHECK(again.lifecycle("T2") == "integrating");
}

TEST_CASE("batch: a run that comes to no verdict fails nobody, and the last one is for its own task alone") {
    ExitRecord too_late = exited(0);
    too_late.timed_out = true;
    for (const ExitRecord& end : {exited(1), exited(10), too_late}) {
        CHECK(counts_as_lost(StepKind::integrate, end, true));
        CHECK(!counts_as_lost(StepKind::integrate, end, false));
        CHECK(!counts_as_lost(StepKind::work, end, true));
    }
    for (const std::uint32_t verdict : {0U, 65U, 66U, 75U}) {
        CHECK(!counts_as_lost(StepKind::integrate, exited(verdict), true));
    }
    CHECK(!counts_as_lost(StepKind::integrate, stopped(), true));
    StepDriver driver = batch_of_three();
    driver.supervisor.settings.max_restarts = 1;
    const std::string after = driver.ended("T1", 3, LostRun{"it exited with status 1"});
    CHECK(after.find("start T1 4-integrate attempt=1 integration=1\n") != std::string::npos);
    driver.started("T1", 4);
    CHECK(driver.ended("T1", 4, 0).find("start T2 3-integrate attempt=1 integration=1 with T3\n") !=
          std::string::npos);
    // Also after a restart.
    StepDriver restarted(in_batches(8),
                         {record("T1", Lifecycle::integrating), record("T2", Lifecycle::integrating)});
    restarted.supervisor.settings.max_restarts = 1;
    RunHistory before = history({StepKind::integrate, 3, 1}, 0, LostRun{"power"});
    before.newest->leads_batch = true;
    restarted.recovered("T1", before);
    CHECK(restarted.recovered("T2", history({StepKind::work, 2, 1}, 1, exited(0)))
              .find("start T1 4-integrate attempt=1 integration=1\n") != std::string::npos);
}

TEST_CASE("batch: a task that has landed is completed even if its last attempt was to be made again") {
    StepDriver driver(in_batches(8), {record("T1", Lifecycle::integrating)});
    driver.supervisor.settings.max_push_attempts = 1;
    driver.recovered("T1", history({StepKind::work, 2, 1}, 0, exited(0)));
    driver.started("T1", 3);
    Outcome outcome;
    outcome.landed_sha = "0123456789012345678901234567890123456789";
    driver.ended("T1", 3, exited(75), {}, outcome);
    CHECK(driver.lifecycle("T1") == "completed");
}

TEST_CASE("batch: a drain does not wait for a target that itself fails the gate") {
    StepDriver driver = batch_of_three();
    Outcome red = batch_of({{"T2", 75, "red", "", ""}, {"T3", 75, "red", "", ""}}, "origin/main is red");
    red.target_is_red = true;
    driver.ended("T1", 3, exited(75), {}, red);
    CHECK(driver.take(event::DrainRequested{15, "received Terminated"})
              .find("finish 143: drained on request") != std::string::npos);
    CHECK(driver.lifecycle("T1") == "integrating");
}
