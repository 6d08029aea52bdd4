// core::step when an operator asks for something: drain, stop and retry; and when kept work has been kept
// long enough.
#include <doctest/doctest.h>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

const std::string ending = "warn: ending: the workers are told to end\n";
const std::string interrupted = "interrupted: the supervisor was told to end";

std::string draining(const std::string& why) {
    return "note: draining: " + why + "; no new task starts, what runs is finished\n";
}

RunHistory acknowledged(StepKind step, std::uint32_t number, bool workspace) {
    RunHistory found;
    found.last_number = number;
    found.work_attempts = 1;
    found.acknowledged_step = step;
    found.acknowledged_integrations = step == StepKind::integrate ? 1 : 0;
    found.workspace_exists = workspace;
    return found;
}

StepDriver with_record(Lifecycle lifecycle, const std::string& ended = "2026-02-20T00:00:00Z") {
    StepDriver driver(StepDriver::defaults(), {ended_record("T1", lifecycle, ended)}, {"T1"});
    // If its time is over, it has seemed so for a day.
    driver.supervisor.seemed_expired.emplace("T1 " + ended, driver.now - std::chrono::hours{24});
    return driver;
}

}  // namespace

TEST_CASE("step ending: a drain finishes what is active and starts nothing new") {
    StepDriver driver;
    driver.queue({"T1", "T2"});
    driver.recovered("T1");
    CHECK(driver.take(event::DrainRequested{0, "asked for"}) == draining("asked for"));
    CHECK(driver.take(event::DrainRequested{15, "again"}).empty());
    CHECK(driver.ended("T1", 1, 0) == lines({"start T1 2-work attempt=1 slot=0"}));
    driver.ended("T1", 2, 0);
    CHECK(driver.ended("T1", 3, 0) == lines({"announce T1 integrating -> completed attempt=1", "settle T1 3",
                                             "start T1 4-discard attempt=1"}));
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4", "finish 0: drained on request"}));
}

TEST_CASE("step ending: exit codes") {
    struct Row {
        Lifecycle lifecycle;
        int drain_signal;
        int stop_signal;  // 0: none
        int exit_code;
    };
    const Row rows[] = {
        {Lifecycle::completed, 0, 0, 0},      {Lifecycle::failed, 0, 0, 3},
        {Lifecycle::blocked_push, 0, 0, 3},   {Lifecycle::completed, 15, 0, 143},
        {Lifecycle::blocked_push, 1, 0, 129}, {Lifecycle::completed, 0, 2, 130},
    };
    for (const Row& row : rows) {
        CAPTURE(row.exit_code);
        StepDriver driver = with_record(row.lifecycle);
        const std::string text = row.stop_signal == 0
                                     ? driver.take(event::DrainRequested{row.drain_signal, "x"})
                                     : driver.take(event::StopRequested{row.stop_signal});
        const std::string how = row.stop_signal == 0 ? "drained" : "ended";
        CHECK(text == (row.stop_signal == 0 ? draining("x") : ending) +
                          fmt::format("finish {}: {} on request\n", row.exit_code, how));
    }
}

TEST_CASE("step ending: a stop ends the workers, fails what waits, and keeps what only waits to land") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = 4;
    StepDriver driver(settings);
    driver.queue({"T1", "T2", "T3", "T4"});
    driver.recovered("T3");
    driver.recovered("T4");
    driver.recovered("T2");
    driver.recovered("T1");
    driver.started("T1", 1);
    driver.ended("T1", 1, 0);
    driver.started("T1", 2);
    driver.ended("T1", 2, 0);
    driver.started("T1", 3);
    driver.ended("T1", 3, 75);                       // T1 waits to land
    driver.started("T2", 1);                         // T2 runs
    driver.ended("T3", 1, StartFailed{"no space"});  // T3 waits to be started; T4 is being started
    CHECK(driver.take(event::StopRequested{2}) ==
          ending +
              lines({"end T2 1-prepare", "announce T3 running -> failed attempt=1: " + interrupted,
                     "settle T3 1"}) +
              "wake +500ms\n");
    CHECK(driver.lifecycle("T1") == "integrating");
    CHECK(driver.take(event::StopRequested{15}) == "wake +500ms\n");
    CHECK(driver.started("T4", 1) == "end T4 1-prepare\nwake +500ms\n");
    CHECK(driver.ended("T2", 1, stopped()) ==
          lines({"announce T2 running -> failed attempt=1: prepare was stopped", "settle T2 1",
                 "wake +500ms"}));
    CHECK(driver.ended("T4", 1, stopped()) ==
          lines({"announce T4 running -> failed attempt=1: prepare was stopped", "settle T4 1",
                 "finish 130: ended on request"}));
    CHECK(driver.lifecycle("T1") == "integrating");
}

