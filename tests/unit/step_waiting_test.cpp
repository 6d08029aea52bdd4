// Ends that count for nothing: a host with a bad minute, a workspace that somebody else holds, a start that
// fails. And what is no success: a worker that left nothing to land.
#include <doctest/doctest.h>

#include "core/supervisor/summary.h"
#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

Outcome saying(std::string summary) {
    Outcome outcome;
    outcome.summary = std::move(summary);
    return outcome;
}

SupervisorSettings with_workers(std::uint32_t workers) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = workers;
    return settings;
}

// A blocked task whose integrate run was dealt with, and whose workspace is there.
RunHistory settled_landing() {
    RunHistory acknowledged;
    acknowledged.last_number = 3;
    acknowledged.work_attempts = 1;
    acknowledged.acknowledged_integrations = 0;
    acknowledged.acknowledged_step = StepKind::integrate;
    acknowledged.workspace_exists = true;
    return acknowledged;
}

}  // namespace

TEST_CASE("waiting: a worker that left nothing to land is blocked, and no attempt was made") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    CHECK(driver.ended("T1", 3, exited(67), {}, saying("only ignored files")) ==
          lines({"announce T1 integrating -> blocked_push attempt=1: only ignored files", "settle T1 3",
                 "finish 3: the queue is drained"}));
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 0);
}

TEST_CASE("waiting: nothing to land after a retry means that the worker runs again, and then is blocked") {
    StepDriver driver(StepDriver::defaults(), {ended_record("T1", Lifecycle::blocked_push, "")});
    CHECK(driver.take(event::RetryHistoryRead{"T1", settled_landing()}) ==
          lines({"forget T1", "announce T1 blocked_push -> running attempt=1: retry requested",
                 "start T1 4-integrate attempt=1 integration=1"}));
    CHECK(driver.ended("T1", 4, exited(67), {}, saying("nothing there")) ==
          lines({"announce T1 integrating -> running attempt=1: nothing there",
                 "start T1 5-prepare attempt=2 slot=0"}));
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.ended("T1", 5, 0) == lines({"start T1 6-work attempt=2 slot=0"}));
    driver.ended("T1", 6, 0);
    driver.ended("T1", 7, exited(67), {}, saying("nothing again"));
    CHECK(driver.lifecycle("T1") == "blocked_push");
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 0);
}

TEST_CASE("waiting: whether a worker ran is known after a restart, too") {
    for (const bool worked : {false, true}) {
        CAPTURE(worked);
        StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::integrating)});
        RunHistory found = history(Run{StepKind::integrate, 4, 1}, 0, exited(67));
        found.counts.worked = worked;
        driver.recovered("T1", found);
        CHECK(driver.lifecycle("T1") == (worked ? "blocked_push" : "running"));
    }
}

TEST_CASE("waiting: nothing to land for a member of a batch, that has worked and that has not") {
    SupervisorSettings settings = with_workers(3);
    settings.batch.max = 3;
    StepDriver driver(settings, {ended_record("T3", Lifecycle::blocked_push, "")});
    driver.queue({"T1", "T2"});
    driver.recovered("T2");
    driver.recovered("T1");
    for (const char* const id : {"T1", "T2"}) {
        driver.ended(id, 1, 0);
    }
    driver.ended("T1", 2, 0);  // takes the merge queue alone
    driver.ended("T2", 2, 0);
    driver.take(event::RetryHistoryRead{"T3", settled_landing()});
    CHECK(driver.ended("T1", 3, 75).find("start T2 3-integrate attempt=1 integration=1 with T3") !=
          std::string::npos);
    Outcome outcome;
    outcome.batch = {{"T3", 67, "nothing there", "", ""}};
    driver.ended("T2", 3, exited(67), {}, outcome);
    CHECK(driver.lifecycle("T2") == "blocked_push");
    CHECK(driver.lifecycle("T3") == "running");
    CHECK(driver.supervisor.active.back().run == Run{StepKind::prepare, 4, 2});
}

