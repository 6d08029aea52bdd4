#include "core/supervisor/state_codec.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace ralph::core;

namespace {

Result<ParallelState> read(const std::string& text) {
    const auto document = JsonDocument::parse(text, "state.json");
    if (!document) {
        return document.error();
    }
    return read_state(*document);
}

std::string fault_of(const std::string& text) {
    const auto state = read(text);
    return state ? "read" : state.error().message;
}

const char* const minimal =
    "{\n"
    "  \"schema_version\": 3,\n"
    "  \"started_at\": \"2026-02-20T00:00:00.000000000Z\",\n"
    "  \"target_branch\": \"main\",\n"
    "  \"workers\": []\n"
    "}";

// The second record has neither completed_at nor last_error.
const char* const full =
    "{\n"
    "  \"schema_version\": 3,\n"
    "  \"started_at\": \"s\",\n"
    "  \"target_branch\": \"feature/\u00fc\U0001F600\",\n"
    "  \"workers\": [\n"
    "    {\n"
    "      \"task_id\": \"RQ-0001\",\n"
    "      \"workspace_path\": \"/home/\u00e4/w\",\n"
    "      \"lifecycle\": \"blocked_push\",\n"
    "      \"started_at\": \"yesterday\",\n"
    "      \"completed_at\": \"today\",\n"
    "      \"push_attempts\": 4294967295,\n"
    "      \"last_error\": \"a\\\"b\\\\c/d\\n\\t\\r\\b\\f\\u0001\\u001f\x7f\"\n"
    "    },\n"
    "    {\n"
    "      \"task_id\": \"RQ-0002\",\n"
    "      \"workspace_path\": \"\",\n"
    "      \"lifecycle\": \"integrating\",\n"
    "      \"started_at\": \"\",\n"
    "      \"push_attempts\": 0\n"
    "    }\n"
    "  ]\n"
    "}";

ParallelState full_state() {
    ParallelState state;
    state.started_at = "s";
    state.target_branch = "feature/\u00fc\U0001F600";
    WorkerRecord first;
    first.task_id = "RQ-0001";
    first.workspace_path = "/home/\u00e4/w";
    first.lifecycle = Lifecycle::blocked_push;
    first.started_at = "yesterday";
    first.completed_at = "today";
    first.push_attempts = 4'294'967'295U;
    first.last_error = "a\"b\\c/d\n\t\r\b\f\x01\x1f\x7f";
    WorkerRecord second;
    second.task_id = "RQ-0002";
    second.lifecycle = Lifecycle::integrating;
    state.workers = {first, second};
    return state;
}

// A whole document with `member` (or nothing) in the place of one of the record's members.
std::string record_with(const std::string& key, const std::string& member) {
    const std::pair<std::string, std::string> members[] = {{"task_id", R"("task_id": "T1")"},
                                                           {"workspace_path", R"("workspace_path": "/w")"},
                                                           {"lifecycle", R"("lifecycle": "completed")"},
                                                           {"started_at", R"("started_at": "s")"},
                                                           {"completed_at", R"("completed_at": "c")"},
                                                           {"push_attempts", R"("push_attempts": 7)"},
                                                           {"last_error", R"("last_error": "e")"}};
    std::string object;
    for (const auto& [name, usual] : members) {
        const std::string& chosen = name == key ? member : usual;
        object += chosen.empty() ? "" : (object.empty() ? "" : ", ") + chosen;
    }
    return R"({"schema_version": 3, "workers": [{)" + object + "}]}";
}

// The record's fields as one text, to compare a whole cell at once.
std::string text_of(const WorkerRecord& record) {
    return fmt::format("{} {} {} {} {} {} {}", record.task_id, record.workspace_path,
                       to_string(record.lifecycle), record.started_at, record.completed_at.value_or("none"),
                       record.push_attempts, record.last_error.value_or("none"));
}

// What reading the only record gives, or the message without its position.
std::string cell(const std::string& key, const std::string& value) {
    const auto state =
        read(record_with(key, value == "missing" ? "" : fmt::format("\"{}\": {}", key, value)));
    if (!state) {
        const std::string& message = state.error().message;
        return message.substr(message.find("key `"));
    }
    REQUIRE(state->workers.size() == 1);
    return text_of(state->workers[0]);
}

std::string top_cell(const std::string& key, const std::string& value) {
    std::string object = key == "schema_version" ? "" : R"("schema_version": 3)";
    if (value != "missing") {
        object += (object.empty() ? "" : ", ") + fmt::format("\"{}\": {}", key, value);
    }
    const auto state = read("{" + object + "}");
    if (!state) {
        const std::string& message = state.error().message;
        return message.substr(message.find("key `"));
    }
    return fmt::format("{} [{}] [{}] {}", state->schema_version, state->started_at, state->target_branch,
                       state->workers.size());
}

struct Cell {
    const char* key;
    const char* value;
    const char* result;
};

}  // namespace