TEST_CASE("step ending: what a stop makes of the end of a step") {
    struct Row {
        std::uint32_t number;
        RunEnd end;
        std::string lifecycle;
    };
    ExitRecord work_says_zero = exited(0);
    work_says_zero.stopped = true;
    const Row rows[] = {
        {1, exited(0), "failed"},          // prepared, and then it waits
        {2, work_says_zero, "failed"},     // obeyed our SIGTERM: not finished
        {2, exited(0), "integrating"},     // was faster
        {2, LostRun{"x"}, "failed"},       // would be run again
        {3, work_says_zero, "completed"},  // landed, whatever we asked
        {3, stopped(), "integrating"},     // goes on at the next start
        {3, LostRun{"x"}, "integrating"}, {3, exited(75), "integrating"}, {3, exited(65), "blocked_push"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.number);
        CAPTURE(row.lifecycle);
        StepDriver driver;
        driver.queue({"T1"});
        driver.run_first("T1", row.number - 1);
        driver.started("T1", row.number);
        driver.take(event::StopRequested{15});
        CHECK_FALSE(driver.supervisor.finished);
        driver.ended("T1", row.number, row.end);
        CHECK(driver.lifecycle("T1") == row.lifecycle);
        CHECK(driver.supervisor.finished);
    }
}

TEST_CASE("step ending: a stop while records are being recovered") {
    SupervisorSettings settings = StepDriver::defaults();
    StepDriver driver(settings, {record("T1", Lifecycle::running), record("T2", Lifecycle::running)});
    CHECK(driver.take(event::StopRequested{15}) == ending);
    CHECK(driver.recovered("T1") ==
          lines({"announce T1 running -> failed attempt=1: " + interrupted, "settle T1 0"}));
    CHECK(driver.recovered("T2", history({StepKind::work, 2, 1}, 0, std::nullopt)) ==
          lines({"adopt T2 2-work", "note T2: work goes on under its shim", "end T2 2-work"}));
    CHECK(driver.ended("T2", 2, stopped()) ==
          lines({"announce T2 running -> failed attempt=1: work was stopped", "settle T2 2",
                 "finish 143: ended on request"}));
}

TEST_CASE("step ending: a discard that was stopped has not removed the workspace") {
    StepDriver driver = with_record(Lifecycle::blocked_push, "2026-02-01T00:00:00Z");
    driver.queue({});
    driver.recovered("T1", acknowledged(StepKind::integrate, 3, true));
    driver.started("T1", 4);
    CHECK(driver.take(event::StopRequested{15}) == ending + "end T1 4-discard\n");
    ExitRecord says_zero = exited(0);
    says_zero.stopped = true;
    driver.ended("T1", 4, says_zero);
    CHECK(driver.lifecycle("T1") == "blocked_push");
}