TEST_CASE("waiting: a host with a bad minute holds back all starts, and is looked at with a growing pause") {
    StepDriver driver(with_workers(2));
    driver.queue({"T1", "T2", "T3"});
    driver.recovered("T1");
    driver.recovered("T2");
    CHECK(driver.ended("T1", 1, exited(69), {}, saying("no space left")) ==
          lines({"warn T1: nothing new starts until this is over: no space left"}));
    CHECK(driver.ended("T2", 1, exited(69), {}, saying("no space left")) ==
          lines({"wake +1000ms"}));  // it was under way when it began: told once, and no longer pause
    CHECK(driver.pass(999ms) == lines({"wake +1ms"}));
    CHECK(driver.pass(1ms) == lines({"start T1 2-prepare attempt=1 slot=0"}));  // and T2 waits
    std::uint32_t t1 = 2;
    std::uint32_t t2 = 1;
    bool first = true;
    for (const std::int64_t pause : {2000, 4000, 8000, 16000, 32000, 60000, 60000}) {
        CAPTURE(pause);
        const std::string id = first ? "T1" : "T2";
        CHECK(driver.ended(id, first ? t1 : t2, 69) == fmt::format("wake +{}ms\n", pause));
        std::uint32_t& next = first ? ++t2 : ++t1;  // in turn
        first = !first;
        CHECK(driver.pass(Milliseconds{pause}) == fmt::format("start {} {}-prepare attempt=1 slot={}\n",
                                                              first ? "T1" : "T2", next, first ? 0 : 1));
    }
    CHECK(driver.lifecycle("T3") == "none");
    // The first that can do it again opens it for all.
    const std::string over = driver.ended(first ? "T1" : "T2", first ? t1 : t2, 0);
    CHECK(over.find("note: what held back new starts is over\n") == 0);
    CHECK(over.find("-work attempt=1") != std::string::npos);
    CHECK(over.find("-prepare attempt=1") != std::string::npos);
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.lifecycle("T2") == "running");
}

TEST_CASE("waiting: the merge queue waits for the host, however long it lasts, and no attempt is counted") {
    StepDriver driver;
    driver.queue({"T1", "T2"});
    driver.run_first("T1", 2);
    driver.recovered("T2");
    std::uint32_t number = 3;
    for (int i = 0; i < 10; ++i) {
        driver.ended("T1", number, exited(69), {}, saying("the remote cannot be reached"));
        ++number;
        driver.pass(60s);
        if (i == 0) {
            driver.ended("T2", 1, 69);
            driver.pass(60s);
        }
        if (driver.supervisor.active.front().phase != Phase::starting) {
            driver.ended("T2", driver.supervisor.active.back().run.number, 69);
            driver.pass(60s);
        }
        CHECK(driver.supervisor.active.front().run == Run{StepKind::integrate, number, 1});
    }
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 0);
    CHECK(driver.supervisor.active.front().counts.restarts == 0);
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.lifecycle("T2") == "running");
    driver.ended("T1", number, 0);
    CHECK(driver.lifecycle("T1") == "completed");
}

TEST_CASE("waiting: workers that are at work go on during an outage, and a drain waits for them alone") {
    StepDriver driver(with_workers(2));
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    driver.recovered("T2");
    driver.ended("T1", 1, 0);
    driver.ended("T2", 1, 69);
    driver.started("T1", 2);
    CHECK(driver.take(event::DrainRequested{15, "SIGTERM", false}).find("finish 143") == std::string::npos);
    // What it has finished cannot land now: the next start does it.
    CHECK(driver.ended("T1", 2, 0) ==
          lines({"announce T1 running -> integrating attempt=1", "finish 143: drained on request"}));
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.lifecycle("T2") == "running");
}

TEST_CASE("waiting: an outage ends with a probe that is lost and given up") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 0;
    StepDriver driver(settings);
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    driver.ended("T1", 1, 69);
    driver.pass(1s);
    driver.ended("T1", 2, LostRun{"killed"});
    CHECK(driver.lifecycle("T1") == "failed");
    CHECK(driver.lifecycle("T2") == "running");  // selected
}