TEST_CASE("state_codec: the tolerance table of the top level") {
    const Cell cells[] = {
        {"schema_version", "missing", "3 [] [] 0"},
        {"schema_version", "0", "3 [] [] 0"},
        {"schema_version", "3", "3 [] [] 0"},
        {"schema_version", "4", "4 [] [] 0"},
        {"schema_version", "4294967295", "4294967295 [] [] 0"},
        {"schema_version", "null", "key `schema_version` must be a whole number from 0 to 4294967295"},
        {"schema_version", "4294967296", "key `schema_version` must be a whole number from 0 to 4294967295"},
        {"schema_version", "-1", "key `schema_version` must be a whole number from 0 to 4294967295"},
        {"schema_version", "3.0", "key `schema_version` must be a whole number from 0 to 4294967295"},
        {"schema_version", "\"3\"", "key `schema_version` must be a whole number from 0 to 4294967295"},
        {"started_at", "missing", "3 [] [] 0"},
        {"started_at", "\"no time\"", "3 [no time] [] 0"},
        {"started_at", "null", "key `started_at` must be a string"},
        {"started_at", "1", "key `started_at` must be a string"},
        {"target_branch", "missing", "3 [] [] 0"},
        {"target_branch", "\"a b\"", "3 [] [a b] 0"},
        {"target_branch", "null", "key `target_branch` must be a string"},
        {"target_branch", "[]", "key `target_branch` must be a string"},
        {"workers", "missing", "3 [] [] 0"},
        {"workers", "[]", "3 [] [] 0"},
        {"workers", "null", "key `workers` must be an array"},
        {"workers", "{}", "key `workers` must be an array"},
        {"workers", "\"x\"", "key `workers` must be an array"},
        {"workers", "[null]", "key `workers[0]` must be an object"},
        {"workers", "[[]]", "key `workers[0]` must be an object"},
    };
    for (const Cell& each : cells) {
        CAPTURE(each.key);
        CAPTURE(each.value);
        CHECK(top_cell(each.key, each.value) == each.result);
    }
}

TEST_CASE("state_codec: the tolerance table of a record") {
    const Cell cells[] = {
        {"task_id", "\"\"", " /w completed s c 7 e"},
        {"task_id", "missing", "key `workers[0]` lacks the key \"task_id\""},
        {"task_id", "null", "key `workers[0].task_id` must be a string"},
        {"task_id", "1", "key `workers[0].task_id` must be a string"},
        {"workspace_path", "\"../x\"", "T1 ../x completed s c 7 e"},
        {"workspace_path", "missing", "key `workers[0]` lacks the key \"workspace_path\""},
        {"workspace_path", "null", "key `workers[0].workspace_path` must be a string"},
        {"workspace_path", "false", "key `workers[0].workspace_path` must be a string"},
        {"started_at", "\"no time\"", "T1 /w completed no time c 7 e"},
        {"started_at", "missing", "key `workers[0]` lacks the key \"started_at\""},
        {"started_at", "null", "key `workers[0].started_at` must be a string"},
        {"started_at", "0", "key `workers[0].started_at` must be a string"},
        {"lifecycle", "missing", "T1 /w running s c 7 e"},
        {"lifecycle", "\"running\"", "T1 /w running s c 7 e"},
        {"lifecycle", "\"integrating\"", "T1 /w integrating s c 7 e"},
        {"lifecycle", "\"completed\"", "T1 /w completed s c 7 e"},
        {"lifecycle", "\"failed\"", "T1 /w failed s c 7 e"},
        {"lifecycle", "\"blocked_push\"", "T1 /w blocked_push s c 7 e"},
        {"lifecycle", "null", "key `workers[0].lifecycle` must be a string"},
        {"lifecycle", "1", "key `workers[0].lifecycle` must be a string"},
        {"lifecycle", "\"Running\"",
         "key `workers[0].lifecycle` must be running, integrating, completed, failed or blocked_push, not "
         "\"Running\""},
        {"completed_at", "missing", "T1 /w completed s none 7 e"},
        {"completed_at", "null", "T1 /w completed s none 7 e"},
        {"completed_at", "\"\"", "T1 /w completed s  7 e"},
        {"completed_at", "5", "key `workers[0].completed_at` must be a string"},
        {"push_attempts", "missing", "T1 /w completed s c 0 e"},
        {"push_attempts", "4294967295", "T1 /w completed s c 4294967295 e"},
        {"push_attempts", "null",
         "key `workers[0].push_attempts` must be a whole number from 0 to 4294967295"},
        {"push_attempts", "-1", "key `workers[0].push_attempts` must be a whole number from 0 to 4294967295"},
        {"push_attempts", "1.5",
         "key `workers[0].push_attempts` must be a whole number from 0 to 4294967295"},
        {"push_attempts", "4294967296",
         "key `workers[0].push_attempts` must be a whole number from 0 to 4294967295"},
        {"last_error", "missing", "T1 /w completed s c 7 none"},
        {"last_error", "null", "T1 /w completed s c 7 none"},
        {"last_error", "\"\"", "T1 /w completed s c 7 "},
        {"last_error", "{}", "key `workers[0].last_error` must be a string"},
    };
    for (const Cell& each : cells) {
        CAPTURE(each.key);
        CAPTURE(each.value);
        CHECK(cell(each.key, each.value) == each.result);
    }
}

