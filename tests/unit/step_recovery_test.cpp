// core::step after a restart: what the run directories tell, and what follows from it.
#include <doctest/doctest.h>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

SupervisorSettings with_workers(std::uint32_t workers) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = workers;
    return settings;
}

const RunEnd gone = LostRun{"the shim is gone"};
const RunEnd start_failed = StartFailed{"the start was not finished"};

}  // namespace

TEST_CASE("step recovery: every form of the newest run") {
    struct Row {
        std::string name;
        Lifecycle lifecycle;
        Run run;
        std::optional<RunEnd> end;
        std::string actions;
        std::string after;
    };
    const std::string lost = "the outcome of work is lost: the shim is gone";
    const Row rows[] = {
        {"alive prepare",
         Lifecycle::running,
         {StepKind::prepare, 1, 1},
         {},
         lines({"adopt T1 1-prepare", "note T1: prepare goes on under its shim"}),
         "running"},
        {"alive work",
         Lifecycle::running,
         {StepKind::work, 4, 2},
         {},
         lines({"adopt T1 4-work", "note T1: work goes on under its shim"}),
         "running"},
        {"alive integrate",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         {},
         lines({"adopt T1 3-integrate", "note T1: integrate goes on under its shim"}),
         "integrating"},
        {"ended prepare",
         Lifecycle::running,
         {StepKind::prepare, 1, 1},
         exited(0),
         lines({"start T1 2-work attempt=1 slot=0"}),
         "running"},
        {"found landed",
         Lifecycle::running,
         {StepKind::prepare, 1, 1},
         exited(10),
         lines({"announce T1 running -> completed attempt=1", "settle T1 1", "start T1 2-discard attempt=1"}),
         "completed"},
        {"ended work",
         Lifecycle::running,
         {StepKind::work, 2, 1},
         exited(0),
         lines({"announce T1 running -> integrating attempt=1",
                "start T1 3-integrate attempt=1 integration=1"}),
         "integrating"},
        {"failed work",
         Lifecycle::running,
         {StepKind::work, 2, 1},
         exited(7),
         lines({"announce T1 running -> failed attempt=1: work exited with status 7", "settle T1 2"}),
         "failed"},
        {"work ended, integrating",
         Lifecycle::integrating,
         {StepKind::work, 2, 1},
         exited(0),
         lines({"announce T1 running -> integrating attempt=1",
                "start T1 3-integrate attempt=1 integration=1"}),
         "integrating"},
        {"ended integrate",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         exited(0),
         lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                "start T1 4-discard attempt=1"}),
         "completed"},
        {"deferred",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         exited(75),
         lines({"announce T1 integrating -> integrating attempt=1: integrate exited with status 75",
                "wake +500ms"}),
         "integrating"},
        {"stopped integrate",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         stopped(),
         lines({"note T1: integrate was ended with the supervisor; it runs again",
                "start T1 4-integrate attempt=1 integration=1"}),
         "integrating"},
        {"lost work",
         Lifecycle::running,
         {StepKind::work, 2, 1},
         gone,
         lines({"warn T1: " + lost + "; running it again", "start T1 3-work attempt=2 slot=0"}),
         "running"},
        {"lost integrate",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         gone,
         lines({"warn T1: the outcome of integrate is lost: the shim is gone; running it again",
                "start T1 4-integrate attempt=1 integration=1"}),
         "integrating"},
        {"start_failed prepare",
         Lifecycle::running,
         {StepKind::prepare, 1, 1},
         start_failed,
         lines({"start T1 2-prepare attempt=1 slot=0"}),
         "running"},
        {"start_failed work",
         Lifecycle::running,
         {StepKind::work, 2, 1},
         start_failed,
         lines({"start T1 3-work attempt=1 slot=0"}),
         "running"},
        {"start_failed integrate",
         Lifecycle::integrating,
         {StepKind::integrate, 3, 1},
         start_failed,
         lines({"start T1 4-integrate attempt=1 integration=1"}),
         "integrating"},
        // The state was put back to its previous generation: the run directories know better.
        {"prepare, integrating",
         Lifecycle::integrating,
         {StepKind::prepare, 4, 2},
         exited(10),
         lines({"announce T1 running -> completed attempt=2", "settle T1 4", "start T1 5-discard attempt=2"}),
         "completed"},
        {"failed work, integrating",
         Lifecycle::integrating,
         {StepKind::work, 2, 1},
         exited(1),
         lines({"announce T1 running -> failed attempt=1: work exited with status 1", "settle T1 2"}),
         "failed"},
        {"integrate, running",
         Lifecycle::running,
         {StepKind::integrate, 3, 1},
         {},
         lines({"adopt T1 3-integrate", "note T1: integrate goes on under its shim"}),
         "integrating"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        StepDriver driver(StepDriver::defaults(), {record("T1", row.lifecycle)});
        CHECK(driver.recovered("T1", history(row.run, 0, row.end)) == row.actions);
        CHECK(driver.lifecycle("T1") == row.after);
    }
}

