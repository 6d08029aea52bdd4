// A task's way through core::step when nothing crashes. Recovery is in step_recovery_test.cpp, ends on
// request in step_ending_test.cpp.
#include <doctest/doctest.h>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

TEST_CASE("step: one task from the selection to the removed workspace") {
    StepDriver driver;
    CHECK(driver.queue({"T1"}) == lines({"read T1 and keep Title of T1"}));
    const WorkerRecord* const record = driver.supervisor.state.find("T1");
    REQUIRE(record != nullptr);
    CHECK(record->workspace_path == "/workspaces/T1");
    CHECK(record->started_at == "2026-02-20T00:00:00.000000000Z");
    CHECK(record->lifecycle == Lifecycle::running);
    CHECK(driver.recovered("T1") == lines({"announce T1 new -> running attempt=1: Title of T1",
                                           "start T1 1-prepare attempt=1 slot=0"}));
    CHECK(driver.started("T1", 1).empty());
    CHECK(driver.ended("T1", 1, 0) == lines({"start T1 2-work attempt=1 slot=0"}));
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.started("T1", 2).empty());
    CHECK(driver.ended("T1", 2, 0) == lines({"announce T1 running -> integrating attempt=1",
                                             "start T1 3-integrate attempt=1 integration=1"}));
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.started("T1", 3).empty());
    driver.now += 5s;
    CHECK(driver.ended("T1", 3, 0) == lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                                             "start T1 4-discard attempt=1"}));
    CHECK(driver.lifecycle("T1") == "completed");
    CHECK(driver.supervisor.state.find("T1")->completed_at == "2026-02-20T00:00:05.000000000Z");
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 1);
    CHECK(driver.started("T1", 4).empty());
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4", "load"}));
    CHECK(driver.queue({}, {"T1"}) == lines({"finish 0: the queue is drained"}));
    CHECK(driver.supervisor.finished);
    CHECK(driver.queue({"T9"}).empty());
}

TEST_CASE("step: an event that is not of the present run changes nothing") {
    StepDriver driver;
    driver.queue({"T1"});
    CHECK(driver.ended("T1", 1, 0).empty());  // not even started
    driver.recovered("T1");
    CHECK(driver.started("T1", 2).empty());
    CHECK(driver.supervisor.active.at(0).phase == Phase::starting);
    CHECK(driver.ended("T1", 2, 0).empty());
    CHECK(driver.ended("T2", 1, 0).empty());
    CHECK(driver.recovered("T1").empty());
    CHECK(driver.recovered("T2").empty());
    driver.ended("T1", 1, 0);
    CHECK(driver.ended("T1", 1, 1).empty());  // told twice
    CHECK(driver.supervisor.active.at(0).run == Run{StepKind::work, 2, 1});
}

TEST_CASE("step: what the exit of a step makes of a task") {
    struct Row {
        std::uint32_t number;  // the run that ends so; those before it succeed
        std::uint32_t status;
        std::string lifecycle;
        std::string error;
    };
    const Row rows[] = {
        {1, 1, "failed", "prepare exited with status 1"},
        {1, 10, "completed", "no error"},
        {1, 65, "failed", "prepare exited with status 65"},
        {1, 75, "running", "waits: prepare exited with status 75"},
        {2, 1, "failed", "work exited with status 1"},
        {2, 10, "failed", "work exited with status 10"},
        {2, 65, "failed", "work exited with status 65"},
        {2, 75, "failed", "work exited with status 75"},
        {3, 1, "failed", "integrate exited with status 1"},
        {3, 10, "failed", "integrate exited with status 10"},
        {3, 65, "blocked_push", "integrate exited with status 65"},
        {3, 75, "integrating", "no error"},
        {1, 67, "failed", "prepare exited with status 67"},
        {1, 69, "running", "waits: prepare exited with status 69"},
        {1, 71, "running", "waits: prepare exited with status 71"},
        {2, 67, "failed", "work exited with status 67"},
        {2, 69, "failed", "work exited with status 69"},
        {2, 71, "failed", "work exited with status 71"},
        {3, 67, "blocked_push", "integrate exited with status 67"},
        {3, 69, "integrating", "waits: integrate exited with status 69"},
        {3, 71, "failed", "integrate exited with status 71"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.number);
        CAPTURE(row.status);
        StepDriver driver;
        driver.queue({"T1"});
        driver.run_first("T1", row.number - 1);
        driver.ended("T1", row.number, row.status);
        CHECK(driver.lifecycle("T1") == row.lifecycle);
        CHECK(driver.error("T1") == row.error);
    }
}

