#include "core/queue/task_codec.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <vector>

using namespace ralph::core;
namespace json = boost::json;

namespace {

Result<TaskFile> read_file(std::string text) {
    auto document = JsonDocument::parse(std::move(text), "queue.jsonc");
    if (!document) {
        return document.error();
    }
    return read_task_file(*document);
}

Result<Task> read_one(std::string text) {
    auto document = JsonDocument::parse(std::move(text), "task.json");
    if (!document) {
        return document.error();
    }
    return read_task(*document);
}

// The error of a task with id and title and the given further member.
std::string error_of(const std::string& member) {
    const auto task = read_one("{\"id\":\"RQ-0001\",\"title\":\"x\"," + member + "}");
    return task ? "accepted" : task.error().line();
}

// Every key of contract section 1.2, in its order.
const std::string full_text = R"({
  "version": 1,
  "tasks": [
    {
      "id": "RQ-0001",
      "status": "done",
      "kind": "group",
      "title": "Größe",
      "description": "long",
      "priority": "critical",
      "tags": [
        "a",
        "b"
      ],
      "scope": [
        "src"
      ],
      "evidence": [
        "log"
      ],
      "plan": [
        "do"
      ],
      "notes": [
        ""
      ],
      "request": "please",
      "agent": {
        "phases": 2,
        "runner": "codex",
        "runner_cli": {
          "sandbox": null
        }
      },
      "created_at": "2026-02-20T00:00:00.000000000Z",
      "updated_at": "2026-02-20T00:00:01.000000000Z",
      "completed_at": "2026-02-20T00:00:02.000000000Z",
      "started_at": "2026-02-20T00:00:03.000000000Z",
      "estimated_minutes": 5,
      "actual_minutes": 0,
      "scheduled_start": "2026-03-01T00:00:00Z",
      "depends_on": [
        "RQ-0002"
      ],
      "blocks": [
        "RQ-0003"
      ],
      "relates_to": [
        "RQ-0004"
      ],
      "duplicates": "RQ-0005",
      "custom_fields": {
        "zeta": "1",
        "alpha": "2"
      },
      "parent_id": "RQ-0006"
    },
    {
      "id": "RQ-0002",
      "status": "todo",
      "title": "small",
      "priority": "medium",
      "tags": [],
      "scope": [],
      "evidence": [],
      "plan": [],
      "notes": [],
      "depends_on": [],
      "blocks": [],
      "relates_to": [],
      "custom_fields": {}
    }
  ]
})";

}  // namespace

TEST_CASE("task_codec: a canonical file is written back byte for byte") {
    const auto file = read_file(full_text);
    REQUIRE(file.has_value());
    REQUIRE(file->tasks.size() == 2);
    CHECK(task_file_text(*file) == full_text);
    const Task& task = file->tasks[0];
    CHECK(task.status == TaskStatus::done);
    CHECK(task.kind == TaskKind::group);
    CHECK(task.priority == TaskPriority::critical);
    CHECK(task.tags == std::vector<std::string>{"a", "b"});
    CHECK(task.agent == json::parse(R"({"phases":2,"runner":"codex","runner_cli":{"sandbox":null}})"));
    CHECK(task.estimated_minutes == 5U);
    CHECK(task.actual_minutes == 0U);
    REQUIRE(task.custom_field("alpha") != nullptr);
    CHECK(*task.custom_field("alpha") == "2");
    CHECK(task.custom_field("beta") == nullptr);
    CHECK(file->tasks[1].kind == TaskKind::work_item);
}

TEST_CASE("task_codec: an empty queue is 33 bytes, as the Rust tools write it") {
    const std::string text = task_file_text(TaskFile{});
    CHECK(text == "{\n  \"version\": 1,\n  \"tasks\": []\n}");
    CHECK(text.size() == 33);
}

TEST_CASE("task_codec: every proper prefix of a canonical file is an error") {
    for (std::size_t length = 0; length < full_text.size(); ++length) {
        const auto file = read_file(full_text.substr(0, length));
        REQUIRE_FALSE(file.has_value());
        REQUIRE(file.error().line().find("queue.jsonc:") == 0);
    }
}

