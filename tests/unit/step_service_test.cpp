// Stopped, restarted and reloaded as a service.
#include <doctest/doctest.h>

#include "core/supervisor/summary.h"
#include "tests/unit/step_driver.h"

using namespace ralph;
using namespace ralph::test;
using namespace ralph::core;

namespace {

SupervisorSettings service_settings() {
    SupervisorSettings settings = StepDriver::defaults();
    settings.stop_timeout = std::chrono::seconds{60};
    settings.continuous = true;
    return settings;
}

StepDriver with_a_worker() {
    return StepDriver::with_a_worker(service_settings());
}

}  // namespace

TEST_CASE("a service that is stopped drains for its time, then ends what runs, to be run again") {
    StepDriver driver = with_a_worker();
    CHECK(driver.take(event::DrainRequested{15, "the service is stopped", true}) ==
          lines({"note: what still runs in 60 s is ended, and runs again after the next start",
                 "note: draining: the service is stopped; no new task starts, what runs is finished",
                 "wake +60000ms"}));
    CHECK(driver.pass(std::chrono::seconds{59}) == "wake +1000ms\n");
    CHECK(driver.pass(std::chrono::seconds{1}) ==
          lines({"warn: ending: the workers are told to end", "end T1 2-work"}));
    CHECK(driver.ended("T1", 2, stopped()) ==
          lines({"note T1: work was ended with the supervisor; the next start runs it again",
                 "finish 143: ended on request"}));
    CHECK(driver.lifecycle("T1") == "running");
}

TEST_CASE("the time to drain is the same when the clock is set meanwhile") {
    for (const int hours : {-24, 24}) {
        StepDriver driver = with_a_worker();
        driver.take(event::DrainRequested{15, "the service is stopped", true});
        driver.wall_clock_error = std::chrono::hours{hours};
        CHECK(driver.pass(std::chrono::seconds{59}) == "wake +1000ms\n");
        CHECK(driver.pass(std::chrono::seconds{1}) ==
              lines({"warn: ending: the workers are told to end", "end T1 2-work"}));
    }
}

TEST_CASE("what ends by itself while a service drains is dealt with") {
    StepDriver driver = with_a_worker();
    driver.take(event::DrainRequested{15, "the service is stopped", true});
    CHECK(driver.ended("T1", 2, 7) ==
          lines({"announce T1 running -> failed attempt=1: work exited with status 7", "settle T1 2",
                 "finish 143: drained on request"}));
}

TEST_CASE("a machine that shuts down ends what runs at once, and gives up nothing") {
    StepDriver driver = with_a_worker();
    CHECK(driver.take(event::StopRequested{15, true}) ==
          lines({"warn: ending: the workers are told to end", "end T1 2-work"}));
    SUBCASE("and the worker ended in time") {
        CHECK(driver.ended("T1", 2, 0) ==
              lines({"announce T1 running -> integrating attempt=1", "finish 143: ended on request"}));
        CHECK(driver.lifecycle("T1") == "integrating");
    }
    SUBCASE("and the worker did not") {
        driver.ended("T1", 2, stopped());
        CHECK(driver.lifecycle("T1") == "running");
    }
}

TEST_CASE("an end of the last supervisor's doing is found: the step runs again, as another attempt") {
    StepDriver driver(service_settings(), {record("T1", Lifecycle::running)}, {"T1"});
    const std::string text = driver.recovered("T1", history(Run{StepKind::work, 2, 1}, 0, RunEnd{stopped()}));
    CHECK(text == lines({"note T1: work was ended with the supervisor; it runs again",
                         "start T1 3-prepare attempt=2 slot=0"}));
    CHECK(driver.lifecycle("T1") == "running");
}

TEST_CASE("an integration that was ended, and had landed the work, has landed it") {
    StepDriver driver(service_settings(), {record("T1", Lifecycle::integrating)}, {"T1"});
    ExitRecord landed = exited(0);
    landed.stopped = true;
    driver.recovered("T1", history(Run{StepKind::integrate, 3, 1}, 0, RunEnd{landed}));
    CHECK(driver.lifecycle("T1") == "completed");
}

TEST_CASE("settings that are read again count from then on") {
    StepDriver driver = with_a_worker();
    SupervisorSettings settings = service_settings();
    settings.workers = 2;
    CHECK(driver.take(event::SettingsChanged{settings}) ==
          lines({"note: the settings were read again: 2 workers", "read T2 and keep Title of T2"}));
}

TEST_CASE("the supervisor in one line") {
    StepDriver driver(service_settings());
    CHECK(summary(driver.supervisor) == "0 running, 0 integrating, 0 queued; merge queue 0");
    driver.queue({"T1", "T2", "T3"});
    CHECK(summary(driver.supervisor) == "1 running, 0 integrating, 2 queued; merge queue 0");
    driver.run_first("T1", 2);
    CHECK(summary(driver.supervisor) == "1 running, 1 integrating, 1 queued; merge queue 0");
    driver.run_first("T2", 2);
    CHECK(summary(driver.supervisor) == "0 running, 1 integrating, 1 queued; merge queue 1");
}

TEST_CASE("service: what had failed before a restart runs again only if somebody asks for it") {
    for (const bool continuous : {true, false}) {
        CAPTURE(continuous);
        SupervisorSettings settings = StepDriver::defaults();
        settings.continuous = continuous;
        StepDriver driver(settings, {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z")});
        const std::string said = driver.queue({"T1"});
        CHECK((said.find("read T1 and keep") != std::string::npos) == !continuous);
        if (continuous) {
            driver.take(event::RetryRequested{"T1"});
            RunHistory known;
            known.last_number = 2;
            known.work_attempts = 1;
            CHECK(driver.take(event::RetryHistoryRead{"T1", known}).find("start T1 3-prepare attempt=2") !=
                  std::string::npos);
        }
    }
}