TEST_CASE("step ending: retry of a failed task begins anew, retry of a landing lands what is there") {
    StepDriver failed = with_record(Lifecycle::failed);
    CHECK(failed.take(event::RetryHistoryRead{"T1", acknowledged(StepKind::work, 2, true)}) ==
          lines({"forget T1", "announce T1 failed -> running attempt=2: retry requested",
                 "start T1 3-prepare attempt=2 slot=0"}));
    CHECK(failed.error("T1") == "no error");
    StepDriver blocked = with_record(Lifecycle::blocked_push);
    CHECK(blocked.take(event::RetryHistoryRead{"T1", acknowledged(StepKind::integrate, 3, true)}) ==
          lines({"forget T1", "announce T1 blocked_push -> running attempt=1: retry requested",
                 "start T1 4-integrate attempt=1 integration=1"}));
    CHECK(blocked.lifecycle("T1") == "integrating");
    blocked.started("T1", 4);
    blocked.ended("T1", 4, 75);
    CHECK(blocked.supervisor.state.find("T1")->push_attempts == 2);
    StepDriver removed = with_record(Lifecycle::blocked_push);
    CHECK(removed.take(event::RetryHistoryRead{"T1", acknowledged(StepKind::integrate, 3, false)}) ==
          lines({"forget T1", "announce T1 blocked_push -> running attempt=2: retry requested",
                 "start T1 4-prepare attempt=2 slot=0"}));
}

// Found by ralph-sim, seed 100585: the run directories were read before the mark was written, and the old end
// was applied to the retry.
TEST_CASE("step ending: a retry does not meet the end it was asked for") {
    StepDriver driver = with_record(Lifecycle::blocked_push);
    RunHistory found = history({StepKind::integrate, 4, 1}, 0, exited(65));
    found.counts.integrations = 1;
    found.acknowledged_integrations = 2;
    CHECK(driver.take(event::RetryHistoryRead{"T1", found}) ==
          lines({"forget T1", "announce T1 blocked_push -> running attempt=1: retry requested",
                 "start T1 5-integrate attempt=1 integration=1"}));
    driver.ended("T1", 5, 75);
    CHECK(driver.supervisor.state.find("T1")->push_attempts == 5);
}

TEST_CASE("step ending: what cannot be retried") {
    StepDriver driver(StepDriver::defaults(),
                      {record("T1", Lifecycle::running), record("T2", Lifecycle::integrating),
                       ended_record("T3", Lifecycle::completed, "2026-02-20T00:00:00Z")});
    const std::pair<std::string, std::string> rows[] = {
        {"T1", "a task that is running cannot be retried"},
        {"T2", "a task that is integrating cannot be retried"},
        {"T3", "a task that is completed cannot be retried"},
        {"T4", "there is no record to retry"},
    };
    for (const auto& [id, why] : rows) {
        const std::string refusal = lines({"forget " + id, "warn " + id + ": " + why});
        CHECK(driver.take(event::RetryRequested{id}) == refusal);
        CHECK(driver.take(event::RetryHistoryRead{id, {}}) == refusal);
    }
}

TEST_CASE(
    "step ending: between a request and its answer nothing else begins with the task, and nothing ends") {
    StepDriver driver = with_record(Lifecycle::failed, "2026-02-01T00:00:00Z");  // kept for long enough
    driver.supervisor.attempted.clear();
    CHECK(driver.take(event::RetryRequested{"T1", true}) == lines({"read for a retry of T1"}));
    CHECK(driver.take(event::RetryRequested{"T1"}).empty());
    CHECK(driver.queue({"T1"}) == lines({"expired: "}));  // neither selected nor removed, nor is that the end
    CHECK_FALSE(driver.supervisor.finished);
    CHECK(driver.take(event::RetryHistoryRead{"T1", acknowledged(StepKind::work, 2, true)}) ==
          lines({"forget T1", "announce T1 failed -> running attempt=2: retry requested",
                 "start T1 3-prepare attempt=2 slot=0"}));
    CHECK(driver.take(event::RetryRequested{"T1"}) ==
          lines({"forget T1", "warn T1: a task that is running cannot be retried"}));
}

TEST_CASE("step ending: a request that was answered before a crash is taken away at the start") {
    StepDriver driver(StepDriver::defaults(), {record("T1", Lifecycle::running)});
    CHECK(driver.take(event::RetryRequested{"T1", true}) == lines({"forget T1"}));
}