TEST_CASE("task_codec: what is missing has the value of contract section 1.2") {
    const auto task = read_one(R"({id: 'RQ-0001', title: 'x', /* rest */})");
    REQUIRE(task.has_value());
    CHECK(task->status == TaskStatus::todo);
    CHECK(task->priority == TaskPriority::medium);
    CHECK(task->kind == TaskKind::work_item);
    CHECK(task->notes.empty());
    CHECK_FALSE(task->agent.has_value());
    CHECK_FALSE(task->created_at.has_value());
}

TEST_CASE("task_codec: null means absent for optional scalars and is not written") {
    for (const std::string key :
         {"description", "request", "agent", "created_at", "updated_at", "completed_at", "started_at",
          "estimated_minutes", "actual_minutes", "scheduled_start", "duplicates", "parent_id"}) {
        CAPTURE(key);
        const auto task = read_one(std::string(R"({"id":"RQ-0001","title":"x",")") + key + "\":null}");
        REQUIRE(task.has_value());
        CHECK_FALSE(write_task(*task).contains(key));
    }
}

TEST_CASE("task_codec: null is refused for arrays, enums, id, title and custom_fields") {
    for (const std::string key :
         {"tags", "scope", "evidence", "plan", "notes", "depends_on", "blocks", "relates_to"}) {
        CAPTURE(key);
        CHECK(error_of(std::string("\"") + key + "\":null") ==
              std::string("task.json:1:29: key `") + key + "` must be an array of strings");
    }
    for (const std::string key : {"status", "priority", "kind", "id", "title"}) {
        CAPTURE(key);
        CHECK(error_of(std::string("\"") + key + "\":null").find("must be a string") != std::string::npos);
    }
    CHECK(error_of("\"custom_fields\":null") == "task.json:1:29: key `custom_fields` must be an object");
}

TEST_CASE("task_codec: custom field values become strings") {
    const auto task = read_one(
        R"({"id":"RQ-0001","title":"x","custom_fields":{"s":"t","i":-7,"h":0x10,"r":1.0,"e":2.5,"b":true,"":"blank"}})");
    REQUIRE(task.has_value());
    using Field = std::pair<std::string, std::string>;
    CHECK(
        task->custom_fields ==
        std::vector<Field>{
            {"s", "t"}, {"i", "-7"}, {"h", "16"}, {"r", "1.0"}, {"e", "2.5"}, {"b", "true"}, {"", "blank"}});
    for (const std::string value : {"null", "[]", "{}"}) {
        CHECK(error_of(std::string("\"custom_fields\":{\"k\":") + value + "}") ==
              "task.json:1:46: key `custom_fields.k` must be a string, a number, true or false");
    }
}

