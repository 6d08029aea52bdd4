#include "core/queue/followups.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/queue/queue_edit.h"

using namespace ralph::core;
using namespace std::chrono_literals;

namespace {

constexpr Instant now{1'771'545'600s};
const std::string now_text = "2026-02-20T00:00:00.000000000Z";
using Lines = std::vector<std::string>;

const std::string good = R"({
  // JSON with comments is accepted
  "version": 1, "source_task_id": "RQ-0002",
  "tasks": [
    {"key": "b", "title": " Second ", "description": "More", "priority": "low",
     "depends_on_keys": [" a "], "independence_rationale": "Not part\n of it"},
    {"key": "a", "title": "First", "description": "Much", "priority": "critical", "tags": ["t"],
     "scope": ["s"], "evidence": ["e"], "plan": ["p"], "independence_rationale": "Separate"}
  ]
})";

Result<FollowupProposal> read(std::string text) {
    const auto document = JsonDocument::parse(std::move(text), "f.json");
    if (!document) {
        return document.error();
    }
    return read_followups(*document, "RQ-0002");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

TaskFile queue_of(TaskStatus first) {
    TaskFile queue{1, {make_task("RQ-0001", "one", now), make_task("RQ-0003", "three", now)}};
    queue.tasks[0].status = first;
    return queue;
}

TaskFile archive() {
    TaskFile done{1, {make_task("RQ-0002", "two", now)}};
    done.tasks[0].status = TaskStatus::done;
    done.tasks[0].completed_at = now_text;
    done.tasks[0].request = "the wish";
    return done;
}

Lines ids(const TaskFile& file) {
    Lines out;
    for (const Task& task : file.tasks) {
        out.push_back(task.id);
    }
    return out;
}

}  // namespace

TEST_CASE("followups: a proposal is read") {
    const auto proposal = read(good);
    REQUIRE(proposal.has_value());
    CHECK(proposal->source_task_id == "RQ-0002");
    REQUIRE(proposal->tasks.size() == 2);
    CHECK(proposal->tasks[0].title == "Second");
    CHECK(proposal->tasks[1].priority == TaskPriority::critical);
    CHECK(proposal->tasks[1].plan == Lines{"p"});
    CHECK(read(replaced(good, "\"version\": 1", "\"version\": \"followups@v1\"")).has_value());
    CHECK(read(R"({"version":1,"source_task_id":" RQ-0002 ","tasks":[]})")->tasks.empty());
}

TEST_CASE("followups: what is wrong in a proposal is named") {
    struct Row {
        std::string from;
        std::string to;
        std::string error;
    };
    const std::vector<Row> rows{
        {"\"version\": 1,", "", "f.json:1:1: lacks the key \"version\""},
        {"\"version\": 1", "\"version\": 2", "f.json:3:3: key `version` must be 1 or \"followups@v1\""},
        {"\"version\": 1", "\"version\": \"1\"", "f.json:3:3: key `version` must be 1 or \"followups@v1\""},
        {"RQ-0002", "RQ-0003",
         "f.json:3:17: key `source_task_id` must be \"RQ-0002\", the task that was worked on, not "
         "\"RQ-0003\""},
        {"\"tasks\"", "\"task\"", "f.json:1:1: lacks the key \"tasks\""},
        {"\"key\": \"b\"", "\"key\": \" \"", "f.json:5:6: key `tasks[0].key` must not be blank"},
        {"\"key\": \"b\"", "\"key\": \"a \"",
         "f.json:7:6: key `tasks[1].key` must be unique, but \"a\" is given twice"},
        {"\"title\": \" Second \", ", "", "f.json:5:5: key `tasks[0]` lacks the key \"title\""},
        {"\"More\"", "\"\"", "f.json:5:39: key `tasks[0].description` must not be blank"},
        {"\"priority\": \"low\",", "", "f.json:5:5: key `tasks[0]` lacks the key \"priority\""},
        {"\"low\"", "\"lower\"",
         "f.json:5:62: key `tasks[0].priority` must be critical, high, medium or low, not \"lower\""},
        {"\"Separate\"", "\" \"", "f.json:8:56: key `tasks[1].independence_rationale` must not be blank"},
        {"\" a \"", "\"c\"",
         "f.json:6:26: key `tasks[0].depends_on_keys[0]` must be the key of a task proposed here, not \"c\""},
        {"\" a \"", "\"b\"", "f.json:6:26: key `tasks[0].depends_on_keys[0]` must not be the task's own key"},
        {"\"tags\"", "\"tag\"", "f.json:7:83: key `tasks[1].tag` is not known; did you mean \"tags\"?"},
        {"[\"t\"]", "null", "f.json:7:83: key `tasks[1].tags` must be an array of strings"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.to);
        const auto proposal = read(replaced(good, row.from, row.to));
        REQUIRE_FALSE(proposal.has_value());
        CHECK(proposal.error().line() == row.error);
    }
}