TEST_CASE("waiting: a start looks at once whether the host can do it again") {
    StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    CHECK(driver.recovered("T1", history(Run{StepKind::prepare, 1, 1}, 0, exited(69))) ==
          lines({"start T1 2-prepare attempt=1 slot=0"}));
    CHECK(driver.ended("T1", 2, 69) ==
          lines({"warn T1: nothing new starts until this is over: prepare exited with status 69",
                 "wake +1000ms"}));
}

TEST_CASE("waiting: a batch that meets a bad minute counts for none of its tasks") {
    SupervisorSettings settings = with_workers(2);
    settings.batch.max = 2;
    StepDriver driver(settings);
    driver.queue({"T1", "T2"});
    driver.recovered("T2");
    driver.recovered("T1");
    driver.ended("T1", 1, 0);
    driver.ended("T2", 1, 0);
    driver.ended("T1", 2, 0);
    driver.ended("T2", 2, 0);
    driver.ended("T1", 3, 69);
    driver.pass(1s);
    driver.ended(driver.supervisor.active.front().phase == Phase::starting ? "T1" : "T2",
                 driver.supervisor.active.front().phase == Phase::starting ? 4 : 3, 75);
    driver.pass(500ms);
    Outcome outcome = saying("no descriptors");
    outcome.batch = {{"T1", 69, "no descriptors", "", ""}, {"T2", 69, "no descriptors", "", ""}};
    for (const ActiveTask& task : driver.supervisor.active) {
        if (task.phase == Phase::starting) {
            driver.ended(task.task_id, task.run.number, exited(69), {}, outcome);
            break;
        }
    }
    CHECK(driver.supervisor.outage.has_value());
    CHECK(driver.supervisor.state.find("T1")->push_attempts +
              driver.supervisor.state.find("T2")->push_attempts ==
          1);  // of the 75
}

TEST_CASE("waiting: a workspace that is in use is waited for, and holds back neither others nor a drain") {
    StepDriver driver;
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    CHECK(driver.ended("T1", 1, exited(71), {}, saying("its workspace is held by cueloop, pid 7")) ==
          lines({"warn T1: waits: its workspace is held by cueloop, pid 7", "read T2 and keep Title of T2",
                 "wake +1000ms"}));
    driver.run_first("T2", 3);
    driver.ended("T2", 4, 0);
    CHECK(driver.lifecycle("T2") == "completed");
    for (std::uint32_t number = 2; number < 10; ++number) {  // never given up, told once
        driver.pass(2s);
        CHECK(driver.ended("T1", number, exited(71), {}, saying("held")).find("held") == std::string::npos);
    }
    CHECK(driver.lifecycle("T1") == "running");
    CHECK_FALSE(driver.supervisor.finished);
    CHECK(driver.take(event::DrainRequested{15, "SIGTERM", false}).find("finish 143") != std::string::npos);
    CHECK(driver.lifecycle("T1") == "running");
}

TEST_CASE("waiting: a workspace that is free again is worked in") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.recovered("T1");
    driver.ended("T1", 1, 71);
    CHECK(driver.error("T1") == "waits: prepare exited with status 71");
    CHECK(driver.pass(1s) == lines({"start T1 2-prepare attempt=1 slot=0"}));
    CHECK(driver.ended("T1", 2, 0) == lines({"start T1 3-work attempt=1 slot=0"}));
    CHECK(driver.error("T1") == "no error");
}

TEST_CASE("waiting: a drain does not wait for a start that fails again and again") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.recovered("T1");
    driver.take(event::DrainRequested{15, "SIGTERM", false});
    for (std::uint32_t number = 1; number < 4; ++number) {
        CHECK(driver.ended("T1", number, StartFailed{"no descriptors"}).find("finish") == std::string::npos);
        driver.pass(30s);
    }
    CHECK(driver.ended("T1", 4, StartFailed{"no descriptors"}) == lines({"finish 143: drained on request"}));
    CHECK(driver.lifecycle("T1") == "running");
}

