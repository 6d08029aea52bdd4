#include "core/supervisor/state.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace ralph::core;
using namespace std::chrono_literals;

namespace {

constexpr Instant now{1'771'545'600s};  // 2026-02-20T00:00:00Z
constexpr const char* now_text = "2026-02-20T00:00:00.000000000Z";

WorkerRecord full(std::string id, Lifecycle lifecycle) {
    WorkerRecord record;
    record.task_id = std::move(id);
    record.workspace_path = "/w";
    record.lifecycle = lifecycle;
    record.started_at = "2026-02-19T00:00:00Z";
    record.completed_at = "2026-02-19T12:00:00Z";
    record.push_attempts = 2;
    record.last_error = "old error";
    return record;
}

// One of each lifecycle but a second running one, and T1 twice: the first is running, the second failed.
ParallelState sample() {
    ParallelState state;
    state.workers = {full("T1", Lifecycle::running),   full("T2", Lifecycle::integrating),
                     full("T3", Lifecycle::completed), full("T1", Lifecycle::failed),
                     full("T4", Lifecycle::running),   full("T5", Lifecycle::blocked_push)};
    return state;
}

std::vector<std::string> ids(const std::vector<const WorkerRecord*>& records) {
    std::vector<std::string> found;
    for (const WorkerRecord* const record : records) {
        found.push_back(record->task_id);
    }
    return found;
}

}  // namespace

TEST_CASE("state: what each mark changes, and what it leaves") {
    struct Row {
        const char* name;
        void (*mark)(WorkerRecord&);
        Lifecycle lifecycle;
        std::string completed_at;
        std::optional<std::string> last_error;
    };
    const std::string before = "2026-02-19T12:00:00Z";
    const Row rows[] = {
        {"running", [](WorkerRecord& record) { record.mark_running(); }, Lifecycle::running, before, {}},
        {"integrating", [](WorkerRecord& record) { record.mark_integrating(); }, Lifecycle::integrating,
         before, "old error"},
        {"completed",
         [](WorkerRecord& record) { record.mark_completed(now); },
         Lifecycle::completed,
         now_text,
         {}},
        {"failed", [](WorkerRecord& record) { record.mark_failed(now, "why"); }, Lifecycle::failed, now_text,
         "why"},
        {"blocked_push", [](WorkerRecord& record) { record.mark_blocked_push(now, "why"); },
         Lifecycle::blocked_push, now_text, "why"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        WorkerRecord record = full("T1", Lifecycle::failed);
        row.mark(record);
        WorkerRecord expected = full("T1", row.lifecycle);
        expected.completed_at = row.completed_at;
        expected.last_error = row.last_error;
        CHECK(record == expected);
        CHECK(record.is_terminal() ==
              (row.lifecycle != Lifecycle::running && row.lifecycle != Lifecycle::integrating));
    }
}

TEST_CASE("state: push attempts do not run over") {
    WorkerRecord record;
    record.count_push_attempt();
    CHECK(record.push_attempts == 1);
    record.push_attempts = std::numeric_limits<std::uint32_t>::max() - 1;
    record.count_push_attempt();
    CHECK(record.push_attempts == 4'294'967'295U);
    record.count_push_attempt();
    CHECK(record.push_attempts == 4'294'967'295U);
}

TEST_CASE("state: upsert replaces the first in its place, or appends") {
    ParallelState state = sample();
    WorkerRecord changed = full("T1", Lifecycle::completed);
    changed.workspace_path = "/new";
    state.upsert(changed);
    REQUIRE(state.workers.size() == 6);
    CHECK(state.workers[0] == changed);
    CHECK(state.workers[3] == full("T1", Lifecycle::failed));
    state.upsert(full("T9", Lifecycle::running));
    REQUIRE(state.workers.size() == 7);
    CHECK(state.workers[6] == full("T9", Lifecycle::running));
}

TEST_CASE("state: remove takes the first only and keeps the order") {
    ParallelState state = sample();
    CHECK(state.remove("T1"));
    REQUIRE(state.workers.size() == 5);
    CHECK(state.find("T1")->lifecycle == Lifecycle::failed);
    CHECK(state.workers[0].task_id == "T2");
    CHECK(state.workers[4].task_id == "T5");
    CHECK(state.remove("T1"));
    CHECK_FALSE(state.remove("T1"));
    CHECK_FALSE(state.has("T1"));
    CHECK(state.workers.size() == 4);
}

TEST_CASE("state: find") {
    ParallelState state = sample();
    const ParallelState& constant = state;
    CHECK(constant.find("T1") == &state.workers[0]);
    CHECK(state.find("T1") == &state.workers[0]);
    CHECK(constant.find("T5") == &state.workers[5]);
    for (const char* const unknown : {"", "T", "T11", "t1", " T1"}) {
        CHECK(constant.find(unknown) == nullptr);
        CHECK(state.find(unknown) == nullptr);
        CHECK_FALSE(state.has(unknown));
    }
    CHECK(state.has("T4"));
    CHECK(ParallelState{}.find("T1") == nullptr);
}

TEST_CASE("state: counting by lifecycle") {
    const ParallelState state = sample();
    using Ids = std::vector<std::string>;
    CHECK(ids(state.by_lifecycle(Lifecycle::running)) == Ids{"T1", "T4"});
    CHECK(ids(state.by_lifecycle(Lifecycle::integrating)) == Ids{"T2"});
    CHECK(ids(state.by_lifecycle(Lifecycle::completed)) == Ids{"T3"});
    CHECK(ids(state.by_lifecycle(Lifecycle::failed)) == Ids{"T1"});
    CHECK(ids(state.by_lifecycle(Lifecycle::blocked_push)) == Ids{"T5"});
    CHECK(state.count(Lifecycle::running) == 2);
    CHECK(state.count(Lifecycle::failed) == 1);
    CHECK(state.active_count() == 3);
    CHECK(state.blocked_count() == 1);
    CHECK(ParallelState{}.active_count() == 0);
    CHECK(ParallelState{}.by_lifecycle(Lifecycle::running).empty());
}

TEST_CASE("state: a new state is of version 3, and equality looks at every field") {
    const ParallelState state = sample();
    CHECK(ParallelState{}.schema_version == 3);
    ParallelState other = state;
    CHECK(other == state);
    other.target_branch = "x";
    CHECK_FALSE(other == state);
    other = state;
    other.workers[2].push_attempts = 3;
    CHECK_FALSE(other == state);
    other = state;
    other.workers[2].last_error.reset();
    CHECK_FALSE(other == state);
}
