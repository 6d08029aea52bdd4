// What a person asks for: to cancel a task, to pause, another number of workers.
#include <doctest/doctest.h>

#include "core/supervisor/explain.h"
#include "core/supervisor/summary.h"
#include "tests/unit/step_driver.h"

using namespace ralph;
using namespace ralph::test;
using namespace ralph::core;

namespace {

SupervisorSettings waiting_settings() {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    return settings;
}

StepDriver with_a_worker() {
    return StepDriver::with_a_worker(waiting_settings());
}

Steering paused(std::optional<std::chrono::seconds> time = {}) {
    Steering steering;
    steering.pause = Pause{step_start, {}, "an update"};
    if (time) {
        steering.pause->until = step_start + *time;
    }
    return steering;
}

}  // namespace

TEST_CASE("cancel: the worker is told to end, then the task has failed and the next one runs") {
    StepDriver driver = with_a_worker();
    CHECK(driver.take(event::CancelRequested{"T1"}) == "end T1 2-work\n");
    CHECK(driver.take(event::CancelRequested{"T1"}).empty());  // told once
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.ended("T1", 2, stopped()) ==
          lines({"announce T1 running -> failed attempt=2: cancelled on request", "settle T1 2",
                 "forget the cancel of T1", "read T2 and keep Title of T2"}));
    CHECK(driver.supervisor.cancels.empty());
}

TEST_CASE("cancel: a worker that has finished before it was told is not landed") {
    StepDriver driver = with_a_worker();
    driver.take(event::CancelRequested{"T1"});
    driver.ended("T1", 2, 0);
    CHECK(driver.lifecycle("T1") == "failed");
}

TEST_CASE("cancel: one that starts is told once it has started") {
    StepDriver driver(waiting_settings());
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    CHECK(driver.take(event::CancelRequested{"T1"}).empty());
    CHECK(driver.started("T1", 2) == "end T1 2-work\n");
}

TEST_CASE("cancel: what lands is finished first, and who waits in the merge queue may be taken along") {
    SupervisorSettings settings = waiting_settings();
    settings.workers = 2;
    StepDriver driver(settings);
    driver.queue({"T1", "T2"});
    driver.run_first("T1", 2);
    driver.started("T1", 3);
    driver.run_first("T2", 2);
    CHECK(driver.take(event::CancelRequested{"T1"}).empty());
    CHECK(driver.take(event::CancelRequested{"T2"}).empty());
    const std::string said = driver.ended("T1", 3, 0);
    CHECK(driver.lifecycle("T1") == "completed");
    CHECK(driver.lifecycle("T2") == "failed");
    CHECK(said.find("warn T1: too late to cancel: it is completed") != std::string::npos);
    CHECK(said.find("start T2") == std::string::npos);
}

TEST_CASE("cancel: after a crash the next supervisor ends what it adopts, once it knows it") {
    StepDriver driver(waiting_settings(), {record("T1", Lifecycle::running)}, {"T1"});
    CHECK(driver.take(event::CancelRequested{"T1", true}).empty());
    SUBCASE("it goes on") {
        const std::string said = driver.recovered("T1", history(Run{StepKind::work, 2, 1}, 0, {}));
        CHECK(said.find("end T1 2-work") != std::string::npos);
        driver.ended("T1", 2, stopped());
        CHECK(driver.lifecycle("T1") == "failed");
    }
    SUBCASE("it was ended before the crash") {
        driver.recovered("T1", history(Run{StepKind::work, 2, 1}, 0, RunEnd{stopped()}));
        CHECK(driver.lifecycle("T1") == "failed");
    }
}

TEST_CASE("cancel: of what has ended, or has not begun, is refused, and at a start it was answered already") {
    StepDriver driver(waiting_settings(), {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z")});
    CHECK(driver.take(event::CancelRequested{"T1"}) ==
          lines({"forget the cancel of T1", "warn T1: there is nothing to cancel: it is failed"}));
    CHECK(driver.take(event::CancelRequested{"T1", true}) == "forget the cancel of T1\n");
    CHECK(driver.take(event::CancelRequested{"T2"}) ==
          lines({"forget the cancel of T2", "warn T2: there is nothing to cancel: it has not begun"}));
}

// Found by the simulation, seed 11.
TEST_CASE("cancel: an outage does not outlive the only task that looks whether it is over") {
    StepDriver driver(waiting_settings());
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    driver.started("T1", 1);
    driver.ended("T1", 1, exit_unavailable);
    REQUIRE(driver.supervisor.outage.has_value());
    CHECK(driver.take(event::CancelRequested{"T1"}).find("read T2 and keep") != std::string::npos);
    CHECK_FALSE(driver.supervisor.outage.has_value());
}

TEST_CASE("pause: no worker starts, what runs goes on and lands, and then workers start again") {
    StepDriver driver = with_a_worker();
    CHECK(driver.take(event::SteeringRead{paused()}) ==
          lines({"note: paused since 2026-02-20T00:00:00Z: an update; no worker starts, what runs goes on "
                 "and lands"}));
    CHECK(driver.ended("T1", 2, 0).find("start T1 3-integrate") != std::string::npos);
    CHECK(driver.ended("T1", 3, 0).find("T2") == std::string::npos);
    CHECK(summary(driver.supervisor).find("paused since") != std::string::npos);
    const auto holds = holds_of(driver.supervisor, {driver.now, driver.now});
    REQUIRE(!holds.empty());
    CHECK(holds.front().kind == "paused");
    CHECK(holds.front().next == "ralph resume");
    CHECK(explain(driver.supervisor, "T2", {driver.now, driver.now}, true)->reason == holds.front().reason);
    const std::string said = driver.take(event::SteeringRead{{}});
    CHECK(said.find("note: resumed") != std::string::npos);
    CHECK(said.find("read T2 and keep") != std::string::npos);
}

TEST_CASE("pause: ends by itself at its time, by the wall clock") {
    StepDriver driver(waiting_settings());
    CHECK(driver.take(event::SteeringRead{paused(std::chrono::seconds{60})}).find("paused until") !=
          std::string::npos);
    CHECK(driver.queue({"T1"}) == "wake +60000ms by the wall clock\n");
    CHECK(driver.pass(std::chrono::seconds{60}).find("read T1 and keep") != std::string::npos);
}

TEST_CASE("pause: a run that does not wait for tasks does not end meanwhile") {
    StepDriver driver;
    driver.take(event::SteeringRead{paused()});
    CHECK(driver.queue({"T1"}).empty());
    CHECK(driver.queue({}).empty());
    CHECK(driver.take(event::SteeringRead{{}}).find("finish 0") != std::string::npos);
}

TEST_CASE("pause: a drain does not wait for a task whose next worker may not start") {
    StepDriver driver(waiting_settings());
    driver.queue({"T1"});
    driver.recovered("T1");
    driver.started("T1", 1);
    driver.take(event::SteeringRead{paused()});
    driver.ended("T1", 1, 0);
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.take(event::DrainRequested{0, "asked"}).find("finish 3: drained on request") !=
          std::string::npos);
}

TEST_CASE("workers: as many as are asked for, whatever the settings say") {
    StepDriver driver = with_a_worker();
    Steering two;
    two.workers = 2;
    CHECK(driver.take(event::SteeringRead{two}) ==
          lines({"note: 2 workers from now on", "read T2 and keep Title of T2"}));
    CHECK(driver.take(event::SettingsChanged{waiting_settings()}).find("2 workers") != std::string::npos);
    CHECK(driver.take(event::SteeringRead{{}}) == "note: 1 workers from now on\n");
}