TEST_CASE("waiting: a drain does not wait for a discard that cannot start") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 3);
    driver.take(event::DrainRequested{15, "SIGTERM", false});
    for (std::uint32_t number = 4; number < 7; ++number) {
        driver.ended("T1", number, StartFailed{"no descriptors"});
        driver.pass(30s);
    }
    CHECK(driver.ended("T1", 7, StartFailed{"no descriptors"}) == lines({"finish 143: drained on request"}));
}

TEST_CASE("waiting: pauses do not change when the wall clock is set") {
    for (const int hours : {-24, 24}) {
        StepDriver driver;
        driver.queue({"T1"});
        driver.run_first("T1", 2);
        driver.ended("T1", 3, 75);
        driver.wall_clock_error = std::chrono::hours{hours};
        CHECK(driver.pass(499ms) == lines({"wake +1ms"}));
        CHECK(driver.pass(1ms) == lines({"start T1 4-integrate attempt=1 integration=2"}));
        driver.ended("T1", 4, 65);
        CHECK(driver.supervisor.state.find("T1")->completed_at ==
              (hours < 0 ? "2026-02-19T00:00:00.500000000Z" : "2026-02-21T00:00:00.500000000Z"));
    }
}

TEST_CASE("waiting: who has landed a task, if it was somebody else, stands in its record") {
    const std::string words = "landed by somebody else: commit 1a2b3c4d by A. Colleague";
    Outcome outcome = saying("is on the target already");
    outcome.landed_by = "commit 1a2b3c4d by A. Colleague";
    for (const std::uint32_t number : {1U, 3U}) {
        CAPTURE(number);
        StepDriver driver;
        driver.queue({"T1"});
        driver.run_first("T1", number - 1);
        CHECK(driver.ended("T1", number, exited(number == 1 ? 10 : 0), {}, outcome)
                  .find(fmt::format("-> completed attempt=1: {}\n", words)) != std::string::npos);
        CHECK(driver.error("T1") == words);
    }
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    driver.ended("T1", 3, exited(65), {}, outcome);
    CHECK(driver.error("T1") == "is on the target already");
}

TEST_CASE("waiting: a signal ends a supervisor that cannot read what its tasks have run") {
    for (const bool twice : {false, true}) {
        CAPTURE(twice);
        StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
        driver.take(event::DrainRequested{15, "SIGTERM", false});
        if (twice) {
            driver.take(event::StopRequested{15});
        }
        for (int i = 0; i < 3; ++i) {
            CHECK(driver.take(event::HistoryUnreadable{"T1"}).empty());
        }
        CHECK(driver.take(event::HistoryUnreadable{"T1"}).find("finish 143") != std::string::npos);
        CHECK(driver.lifecycle("T1") == "running");
    }
}

TEST_CASE("waiting: a drain that leaves tasks waiting does not say that all have landed") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.recovered("T1");
    driver.ended("T1", 1, exited(69), {}, saying("the remote cannot be reached"));
    CHECK(summary(driver.supervisor) ==
          "1 running, 0 integrating, 0 queued; merge queue 0; nothing new starts: the remote cannot be "
          "reached");
    CHECK(driver.take(event::DrainRequested{0, "asked for", false}).find("finish 3: drained on request") !=
          std::string::npos);
}

TEST_CASE("waiting: a workspace in use does not end an outage that another task waits for, nor keep one up") {
    StepDriver driver(with_workers(2));
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    driver.recovered("T2");
    driver.ended("T1", 1, 69);
    CHECK(driver.ended("T2", 1, 71).find("is over") == std::string::npos);
    CHECK(driver.supervisor.outage.has_value());
    driver.pass(1s);
    CHECK(driver.ended("T1", 2, 71).find("note: what held back new starts is over") != std::string::npos);
    CHECK_FALSE(driver.supervisor.outage.has_value());
}

TEST_CASE("waiting: nothing new is selected during an outage, though there is a slot for it") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    driver.ended("T1", 3, exited(69), {}, saying("the remote cannot be reached"));
    driver.queue({"T1", "T2"});
    CHECK(driver.lifecycle("T2") == "none");
    driver.pass(1s);
    driver.ended("T1", 4, 75);
    CHECK(driver.lifecycle("T2") == "running");
}