TEST_CASE("step recovery: nothing is under way") {
    struct Row {
        std::string name;
        Lifecycle lifecycle;
        std::optional<StepKind> acknowledged;
        bool workspace;
        std::string actions;
        std::string after;
    };
    const std::string prepare = lines({"start T1 6-prepare attempt=3 slot=0"});
    const std::string integrate = lines({"start T1 6-integrate attempt=2 integration=1"});
    const Row rows[] = {
        {"running", Lifecycle::running, {}, false, prepare, "running"},
        {"running, old workspace", Lifecycle::running, {}, true, prepare, "running"},
        {"after failed work", Lifecycle::running, StepKind::work, true, prepare, "running"},
        {"after integrate", Lifecycle::running, StepKind::integrate, true, integrate, "integrating"},
        {"after integrate, workspace gone", Lifecycle::running, StepKind::integrate, false, prepare,
         "running"},
        {"after discard", Lifecycle::running, StepKind::discard, true, prepare, "running"},
        {"integrating", Lifecycle::integrating, {}, true, integrate, "integrating"},
        {"integrating, workspace gone", Lifecycle::integrating, {}, false, prepare, "running"},
        {"integrating after discard", Lifecycle::integrating, StepKind::discard, true, prepare, "running"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        StepDriver driver(StepDriver::defaults(), {record("T1", row.lifecycle)});
        RunHistory found;
        found.last_number = 5;
        found.work_attempts = 2;
        found.acknowledged_step = row.acknowledged;
        found.workspace_exists = row.workspace;
        CHECK(driver.recovered("T1", found) == row.actions);
        CHECK(driver.lifecycle("T1") == row.after);
    }
}

TEST_CASE("step recovery: restarts before the crash count") {
    for (const std::uint32_t before : {0U, 1U, 2U}) {
        CAPTURE(before);
        StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});  // max_restarts 2
        RunHistory found = history({StepKind::work, 4, 3}, 0, gone);
        found.counts.restarts = before;
        driver.recovered("T1", found);
        CHECK(driver.lifecycle("T1") == (before < 2 ? "running" : "failed"));
    }
}

TEST_CASE("step recovery: integrations before the crash count") {
    for (const std::uint32_t before : {0U, 1U, 2U}) {
        CAPTURE(before);
        StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::integrating)});
        RunHistory found = history({StepKind::integrate, 6, 1}, 0, exited(75));
        found.counts.integrations = before;
        found.acknowledged_integrations = 4;
        driver.recovered("T1", found);
        CHECK(driver.lifecycle("T1") == (before < 2 ? "integrating" : "blocked_push"));
        CHECK(driver.supervisor.state.find("T1")->push_attempts == 4 + before + 1);
    }
}

TEST_CASE("step recovery: the same end applied twice counts once") {
    WorkerRecord counted = record("T1", Lifecycle::integrating);
    counted.push_attempts = 1;
    StepDriver driver(StepDriver::defaults(), {counted});
    driver.recovered("T1", history({StepKind::integrate, 3, 1}, 0, exited(75)));
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 1);
}

TEST_CASE("step recovery: a marker beside the end of a worker") {
    StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    RunHistory found = history({StepKind::work, 2, 1}, 0, exited(1));
    found.newest->marker = BlockMarker{"T1", "cannot push", 1, 1, ""};
    driver.recovered("T1", found);
    CHECK(driver.lifecycle("T1") == "blocked_push");
    CHECK(driver.error("T1") == "cannot push");
}