TEST_CASE("step ending: a retry that comes while draining or ending is left for the next start") {
    const std::string waits = "note T1: no new task starts now; the retry waits for the next start\n";
    for (const bool ends : {false, true}) {
        CAPTURE(ends);
        StepDriver driver(StepDriver::defaults(),
                          {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z"),
                           record("T2", Lifecycle::running)});
        driver.take(ends ? Event{event::StopRequested{15}} : Event{event::DrainRequested{15, "x"}});
        CHECK(driver.take(event::RetryRequested{"T1"}) == waits);
        CHECK(driver.take(event::RetryRequested{"T1"}).empty());  // told once
        CHECK(driver.lifecycle("T1") == "failed");
        StepDriver asked(StepDriver::defaults(),
                         {ended_record("T1", Lifecycle::failed, "2026-02-20T00:00:00Z"),
                          record("T2", Lifecycle::running)});
        CHECK(asked.take(event::RetryRequested{"T1"}) == lines({"read for a retry of T1"}));
        asked.take(ends ? Event{event::StopRequested{15}} : Event{event::DrainRequested{15, "x"}});
        CHECK(asked.take(event::RetryHistoryRead{"T1", {}}) == waits);
        CHECK(asked.lifecycle("T1") == "failed");
    }
}

TEST_CASE("step ending: records are forgotten when nobody needs them any more") {
    struct Row {
        Lifecycle lifecycle;
        std::string completed_at;
        bool open;
        bool expired;
    };
    const Row rows[] = {
        {Lifecycle::completed, "2026-02-18T23:59:59Z", false, true},
        {Lifecycle::completed, "2026-02-19T00:00:00Z", false, false},
        {Lifecycle::completed, "2026-02-18T23:59:59Z", true, false},
        {Lifecycle::completed, "unreadable", false, false},
        {Lifecycle::failed, "2026-02-16T23:59:59Z", false, true},
        {Lifecycle::failed, "2026-02-17T00:00:00Z", false, false},
        {Lifecycle::blocked_push, "2026-02-16T23:59:59Z", false, true},
        {Lifecycle::blocked_push, "2026-02-16T23:59:59Z", true, false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.completed_at);
        CAPTURE(row.open);
        StepDriver driver = with_record(row.lifecycle, row.completed_at);
        const std::string text = row.open ? driver.queue({"T1"}) : driver.queue({});
        const bool inspected = text.find("read T1\n") != std::string::npos;
        CHECK(inspected == (row.expired && row.lifecycle != Lifecycle::completed));
        if (inspected) {
            driver.recovered("T1", acknowledged(StepKind::work, 2, false));
        }
        CHECK((driver.lifecycle("T1") == "none") == row.expired);
    }
}

TEST_CASE("step ending: nothing goes because a clock was wrong for once") {
    for (const Lifecycle lifecycle : {Lifecycle::failed, Lifecycle::completed}) {
        CAPTURE(to_string(lifecycle));
        SupervisorSettings settings = StepDriver::defaults();
        settings.continuous = true;
        StepDriver driver(settings, {ended_record("T1", lifecycle, "2026-02-20T00:00:00Z")});
        CHECK(driver.queue({}).empty());
        driver.wall_clock_error = std::chrono::hours{24 * 365};
        CHECK(driver.queue({}) == lines({"wake +86400000ms", "expired: T1"}));
        CHECK(driver.pass(std::chrono::hours{23}) == lines({"wake +3600000ms"}));
        driver.wall_clock_error = Milliseconds{0};  // the clock is right again
        CHECK(driver.queue({}) == lines({"expired: "}));
        CHECK(driver.pass(std::chrono::hours{1}).empty());
        CHECK(driver.lifecycle("T1") != "none");
        CHECK(driver.supervisor.discards.empty());
    }
}