TEST_CASE("task_codec: faults name file, line, column and key") {
    struct Row {
        std::string text;
        std::string error;
    };
    const std::vector<Row> rows{
        {"", "queue.jsonc:1:1: must be an object"},
        {"[]", "queue.jsonc:1:1: must be an object"},
        {"{\"tasks\":[]}", "queue.jsonc:1:1: lacks the key \"version\""},
        {"{\"version\":1.0}", "queue.jsonc:1:2: key `version` must be a whole number from 0 to 4294967295"},
        {"{\"version\":1,\"tasks\":null}", "queue.jsonc:1:14: key `tasks` must be an array of tasks"},
        {"{\"version\":1,\n\"task\":[]}",
         "queue.jsonc:2:1: key `task` is not known; did you mean \"tasks\"?"},
        {"{\"version\":1,\"tasks\":[\n7]}", "queue.jsonc:2:1: key `tasks[0]` must be an object"},
        {"{\"version\":1,\"tasks\":[\n{\"title\":\"x\"}]}",
         "queue.jsonc:2:1: key `tasks[0]` lacks the key \"id\""},
        {"{\"version\":1,\"tasks\":[\n{\"id\":\"x\"}]}",
         "queue.jsonc:2:1: key `tasks[0]` lacks the key \"title\""},
        {"{\"version\":1,\"tasks\":[{\"id\":\"a\",\"title\":\"t\"},\n{\"id\":\"b\",\"title\":\"t\",\n "
         "\"statu\":\"todo\"}]}",
         "queue.jsonc:3:2: key `tasks[1].statu` is not known; did you mean \"status\"?"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const auto file = read_file(row.text);
        REQUIRE_FALSE(file.has_value());
        CHECK(file.error().line() == row.error);
    }
    CHECK(error_of("\"status\":\"Todo\"") ==
          "task.json:1:29: key `status` must be draft, todo, doing, done or rejected, not \"Todo\"");
    CHECK(error_of("\"priority\":\"urgent\"") ==
          "task.json:1:29: key `priority` must be critical, high, medium or low, not \"urgent\"");
    CHECK(error_of("\"kind\":\"epic\"") ==
          "task.json:1:29: key `kind` must be work_item or group, not \"epic\"");
    CHECK(error_of("\"kind\":\"work_item\"") == "accepted");
    CHECK(error_of("\"estimated_minutes\":4294967296") ==
          "task.json:1:29: key `estimated_minutes` must be a whole number from 0 to 4294967295");
}

TEST_CASE("task_codec: agent objects are checked and kept as they are") {
    for (
        const char* agent :
        {R"({})", R"({"runner":"claude","model":"m","model_effort":"default","phases":3,"iterations":1})",
         R"({"runner":null,"model":null,"phases":null,"iterations":null,"runner_cli":null})",
         R"({"followup_reasoning_effort":"xhigh","runner_cli":{"output_format":"json","verbosity":null}})",
         R"({"phase_overrides":{"phase1":{"runner":"a","model":"b","reasoning_effort":"low"},"phase3":null}})",
         R"({"cursor":{"anything":[1.0]},"phase_overrides":{"phase2":{"cursor":{"x":1}}}})"}) {
        CAPTURE(agent);
        const auto task = read_one(std::string(R"({"id":"RQ-0001","title":"x","agent":)") + agent + "}");
        REQUIRE(task.has_value());
        CHECK(write_task(*task).at("agent") == json::parse(agent));
    }
    struct Row {
        std::string agent;
        std::string error;
    };
    const std::vector<Row> rows{
        {"[]", "key `agent` must be an object"},
        {R"({"runer":"x"})", "key `agent.runer` is not known; did you mean \"runner\"?"},
        {R"({"runner":1})", "key `agent.runner` must be a string"},
        {R"({"model":" "})", "key `agent.model` must not be blank"},
        {R"({"model_effort":"max"})",
         "key `agent.model_effort` must be one of default, low, medium, high, xhigh, not \"max\""},
        {R"({"model_effort":null})", "key `agent.model_effort` must be a string"},
        {R"({"followup_reasoning_effort":"default"})",
         "key `agent.followup_reasoning_effort` must be one of low, medium, high, xhigh, not \"default\""},
        {R"({"phases":0})", "key `agent.phases` must be from 1 to 3"},
        {R"({"phases":4})", "key `agent.phases` must be from 1 to 3"},
        {R"({"iterations":0})", "key `agent.iterations` must be 1 or more"},
        {R"({"runner_cli":{"sandbox":true}})", "key `agent.runner_cli.sandbox` must be a string"},
        {R"({"runner_cli":{"sandboxes":"x"}})",
         "key `agent.runner_cli.sandboxes` is not known; did you mean \"sandbox\"?"},
        {R"({"phase_overrides":{"phase4":{}}})",
         "key `agent.phase_overrides.phase4` is not known; did you mean \"phase1\"?"},
        {R"({"phase_overrides":{"phase1":{"reasoning_effort":"no"}}})",
         "key `agent.phase_overrides.phase1.reasoning_effort` must be one of low, medium, high, xhigh, not "
         "\"no\""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.agent);
        const std::string error = error_of(std::string("\"agent\":") + row.agent);
        CHECK(error.substr(error.find("key ")) == row.error);
    }
}

TEST_CASE("task: find trims ids and prefers a copy that is not rejected") {
    TaskFile file;
    file.tasks.resize(3);
    file.tasks[0].id = "RQ-0001";
    file.tasks[0].status = TaskStatus::rejected;
    file.tasks[1].id = " RQ-0001\n";
    file.tasks[2].id = "RQ-0001";
    CHECK(file.find("RQ-0001 ") == &file.tasks[1]);
    CHECK(file.find("rq-0001") == nullptr);
    file.tasks[1].status = TaskStatus::rejected;
    file.tasks[2].status = TaskStatus::rejected;
    CHECK(file.find("RQ-0001") == &file.tasks[0]);
}
