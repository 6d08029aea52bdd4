// Ids that are given again: what is left of an earlier task of the same id holds nobody up.
#include <doctest/doctest.h>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;

namespace {

constexpr const char* earlier = "2026-01-01T00:00:00Z";
constexpr const char* later = "2026-01-02T00:00:00Z";

StepDriver with_record_of_earlier_task(Lifecycle lifecycle,
                                       std::set<std::string, std::less<>> attempted = {}) {
    StepDriver driver(StepDriver::defaults(),
                      {ended_record("T1", lifecycle, "2026-02-19T23:30:00.000000000Z")},
                      std::move(attempted));
    driver.supervisor.created = {{"T1", earlier}};
    return driver;
}

std::shared_ptr<QueueSnapshot> with_draft_of_the_same_id() {
    auto snapshot = std::make_shared<QueueSnapshot>();
    Task reused;
    reused.id = "T1";
    reused.status = TaskStatus::draft;
    reused.created_at = later;
    snapshot->queue.tasks = {reused};
    return snapshot;
}

}  // namespace

TEST_CASE("reused ids: the record of an earlier task goes before the new one is selected") {
    for (const Lifecycle lifecycle : {Lifecycle::blocked_push, Lifecycle::failed, Lifecycle::completed}) {
        CAPTURE(to_string(lifecycle));
        StepDriver driver = with_record_of_earlier_task(lifecycle, {"T1"});
        CHECK(driver.queue_created_at("T1", later) ==
              lines({"note T1: the record of an earlier task of this id, created 2026-01-01T00:00:00Z, makes "
                     "room: the queue's was created at another time",
                     "forget the runs of T1"}));
        CHECK(driver.lifecycle("T1") == "none");
        CHECK_FALSE(driver.supervisor.finished);
        CHECK(driver.take(event::RunsForgotten{"T1"}) == lines({"read T1 and keep Title of T1"}));
        driver.recovered("T1");
        driver.ended("T1", 1, 1);
        CHECK(driver.lifecycle("T1") == "failed");  // and is not taken for another one now
        CHECK(driver.supervisor.finished);
    }
}

TEST_CASE("reused ids: the same task, or one of which nothing is known, is held up by its record") {
    for (const char* const time : {earlier, "2026-01-01T01:00:00+01:00", ""}) {
        CAPTURE(time);
        StepDriver driver = with_record_of_earlier_task(Lifecycle::blocked_push);
        CHECK(driver.queue_created_at("T1", time) == lines({"finish 3: the queue is drained"}));
    }
    StepDriver unknown = with_record_of_earlier_task(Lifecycle::blocked_push);
    unknown.supervisor.created.clear();
    CHECK(unknown.queue_created_at("T1", later) == lines({"finish 3: the queue is drained"}));
}

TEST_CASE("reused ids: what is under way is finished first") {
    StepDriver driver;
    driver.queue_created_at("T1", earlier);
    driver.run_first("T1", 2);
    CHECK(driver.queue_created_at("T1", later).empty());
    CHECK(driver.lifecycle("T1") == "integrating");
    driver.ended("T1", 3, 0);
    CHECK(driver.lifecycle("T1") == "completed");  // its workspace is removed first
    CHECK(driver.ended("T1", 4, 0).find("forget the runs of T1") != std::string::npos);
    CHECK(driver.take(event::RunsForgotten{"T1"}).find("read T1 and keep") != std::string::npos);
}

TEST_CASE("reused ids: a landed task of the same id satisfies no dependency on the new one") {
    StepDriver driver = with_record_of_earlier_task(Lifecycle::completed, {"T2"});
    const auto snapshot = with_draft_of_the_same_id();
    Task waiting;
    waiting.id = "T3";
    waiting.depends_on = {"T1"};
    snapshot->queue.tasks.push_back(waiting);
    CHECK(driver.take(event::QueueLoaded{snapshot, true}) ==
          lines({"finish 0: no task can run now: 1 waits for another task"}));
}

TEST_CASE("reused ids: the earlier task cannot be retried") {
    StepDriver driver = with_record_of_earlier_task(Lifecycle::blocked_push, {"T1"});
    driver.supervisor.settings.continuous = true;
    driver.take(event::QueueLoaded{with_draft_of_the_same_id(), true});
    CHECK(driver.take(event::RetryHistoryRead{"T1", {}}) ==
          lines({"forget T1",
                 "warn T1: the queue holds another task under this id, created at another time: "
                 "the earlier one cannot be retried"}));
    CHECK(driver.lifecycle("T1") == "blocked_push");
}