TEST_CASE("state_codec: an error names file, line, column and key") {
    CHECK(fault_of(
              "{\n  \"schema_version\": 3,\n  \"workers\": [\n    {\"task_id\": \"T1\", \"lifecycle\": 1}\n"
              "  ]\n}")
              .rfind("state.json:4:", 0) == 0);
    CHECK(fault_of("[]") == "state.json:1:1: must be an object");
    CHECK(fault_of("") == "state.json:1:1: must be an object");
}

TEST_CASE("state_codec: versions before 3 lose their workers and keep the rest") {
    for (const char* const version :
         {"", "\"schema_version\": 0,", "\"schema_version\": 1,", "\"schema_version\": 2,"}) {
        CAPTURE(version);
        const auto state = read(fmt::format(
            R"({{{} "started_at": "s", "target_branch": "main", "prs": [1], "tasks_in_flight": [{{}}],
                "workers": [{{"task_id": "T1", "workspace_path": "/w", "started_at": "s"}}]}})",
            version));
        REQUIRE(state.has_value());
        CHECK(state->schema_version == 3);
        CHECK(state->started_at == "s");
        CHECK(state->target_branch == "main");
        CHECK(state->workers.empty());
    }
}

TEST_CASE("state_codec: a newer version is kept and saved again with its number") {
    const auto state = read(
        R"({"schema_version": 4, "workers": [{"task_id": "T1", "workspace_path": "/w", "started_at": "s"}]})");
    REQUIRE(state.has_value());
    CHECK(state->workers.size() == 1);
    CHECK(
        state_text(*state) ==
        "{\n  \"schema_version\": 4,\n  \"started_at\": \"\",\n  \"target_branch\": \"\",\n  \"workers\": [\n"
        "    {\n      \"task_id\": \"T1\",\n      \"workspace_path\": \"/w\",\n      \"lifecycle\": "
        "\"running\",\n      \"started_at\": \"s\",\n      \"push_attempts\": 0\n    }\n  ]\n}");
}

TEST_CASE("state_codec: unknown keys are dropped, comments and trailing commas are read") {
    const auto state = read(
        "// a comment\n{\"schema_version\": 3, \"secret\": {\"a\": [1]}, /* two */\n"
        "\"started_at\": \"2026-02-20T00:00:00.000000000Z\", \"target_branch\": \"main\", \"workers\": [],}");
    REQUIRE(state.has_value());
    CHECK(state_text(*state) == minimal);
    const auto with_record = read(
        R"({"schema_version": 3, "workers": [{"task_id": "T1", "pid": 5, "workspace_path": "/w",
            "started_at": "s",}]})");
    REQUIRE(with_record.has_value());
    CHECK(state_text(*with_record).find("pid") == std::string::npos);
}

TEST_CASE("state_codec: a task id may stand twice") {
    const auto state = read(
        R"({"schema_version": 3, "workers": [
            {"task_id": "T1", "workspace_path": "/first", "started_at": "s"},
            {"task_id": "T1", "workspace_path": "/second", "started_at": "s", "lifecycle": "failed"}]})");
    REQUIRE(state.has_value());
    REQUIRE(state->workers.size() == 2);
    CHECK(state->find("T1")->workspace_path == "/first");
    const auto again = read(state_text(*state));
    REQUIRE(again.has_value());
    CHECK(*again == *state);
}

TEST_CASE("state_codec: the last of a key that stands twice wins") {
    const auto state = read(R"({"schema_version": 1, "schema_version": 3, "target_branch": "a",
                                "target_branch": "b"})");
    REQUIRE(state.has_value());
    CHECK(state->target_branch == "b");
}

TEST_CASE("state_codec: canonical bytes") {
    ParallelState state;
    state.started_at = "2026-02-20T00:00:00.000000000Z";
    state.target_branch = "main";
    CHECK(state_text(state) == minimal);
    CHECK(state_text(full_state()) == full);
}

TEST_CASE("state_codec: what is written is read back, byte for byte") {
    const auto read_minimal = read(minimal);
    REQUIRE(read_minimal.has_value());
    CHECK(state_text(*read_minimal) == minimal);
    const auto read_full = read(full);
    REQUIRE(read_full.has_value());
    CHECK(*read_full == full_state());
    CHECK(state_text(*read_full) == full);
}

TEST_CASE("state_codec: a document that was cut off anywhere is an error") {
    const std::string text = full;
    for (std::size_t length = 0; length < text.size(); ++length) {
        CAPTURE(length);
        CHECK_FALSE(read(text.substr(0, length)).has_value());
    }
    CHECK(read(text).has_value());
    CHECK(read(text + "\n").has_value());
    CHECK_FALSE(read(text + "}").has_value());
    CHECK_FALSE(read(text + text).has_value());
}