// Found by ralph-sim (seed 8036) and ralph-chaos (seed 11): the spec was not written, so nothing is known but
// the name.
TEST_CASE("step recovery: an attempt number that was not written is worked out") {
    StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    RunHistory found = history({StepKind::work, 5, 1}, 0, start_failed);
    found.work_attempts = 3;  // the last one was lost
    CHECK(driver.recovered("T1", found) == lines({"start T1 6-work attempt=4 slot=0"}));
    StepDriver other(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    found = history({StepKind::prepare, 5, 1}, 0, start_failed);
    found.work_attempts = 2;
    CHECK(other.recovered("T1", found) == lines({"start T1 6-prepare attempt=3 slot=0"}));
}

// Found by ralph-sim, seed 4: T2 was started while T1's integration was alive and not recovered yet.
TEST_CASE("step recovery: no integration starts before it is known that none is alive") {
    StepDriver driver(with_workers(2),
                      {record("T1", Lifecycle::integrating), record("T2", Lifecycle::integrating)});
    CHECK(driver.recovered("T2", history({StepKind::work, 2, 1}, 1, exited(0))) ==
          lines({"announce T2 running -> integrating attempt=1"}));
    CHECK(driver.recovered("T1", history({StepKind::integrate, 3, 1}, 0, std::nullopt)) ==
          lines({"adopt T1 3-integrate", "note T1: integrate goes on under its shim"}));
    CHECK(driver.ended("T1", 3, 0) ==
          lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                 "start T2 3-integrate attempt=1 integration=1", "start T1 4-discard attempt=1"}));
}

// Found by ralph-sim: T1 took slot 0 before it was known that T2 works in it.
TEST_CASE("step recovery: no slot is given away before all that is alive is known") {
    StepDriver driver(with_workers(2), {record("T1", Lifecycle::running), record("T2", Lifecycle::running)});
    CHECK(driver.recovered("T1").empty());
    CHECK(driver.recovered("T2", history({StepKind::work, 2, 1}, 0, std::nullopt)) ==
          lines({"adopt T2 2-work", "note T2: work goes on under its shim",
                 "start T1 1-prepare attempt=1 slot=1"}));
}

// Found by ralph-sim: slots of a time with more workers.
TEST_CASE("step recovery: with fewer workers than before, what is alive counts") {
    StepDriver driver(with_workers(1), {record("T1", Lifecycle::running), record("T2", Lifecycle::running)});
    driver.recovered("T1", history({StepKind::prepare, 1, 1}, 2, std::nullopt));
    driver.recovered("T2", history({StepKind::work, 2, 1}, 3, std::nullopt));
    CHECK(driver.queue({"T3"}).empty());
    CHECK(driver.ended("T1", 1, 0).empty());  // would be a second worker
    CHECK(driver.ended("T2", 2, 0) ==
          lines({"announce T2 running -> integrating attempt=1",
                 "start T2 3-integrate attempt=1 integration=1", "start T1 2-work attempt=1 slot=0"}));
    StepDriver other(with_workers(1), {record("T1", Lifecycle::running), record("T2", Lifecycle::running)});
    other.recovered("T1", history({StepKind::prepare, 1, 1}, 0, std::nullopt));
    other.recovered("T2", history({StepKind::work, 2, 1}, 1, std::nullopt));
    CHECK(other.ended("T1", 1, 0).empty());  // though slot 0 is its own
}

TEST_CASE("step recovery: nothing is selected until all records are recovered") {
    StepDriver driver(with_workers(3), {record("T1", Lifecycle::running), record("T2", Lifecycle::running)});
    CHECK(driver.queue({"T1", "T2", "T3"}).empty());
    driver.recovered("T1");
    CHECK(driver.lifecycle("T3") == "none");
    CHECK(driver.recovered("T2") ==
          lines({"start T1 1-prepare attempt=1 slot=0", "start T2 1-prepare attempt=1 slot=1",
                 "read T3 and keep Title of T3"}));
}

// Found by ralph-sim: a CHECK failed at every start, for ever.
TEST_CASE("step recovery: a discard left from the task's earlier life") {
    const std::optional<RunEnd> ends[] = {exited(0), exited(1), gone, start_failed};
    for (const auto& end : ends) {
        StepDriver driver;
        driver.queue({"T1"});
        CHECK(driver.recovered("T1", history({StepKind::discard, 4, 1}, 0, end)) ==
              lines({"announce T1 new -> running attempt=2: Title of T1",
                     "start T1 5-prepare attempt=2 slot=0"}));
        StepDriver adopting;
        adopting.queue({"T1"});
        CHECK(adopting.recovered("T1", history({StepKind::discard, 4, 1}, 0, std::nullopt)) ==
              lines({"announce T1 new -> running attempt=2: Title of T1", "adopt T1 4-discard",
                     "note T1: discard goes on under its shim"}));
        CHECK(adopting.ended("T1", 4, *end) == lines({"start T1 5-prepare attempt=2 slot=0"}));
    }
}