TEST_CASE("step: the step's own words are the error") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    CHECK(driver.ended("T1", 3, exited(65), {}, Outcome{"conflict in a.txt", "look at this", "", ""}) ==
          lines({"warn T1: look at this",
                 "announce T1 integrating -> blocked_push attempt=1: conflict in a.txt", "settle T1 3",
                 "finish 3: the queue is drained"}));
    CHECK(driver.error("T1") == "conflict in a.txt");
}

TEST_CASE("step: a block marker of the worker") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    const BlockMarker marker{"T1", "push was rejected", 4, 5, ""};
    CHECK(driver.ended("T1", 2, exited(1), marker, Outcome{"the summary", "", "", ""}) ==
          lines({"announce T1 running -> blocked_push attempt=1: push was rejected", "settle T1 2",
                 "finish 3: the queue is drained"}));
    CHECK(driver.error("T1") == "push was rejected");
}

TEST_CASE("step: a marker does not hold a worker back that succeeded") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    driver.ended("T1", 2, exited(0), BlockMarker{"T1", "old", 1, 1, ""});
    CHECK(driver.lifecycle("T1") == "integrating");
}

TEST_CASE("step: a deferred integration waits its pause and is tried again, until it is exhausted") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 2);
    CHECK(driver.ended("T1", 3, 75) ==
          lines({"announce T1 integrating -> integrating attempt=1: integrate exited with status 75",
                 "wake +500ms"}));
    CHECK(driver.pass(499ms) == lines({"wake +1ms"}));
    CHECK(driver.pass(1ms) == lines({"start T1 4-integrate attempt=1 integration=2"}));
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 1);
    driver.started("T1", 4);
    CHECK(driver.ended("T1", 4, 75) ==
          lines({"announce T1 integrating -> integrating attempt=1: integrate exited with status 75",
                 "wake +2000ms"}));
    CHECK(driver.pass(2s) == lines({"start T1 5-integrate attempt=1 integration=3"}));
    CHECK(driver.ended("T1", 5, exited(75), {}, Outcome{"the remote moved", "", "", ""}) ==
          lines({"announce T1 integrating -> blocked_push attempt=1: the remote moved", "settle T1 5",
                 "finish 3: the queue is drained"}));
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 3);
}

TEST_CASE("step: no attempt to land is made when none are allowed") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_push_attempts = 0;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    const std::string why = "parallel.max_push_attempts is 0: nothing is landed";
    CHECK(driver.ended("T1", 2, 0) == lines({"announce T1 running -> integrating attempt=1",
                                             "announce T1 integrating -> blocked_push attempt=1: " + why,
                                             "settle T1 2", "finish 3: the queue is drained"}));
    CHECK(driver.error("T1") == why);
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 0);
}

TEST_CASE("step: a lost run is run again, and given up at last") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 1;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    driver.started("T1", 2);
    CHECK(driver.ended("T1", 2, LostRun{"the shim is gone"}) ==
          lines({"warn T1: the outcome of work is lost: the shim is gone; running it again",
                 "start T1 3-work attempt=2 slot=0"}));
    CHECK(driver.lifecycle("T1") == "running");
    driver.started("T1", 3);
    CHECK(driver.ended("T1", 3, LostRun{"the shim is gone"}) ==
          lines({"warn T1: the outcome of work is lost: the shim is gone; restarted 1 times, giving up",
                 "announce T1 running -> failed attempt=2: the outcome of work is lost: the shim is gone",
                 "settle T1 3", "finish 3: the queue is drained"}));
    CHECK(driver.error("T1") == "the outcome of work is lost: the shim is gone");
}

TEST_CASE("step: every step has its own restarts, and only work counts as an attempt") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 1;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.recovered("T1");
    driver.ended("T1", 1, LostRun{"x"});
    CHECK(driver.ended("T1", 2, 0) == lines({"start T1 3-work attempt=1 slot=0"}));
    driver.ended("T1", 3, LostRun{"x"});
    driver.ended("T1", 4, 0);
    driver.ended("T1", 5, LostRun{"x"});
    CHECK(driver.supervisor.active.at(0).run == Run{StepKind::integrate, 6, 2});
    driver.ended("T1", 6, 75);  // deferred: no loss in a row any more
    driver.pass(500ms);
    driver.ended("T1", 7, LostRun{"x"});
    CHECK(driver.lifecycle("T1") == "integrating");
    driver.ended("T1", 8, LostRun{"x"});
    CHECK(driver.lifecycle("T1") == "failed");
}