TEST_CASE("waiting: any number of workspaces in use leave room for others") {
    StepDriver driver;
    driver.queue({"T1", "T2", "T3"});
    for (const char* const id : {"T1", "T2"}) {
        driver.recovered(id);
        driver.ended(id, 1, 71);
    }
    CHECK(driver.lifecycle("T3") == "running");
}

TEST_CASE(
    "waiting: a task that the target branch does not hold yet is in nobody's way, and is never failed") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    StepDriver driver(settings);
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    const std::string waits = driver.ended("T1", 1, exited(75), {}, saying("T1 is not on origin/main"));
    CHECK(waits == lines({"warn T1: waits: T1 is not on origin/main", "read T2 and keep Title of T2",
                          "wake +5000ms"}));
    driver.run_first("T2", 3);
    driver.ended("T2", 4, 0);
    CHECK(driver.lifecycle("T2") == "completed");
    std::uint32_t number = 2;
    for (const std::int64_t pause : {5, 10, 20, 40, 80, 160, 300, 300}) {  // never given up, told once
        driver.pass(Milliseconds{pause * 1000});
        CHECK(driver.ended("T1", number++, exited(75), {}, saying("not yet")).find("T1:") ==
              std::string::npos);
    }
    CHECK(driver.error("T1") == "waits: not yet");
    SUBCASE("until the branch has moved") {
        CHECK(driver.take(event::TargetMoved{}) ==
              fmt::format("start T1 {}-prepare attempt=1 slot=0\n", number));
        CHECK(driver.ended("T1", number, 0) ==
              fmt::format("start T1 {}-work attempt=1 slot=0\n", number + 1));
        CHECK(driver.error("T1") == "no error");
    }
    SUBCASE("or a drain, which does not wait for it") {
        CHECK(driver.take(event::DrainRequested{15, "SIGTERM", false}).find("finish 143") !=
              std::string::npos);
        CHECK(driver.lifecycle("T1") == "running");
    }
    SUBCASE("or the end of all that runs") {
        CHECK(driver.take(event::StopRequested{15}).find("finish 143") != std::string::npos);
        CHECK(driver.lifecycle("T1") == "running");
    }
    SUBCASE("or until it is taken out of the queue") {
        CHECK(driver.queue({}, {"T2"}) ==
              lines({"note T1: was taken out of the queue before it began", "forget the runs of T1"}));
        CHECK(driver.lifecycle("T1") == "none");
        driver.take(event::RunsForgotten{"T1"});
        CHECK(driver.queue({"T1"}, {"T2"}).find("read T1 and keep") != std::string::npos);
    }
}

TEST_CASE("waiting: a run that ends when the queue is drained does not wait for what nobody pushes") {
    StepDriver driver;
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    CHECK(driver.ended("T1", 1, 75).find("finish") == std::string::npos);  // T2 is at its turn
    driver.run_first("T2", 3);
    driver.ended("T2", 4, 0);
    CHECK(driver.queue({"T1"}, {"T2"}) ==
          lines({"finish 3: the queue is drained but for 1 task that the target branch does not hold yet",
                 "wake +5000ms"}));
    CHECK(driver.lifecycle("T1") == "running");
    StepDriver next(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    next.queue({"T1"});
    CHECK(next.recovered("T1", history({StepKind::prepare, 1, 1}, 0, exited(75)))
              .find("start T1 2-prepare attempt=1 slot=0") != std::string::npos);  // at once
}

TEST_CASE(
    "waiting: a task that has worked before stays recorded though the queue lost it before it was pushed "
    "again") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    StepDriver driver(settings, {record("T1", Lifecycle::running)});
    RunHistory worked = history({StepKind::prepare, 3, 2}, 0, exited(75));
    driver.queue({"T1"});
    driver.recovered("T1", worked);
    driver.ended("T1", 4, 75);
    driver.queue({});
    CHECK(driver.lifecycle("T1") == "failed");
    CHECK(driver.error("T1") == "it was taken out of the queue");
}