// Found by ralph-sim, seed 1432801.
TEST_CASE("step recovery: how often a discard was lost is not held against what comes after it") {
    StepDriver driver;
    driver.queue({"T1"});
    RunHistory found = history({StepKind::discard, 4, 1}, 0, gone);
    found.counts.restarts = 2;
    driver.recovered("T1", found);
    driver.ended("T1", 5, gone);
    CHECK(driver.lifecycle("T1") == "running");

    StepDriver adopting;
    adopting.queue({"T1"});
    found.newest->end.reset();
    adopting.recovered("T1", found);
    adopting.ended("T1", 4, exited(0));
    adopting.ended("T1", 5, gone);
    CHECK(adopting.lifecycle("T1") == "running");
}

TEST_CASE("step recovery: of several records of one task the first counts") {
    StepDriver driver(
        StepDriver::defaults(),
        {ended_record("T1", Lifecycle::completed, "2026-02-20T00:00:00Z"), record("T1", Lifecycle::running),
         record("T2", Lifecycle::running), record("T2", Lifecycle::integrating)});
    REQUIRE(driver.supervisor.active.size() == 1);
    CHECK(driver.supervisor.active.at(0).task_id == "T2");
}

TEST_CASE("step recovery: a session goes on with what it attempted") {
    StepDriver driver(StepDriver::defaults(), {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z")},
                      {"T1"});
    CHECK(driver.queue({"T1"}) == lines({"finish 3: the queue is drained"}));
    StepDriver next(StepDriver::defaults(), {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z")});
    CHECK(next.queue({"T1"}) == lines({"read T1 and keep Title of T1"}));
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_tasks = 1;
    StepDriver limited(settings, {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z")}, {"T1"});
    CHECK(limited.queue({"T1", "T2"}) == lines({"finish 3: the limit of tasks is reached"}));
}

TEST_CASE("step recovery: blocked and completed tasks are not selected") {
    StepDriver driver(StepDriver::defaults(),
                      {ended_record("T1", Lifecycle::blocked_push, "2026-02-20T00:00:00Z"),
                       ended_record("T2", Lifecycle::completed, "2026-02-20T00:00:00Z")});
    CHECK(driver.queue({"T1", "T2"}) == lines({"finish 3: the queue is drained"}));
}

TEST_CASE("step recovery: the workspace of a completed task") {
    const auto completed = ended_record("T1", Lifecycle::completed, "2026-02-20T00:00:00Z");
    RunHistory found = history({StepKind::integrate, 3, 2}, 0, exited(0));
    found.newest.reset();
    found.acknowledged_step = StepKind::integrate;
    StepDriver driver(StepDriver::defaults(), {completed});
    CHECK(driver.take(event::WorkspaceLeft{"T1", found}) == lines({"start T1 4-discard attempt=2"}));
    CHECK(driver.take(event::WorkspaceLeft{"T1", found}).empty());
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4"}));
    StepDriver adopting(StepDriver::defaults(), {completed});
    CHECK(adopting.take(event::WorkspaceLeft{"T1", history({StepKind::discard, 4, 2}, 0, std::nullopt)}) ==
          lines({"adopt T1 4-discard"}));
    CHECK(adopting.ended("T1", 4, 0) == lines({"settle T1 4"}));
    CHECK(adopting.lifecycle("T1") == "completed");
    StepDriver lost(StepDriver::defaults(), {completed});
    CHECK(lost.take(event::WorkspaceLeft{"T1", history({StepKind::discard, 4, 2}, 0, gone)}) ==
          lines({"start T1 5-discard attempt=2"}));
}

TEST_CASE(
    "step recovery: a worker that an earlier supervisor told to end runs again, and one that this one told "
    "does not") {
    const auto adopted = [] {
        StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
        driver.recovered("T1", history({StepKind::work, 2, 1}, 0, std::nullopt));
        driver.queue({"T1"});
        return driver;
    };
    StepDriver other = adopted();
    CHECK(other.ended("T1", 2, stopped()).find("start T1 3-prepare") != std::string::npos);
    CHECK(other.lifecycle("T1") == "running");
    StepDriver own = adopted();
    own.take(event::StopRequested{0, false});
    own.ended("T1", 2, stopped());
    CHECK(own.lifecycle("T1") == "failed");
}