TEST_CASE("followups: proposed tasks stand at the top of the queue with new ids") {
    TaskFile queue = queue_of(TaskStatus::todo);
    const TaskFile done = archive();
    const auto added = apply_followups(queue, done, done.tasks[0], *read(good), {}, now);
    REQUIRE(added.has_value());
    CHECK(*added == Lines{"RQ-0004", "RQ-0005"});
    CHECK(ids(queue) == Lines{"RQ-0004", "RQ-0005", "RQ-0001", "RQ-0003"});
    const Task& task = queue.tasks[0];
    CHECK(task.status == TaskStatus::todo);
    CHECK(task.title == "Second");
    CHECK(task.description == "More");
    CHECK(task.priority == TaskPriority::low);
    CHECK(task.notes == Lines{"Follow-up of RQ-0002, proposed there as \"b\": Not part of it"});
    CHECK(task.request == "the wish");
    CHECK(task.relates_to == Lines{"RQ-0002"});
    CHECK(task.depends_on == Lines{"RQ-0005"});
    CHECK(task.created_at == now_text);
    CHECK(task.updated_at == now_text);
    CHECK(queue.tasks[1].depends_on.empty());
    CHECK(queue.tasks[1].tags == Lines{"t"});
    CHECK(queue.tasks[1].scope == Lines{"s"});
    CHECK(queue.tasks[1].evidence == Lines{"e"});
    CHECK(queue.tasks[1].plan == Lines{"p"});
}

TEST_CASE("followups: a first task that is doing keeps its place") {
    TaskFile queue = queue_of(TaskStatus::doing);
    const TaskFile done = archive();
    REQUIRE(apply_followups(queue, done, done.tasks[0], *read(good), {}, now).has_value());
    CHECK(ids(queue) == Lines{"RQ-0001", "RQ-0004", "RQ-0005", "RQ-0003"});
    TaskFile empty;
    REQUIRE(apply_followups(empty, done, done.tasks[0], *read(good), {}, now).has_value());
    CHECK(ids(empty) == Lines{"RQ-0003", "RQ-0004"});
}

TEST_CASE("followups: tasks that would not validate leave the queue as it was") {
    TaskFile queue = queue_of(TaskStatus::todo);
    const TaskFile done = archive();
    FollowupProposal circle = *read(good);
    circle.tasks[1].depends_on_keys = {"b"};
    const auto result = apply_followups(queue, done, done.tasks[0], circle, {}, now);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().line() ==
          "the follow-up tasks proposed by RQ-0002 cannot be added: RQ-0004 and RQ-0005 depend on each other "
          "in a "
          "circle: RQ-0004 -> RQ-0005 -> RQ-0004; correct the proposal or remove it");
    CHECK(ids(queue) == Lines{"RQ-0001", "RQ-0003"});

    queue.tasks[0].id = "RQ-4294967295";
    CHECK_FALSE(apply_followups(queue, done, done.tasks[0], *read(good), {}, now).has_value());
    CHECK(ids(queue) == Lines{"RQ-4294967295", "RQ-0003"});
}

TEST_CASE("followups: ids that something else bears are not given again") {
    TaskFile queue = queue_of(TaskStatus::todo);
    const TaskFile done = archive();
    CHECK(apply_followups(queue, done, done.tasks[0], *read(good), {}, now, {"RQ-0005"}).value() ==
          Lines{"RQ-0004", "RQ-0006"});
}