TEST_CASE("step ending: what goes on to seem over goes a day later, also in the next life") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    StepDriver driver(settings, {ended_record("T1", Lifecycle::failed, "2026-02-16T23:00:00Z")});
    CHECK(driver.queue({}) == lines({"wake +86400000ms", "expired: T1"}));
    CHECK(driver.pass(std::chrono::hours{24}) == lines({"read T1"}));
    settings.kept_work_retention = std::chrono::hours{1};
    StepDriver brief(settings, {ended_record("T1", Lifecycle::failed, "2026-02-19T22:00:00Z")});
    CHECK(brief.queue({}) == lines({"wake +3600000ms", "expired: T1"}));
    CHECK(brief.pass(std::chrono::hours{1}) == lines({"read T1"}));
    CHECK(brief.queue({}) == lines({"expired: "}));
    StepDriver next(settings, {ended_record("T1", Lifecycle::failed, "2026-02-19T22:00:00Z")});
    next.supervisor.seemed_expired = driver.supervisor.seemed_expired;
    CHECK(next.queue({}) == lines({"wake +3600000ms", "expired: T1"}));  // that one ended at another time
    next = StepDriver(settings, {ended_record("T1", Lifecycle::failed, "2026-02-16T23:00:00Z")});
    next.now = driver.now;
    next.supervisor.seemed_expired = driver.supervisor.seemed_expired;
    CHECK(next.queue({}) == lines({"read T1"}));
}

// Found by reading and by ralph-sim: the discard was run 1 of a task with three runs, and its mark made them
// unacknowledged again; the record was gone before the work was.
TEST_CASE("step ending: the record of kept work goes after the work") {
    StepDriver driver = with_record(Lifecycle::failed, "2026-02-01T00:00:00Z");
    CHECK(driver.queue({}) == lines({"read T1"}));
    CHECK(driver.recovered("T1", acknowledged(StepKind::integrate, 3, true)) ==
          lines({"start T1 4-discard attempt=1"}));
    // While its workspace is being removed a task is neither selected nor retried.
    CHECK(driver.queue({"T1"}) == lines({"expired: "}));
    CHECK(driver.take(event::RetryHistoryRead{"T1", {}}) ==
          lines({"forget T1",
                 "warn T1: its work was kept long enough and is being removed: it cannot be retried"}));
    CHECK(driver.lifecycle("T1") == "failed");
    driver.started("T1", 4);
    driver.supervisor.attempted.clear();
    CHECK(driver.ended("T1", 4, 0) == lines({"settle T1 4", "read T1 and keep Title of T1"}));
}

TEST_CASE("step ending: kept work that cannot be removed keeps its record") {
    StepDriver driver = with_record(Lifecycle::failed, "2026-02-01T00:00:00Z");
    driver.queue({});
    driver.recovered("T1", acknowledged(StepKind::integrate, 3, true));
    driver.ended("T1", 4, LostRun{"x"});
    CHECK(driver.lifecycle("T1") == "failed");
    StepDriver alive = with_record(Lifecycle::failed, "2026-02-01T00:00:00Z");
    alive.queue({});
    CHECK(alive.recovered("T1", history({StepKind::work, 4, 1}, 0, std::nullopt)) ==
          lines({"warn T1: its record is terminal, yet a run of it is alive: nothing is removed",
                 "finish 3: the queue is drained"}));
    CHECK(alive.lifecycle("T1") == "failed");
}

// Found by ralph-sim, seed 12815: live and after a restart they were counted differently.
TEST_CASE("step ending: losses are no longer in a row when the worker was put back in between") {
    SupervisorSettings settings = StepDriver::defaults();
    settings.max_restarts = 1;
    StepDriver driver(settings);
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    driver.supervisor.active.front().account = "robot";  // an agent goes on at once, without another prepare
    driver.ended("T1", 2, LostRun{"killed"});
    driver.supervisor.active.front().put_back = true;
    CHECK(driver.ended("T1", 3, stopped()).find("start T1 4-work") != std::string::npos);
    driver.ended("T1", 4, LostRun{"killed"});
    CHECK(driver.lifecycle("T1") == "running");
    driver.ended("T1", 5, LostRun{"killed"});
    CHECK(driver.lifecycle("T1") == "failed");
}