TEST_CASE(
    "step: a run that could not be started is tried again with a growing pause, and counts for nothing") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 0;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.recovered("T1");
    const std::int64_t pauses[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    std::uint32_t number = 1;
    for (const std::int64_t pause : pauses) {
        CAPTURE(number);
        const std::string warning =
            "warn T1: prepare could not be started: no space; trying again until it can\n";
        CHECK(driver.ended("T1", number, StartFailed{"no space"}) ==
              (number == 1 ? warning : "") + fmt::format("wake +{}ms\n", pause));
        ++number;
        CHECK(driver.pass(Milliseconds{pause}) ==
              fmt::format("start T1 {}-prepare attempt=1 slot=0\n", number));
    }
    CHECK(driver.lifecycle("T1") == "running");
}

TEST_CASE("step: a workspace that cannot be removed is left to the next start") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 3);
    CHECK(
        driver.ended("T1", 4, StartFailed{"no space"}) ==
        lines({"warn T1: discard could not be started: no space; trying again until it can", "wake +250ms"}));
    CHECK(driver.pass(250ms) == lines({"start T1 5-discard attempt=1"}));
    CHECK(driver.ended("T1", 5, 1) ==
          lines({"warn T1: the workspace could not be removed: discard exited with status 1; the next start "
                 "tries again",
                 "settle T1 5", "load"}));
    CHECK(driver.lifecycle("T1") == "completed");
}

TEST_CASE("step: a discard that is lost runs again, as often as any step") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 1;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.run_first("T1", 3);
    CHECK(driver.ended("T1", 4, LostRun{"gone"}) ==
          lines({"warn T1: the outcome of discard is lost: gone; running it again",
                 "start T1 5-discard attempt=1"}));
    CHECK(
        driver.ended("T1", 5, LostRun{"gone"}) ==
        lines({"warn T1: the workspace could not be removed: its outcome is lost; the next start tries again",
               "settle T1 5", "load"}));
}

TEST_CASE("step: as many workers as there are slots") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = 2;
    StepDriver driver(settings);
    CHECK(driver.queue({"T1", "T2", "T3"}) ==
          lines({"read T1 and keep Title of T1", "read T2 and keep Title of T2"}));
    CHECK(driver.recovered("T2") == lines({"announce T2 new -> running attempt=1: Title of T2",
                                           "start T2 1-prepare attempt=1 slot=1"}));
    CHECK(driver.recovered("T1") == lines({"announce T1 new -> running attempt=1: Title of T1",
                                           "start T1 1-prepare attempt=1 slot=0"}));
    CHECK(driver.ended("T1", 1, 0) == lines({"start T1 2-work attempt=1 slot=0"}));
    // The slot is free when the work ends, not when it has landed.
    CHECK(driver.ended("T1", 2, 0) ==
          lines({"announce T1 running -> integrating attempt=1",
                 "start T1 3-integrate attempt=1 integration=1", "read T3 and keep Title of T3"}));
    CHECK(driver.recovered("T3") == lines({"announce T3 new -> running attempt=1: Title of T3",
                                           "start T3 1-prepare attempt=1 slot=0"}));
}

TEST_CASE("step: the merge queue holds one integration, and takes them in the order of their selection") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = 3;
    StepDriver driver(settings);
    driver.queue({"T1", "T2", "T3"});
    driver.run_first("T2", 2);
    CHECK(driver.supervisor.active.at(1).phase == Phase::ready);  // others are not known yet
    driver.run_first("T3", 2);
    CHECK(driver.recovered("T1") ==
          lines({"announce T1 new -> running attempt=1: Title of T1",
                 "start T2 3-integrate attempt=1 integration=1", "start T1 1-prepare attempt=1 slot=0"}));
    driver.ended("T1", 1, 0);
    CHECK(driver.ended("T1", 2, 0) == lines({"announce T1 running -> integrating attempt=1"}));
    CHECK(driver.ended("T2", 3, 75) ==
          lines({"announce T2 integrating -> integrating attempt=1: integrate exited with status 75",
                 "start T1 3-integrate attempt=1 integration=1", "wake +500ms"}));
    CHECK(driver.pass(500ms).empty());  // due, but the merge queue is taken
    CHECK(driver.ended("T1", 3, 0) ==
          lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                 "start T2 4-integrate attempt=1 integration=2", "start T1 4-discard attempt=1"}));
}

TEST_CASE("step: work that waits for the merge queue does not pile up") {
    StepDriver driver;
    driver.queue({"T1", "T2", "T3"});
    driver.run_first("T1", 2);
    driver.run_first("T2", 2);
    CHECK(driver.supervisor.active.size() == 2);
    CHECK(driver.lifecycle("T3") == "none");
    driver.ended("T1", 3, 65);
    CHECK(driver.lifecycle("T3") == "running");
}

TEST_CASE("step: no more tasks than the limit") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = 2;
    settings.max_tasks = 1;
    StepDriver driver(settings);
    CHECK(driver.queue({"T1", "T2"}) == lines({"read T1 and keep Title of T1"}));
    driver.recovered("T1");
    CHECK(driver.ended("T1", 1, 1) == lines({"announce T1 running -> failed attempt=1: prepare exited with "
                                             "status 1",
                                             "settle T1 1", "finish 3: the limit of tasks is reached"}));
}

TEST_CASE("step: a landed task satisfies dependencies before the files say so") {
    StepDriver driver;
    driver.queue({"T1", "T2<T1"});
    driver.run_first("T1", 2);
    CHECK(driver.lifecycle("T2") == "none");
    driver.ended("T1", 3, 0);
    CHECK(driver.lifecycle("T2") == "running");
}

TEST_CASE("step: a failed dependency blocks, and each task is attempted once in a session") {
    StepDriver driver;
    driver.queue({"T1", "T2<T1"});
    driver.recovered("T1");
    CHECK(driver.ended("T1", 1, 1) ==
          lines({"announce T1 running -> failed attempt=1: prepare exited with "
                 "status 1",
                 "settle T1 1", "finish 3: no task can run now: 1 waits for another task"}));
}

TEST_CASE("step: a continuous supervisor waits for new tasks") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    StepDriver driver(settings);
    CHECK(driver.queue({}).empty());
    CHECK(driver.take(event::QueueInvalid{"broken", false}) ==
          lines({"warn: no new task starts until the queue is fixed: broken"}));
    CHECK(driver.queue({"T1"}, {}, false) ==
          lines({"note: the queue can be read again", "read T1 and keep Title of T1"}));
    driver.run_first("T1", 3);
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4"}));
    CHECK_FALSE(driver.supervisor.finished);
}

TEST_CASE("step: a continuous supervisor wakes for a scheduled task, another one ends") {
    for (const bool continuous : {true, false}) {
        CAPTURE(continuous);
        SupervisorSettings settings = StepDriver::defaults();
        settings.continuous = continuous;
        StepDriver driver(settings);
        auto snapshot = std::make_shared<QueueSnapshot>();
        Task task;
        task.id = "T1";
        task.title = "later";
        task.scheduled_start = "2026-02-20T00:00:10Z";
        snapshot->queue.tasks.push_back(task);
        CHECK(driver.take(event::QueueLoaded{snapshot, true}) ==
              (continuous ? lines({"wake +10000ms by the wall clock"})
                          : lines({"finish 0: no task can run now: 1 is scheduled later"})));
        CHECK(driver.pass(10s) == (continuous ? lines({"read T1 and keep later"}) : ""));
    }
}

TEST_CASE("step: an invalid queue ends an idle supervisor, but nothing that is active") {
    StepDriver idle;
    CHECK(idle.take(event::QueueInvalid{"queue.jsonc:1:1: broken", true}) ==
          lines({"warn: no new task starts until the queue is fixed: queue.jsonc:1:1: broken",
                 "finish 1: queue.jsonc:1:1: broken"}));
    StepDriver driver;
    driver.queue({"T1", "T2"});
    CHECK(driver.take(event::QueueInvalid{"broken", false}) ==
          lines({"warn: no new task starts until the queue is fixed: broken"}));
    CHECK(driver.take(event::QueueInvalid{"broken", false}).empty());  // said once
    driver.run_first("T1", 2);
    CHECK(driver.ended("T1", 3, 0) == lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                                             "start T1 4-discard attempt=1"}));
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4", "finish 1: broken"}));
}
