#include "core/supervisor/run_record.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace ralph::core;

namespace {

// The message of the error without its position, or "read".
template <class T>
std::string fault_of(Result<T> (*read)(const JsonDocument&), const std::string& text) {
    const auto document = JsonDocument::parse(text, "x.json");
    if (!document) {
        return document.error().message;
    }
    const auto value = read(*document);
    return value ? "read" : value.error().message.substr(std::string("x.json:1:1: ").size());
}

template <class T>
T must_read(Result<T> (*read)(const JsonDocument&), const std::string& text) {
    const auto document = JsonDocument::parse(text, "x.json");
    REQUIRE(document.has_value());
    auto value = read(*document);
    REQUIRE(value.has_value());
    return *value;
}

// `text` with one piece of it replaced.
std::string with(std::string text, const std::string& piece, const std::string& other) {
    const auto place = text.find(piece);
    REQUIRE(place != std::string::npos);
    return text.replace(place, piece.size(), other);
}

struct Refusal {
    const char* piece;
    const char* other;
    const char* part_of_message;
};

template <class T, std::size_t count>
void check_faults(Result<T> (*read)(const JsonDocument&), const std::string& text,
                  const Refusal (&faults)[count]) {
    CHECK(fault_of(read, text) == "read");
    for (const Refusal& fault : faults) {
        CAPTURE(fault.piece);
        CAPTURE(fault.other);
        const std::string message = fault_of(read, with(text, fault.piece, fault.other));
        CAPTURE(message);
        CHECK(message.find(fault.part_of_message) != std::string::npos);
    }
}

const std::string spec_json =
    R"({"version": 1, "task_id": "T1", "step": "work", "number": 7, "attempt": 2, "slot": 3, )"
    R"("run_id": "abc", "command": ["a", "b c"], "environment_names": ["HOME"], "working_directory": "/w", )"
    R"("created_at": "now"})";
const std::string identity_json =
    R"({"version": 1, "pid": 42, "start_ticks": 18446744073709551615, "boot_id": "b"})";
const std::string exit_json =
    R"({"version": 1, "kind": "exited", "value": 7, "core_dumped": true, "timed_out": true, "stopped": true, )"
    R"("out_of_memory": true, "started_at": "s", "ended_at": "e", "user_cpu_microseconds": 1, )"
    R"("system_cpu_microseconds": 2, "peak_memory_kib": 3})";
const std::string marker_json =
    R"({"task_id": "T1", "reason": "r", "attempt": 4, "max_attempts": 5, "generated_at": "g"})";

ExitRecord record_of(ExitRecord::Kind kind, std::uint32_t value) {
    ExitRecord record;
    record.kind = kind;
    record.value = value;
    return record;
}

}  // namespace

TEST_CASE("run_record: names of run directories") {
    CHECK(run_directory_name({StepKind::prepare, 1, 1}) == "1-prepare");
    CHECK(run_directory_name({StepKind::discard, 4'294'967'295U, 9}) == "4294967295-discard");
    struct Name {
        const char* name;
        std::uint32_t number;
        StepKind step;
    };
    const Name names[] = {
        {"1-prepare", 1, StepKind::prepare},
        {"7-work", 7, StepKind::work},
        {"12-integrate", 12, StepKind::integrate},
        {"4294967295-discard", 4'294'967'295U, StepKind::discard},
    };
    for (const Name& each : names) {
        CAPTURE(each.name);
        const auto parsed = parse_run_directory_name(each.name);
        REQUIRE(parsed.has_value());
        CHECK(parsed->number == each.number);
        CHECK(parsed->step == each.step);
        CHECK(run_directory_name({each.step, each.number, 1}) == each.name);
    }
    for (const char* const other :
         {"",        "-",         "7",       "7-",        "-work",           "0-work",
          "7-Work",  "7-works",   "7 -work", " 7-work",   "+7-work",         "-7-work",
          "07-work", "7-work ",   "7--work", "7_work",    "4294967296-work", "x-work",
          "7x-work", "task.json", "settled", "7-work.new"}) {
        CAPTURE(other);
        CHECK_FALSE(parse_run_directory_name(other).has_value());
    }
}

TEST_CASE("run_record: a spec") {
    RunSpec spec;
    spec.task_id = "T1";
    spec.run = {StepKind::work, 7, 2};
    spec.slot = 3;
    spec.run_id = "abc";
    spec.command = {"a", "b c"};
    spec.environment_names = {"HOME"};
    spec.working_directory = "/w";
    spec.created_at = "now";
    CHECK(run_spec_text(spec) ==
          "{\n  \"version\": 1,\n  \"task_id\": \"T1\",\n  \"step\": \"work\",\n  \"number\": 7,\n"
          "  \"attempt\": 2,\n  \"slot\": 3,\n  \"run_id\": \"abc\",\n  \"command\": [\n    \"a\",\n    \"b "
          "c\"\n"
          "  ],\n  \"environment_names\": [\n    \"HOME\"\n  ],\n  \"working_directory\": \"/w\",\n"
          "  \"created_at\": \"now\"\n}");
    for (const std::string& text : {run_spec_text(spec), spec_json}) {
        const RunSpec again = must_read(read_run_spec, text);
        CHECK(again.task_id == "T1");
        CHECK(again.run == spec.run);
        CHECK(again.slot == 3);
        CHECK(again.run_id == "abc");
        CHECK(again.command == spec.command);
        CHECK(again.environment_names == spec.environment_names);
        CHECK(again.working_directory == "/w");
        CHECK(again.created_at == "now");
    }
    const Refusal faults[] = {
        {"\"version\": 1", "\"version\": 2", "is 2, and this ralph knows versions 1 to 1"},
        {"\"version\": 1", "\"version\": 0", "is 0, and this ralph knows versions 1 to 1"},
        {"\"version\": 1,", "", "lacks the key \"version\""},
        {"\"task_id\": \"T1\",", "", "lacks the key \"task_id\""},
        {"\"step\": \"work\",", "", "lacks the key \"step\""},
        {"\"work\"", "\"Work\"", "must be prepare, work, integrate, remediate or discard"},
        {"\"number\": 7,", "", "lacks the key \"number\""},
        {"\"number\": 7", "\"number\": -7", "must be a whole number"},
        {"\"attempt\": 2,", "", "lacks the key \"attempt\""},
        {"\"slot\": 3,", "", "lacks the key \"slot\""},
        {"\"run_id\": \"abc\",", "", "lacks the key \"run_id\""},
        {"[\"a\", \"b c\"]", "\"a\"", "must be an array of strings"},
        {"[\"HOME\"]", "[1]", "must be a string"},
    };
    check_faults(read_run_spec, spec_json, faults);
}

TEST_CASE("run_record: the identity of a process") {
    const ProcessRecord record = must_read(read_process_record, identity_json);
    CHECK(record.identity == ProcessIdentity{42, 18'446'744'073'709'551'615ULL, "b"});
    CHECK(record.cgroup.empty());
    CHECK(must_read(read_process_record, with(identity_json, "42", "2147483647")).identity.pid ==
          2'147'483'647);
    CHECK(
        must_read(read_process_record, with(identity_json, "\"b\"", R"("b", "cgroup": "/c\\x2d")")).cgroup ==
        "/c\\x2d");
    const Refusal faults[] = {
        {"\"version\": 1", "\"version\": 2", "knows versions 1 to 1"},
        {"42", "0", "is not a process id"},
        {"42", "2147483648", "is not a process id"},
        {"42", "-1", "must be a whole number"},
        {"\"b\"", R"("b", "cgroup": 1)", "must be a string"},
        {"\"pid\": 42,", "", "lacks the key \"pid\""},
        {"\"start_ticks\": 18446744073709551615,", "", "lacks the key \"start_ticks\""},
        {", \"boot_id\": \"b\"", "", "lacks the key \"boot_id\""},
    };
    check_faults(read_process_record, identity_json, faults);
}

TEST_CASE("run_record: an exit record") {
    ExitRecord expected = record_of(ExitRecord::Kind::exited, 7);
    expected.core_dumped = expected.timed_out = expected.stopped = expected.out_of_memory = true;
    expected.started_at = "s";
    expected.ended_at = "e";
    expected.user_cpu_microseconds = 1;
    expected.system_cpu_microseconds = 2;
    expected.peak_memory_kib = 3;
    CHECK(must_read(read_exit_record, exit_json) == expected);
    CHECK(must_read(read_exit_record, R"({"version": 1, "kind": "signalled", "value": 9})") ==
          record_of(ExitRecord::Kind::signalled, 9));
    const Refusal faults[] = {
        {"\"version\": 1", "\"version\": 2", "knows versions 1 to 1"},
        {"\"version\": 1,", "", "lacks the key \"version\""},
        {"\"kind\": \"exited\",", "", "lacks the key \"kind\""},
        {"\"exited\"", "\"stopped\"", "must be \"exited\" or \"signalled\""},
        {"\"value\": 7,", "", "lacks the key \"value\""},
        {"7", "null", "must be a whole number"},
        {"7", "7.5", "must be a whole number"},
        {"\"core_dumped\": true", "\"core_dumped\": 1", "must be true or false"},
        {"\"stopped\": true", "\"stopped\": null", "must be true or false"},
        {"\"peak_memory_kib\": 3", "\"peak_memory_kib\": -3", "must be a whole number"},
    };
    check_faults(read_exit_record, exit_json, faults);
}

TEST_CASE("run_record: the bounds of an exit record's value") {
    struct Bound {
        const char* kind;
        std::uint32_t value;
        bool good;
    };
    const Bound rows[] = {
        {"exited", 0, true},    {"exited", 255, true},   {"exited", 256, false},   {"signalled", 0, false},
        {"signalled", 1, true}, {"signalled", 64, true}, {"signalled", 65, false}, {"signalled", 255, false},
    };
    for (const Bound& row : rows) {
        CAPTURE(row.kind);
        CAPTURE(row.value);
        const std::string text =
            fmt::format(R"({{"version": 1, "kind": "{}", "value": {}}})", row.kind, row.value);
        CHECK((fault_of(read_exit_record, text) == "read") == row.good);
    }
}

TEST_CASE("run_record: an exit status and a signal of the same number differ") {
    CHECK(record_of(ExitRecord::Kind::exited, 9).exited_with(9));
    CHECK_FALSE(record_of(ExitRecord::Kind::exited, 9).exited_with(0));
    CHECK_FALSE(record_of(ExitRecord::Kind::signalled, 9).exited_with(9));
}

TEST_CASE("run_record: documents that were cut off are errors") {
    for (std::size_t length = 0; length < exit_json.size(); ++length) {
        CAPTURE(length);
        CHECK(fault_of(read_exit_record, exit_json.substr(0, length)) != "read");
    }
    for (std::size_t length = 0; length < marker_json.size(); ++length) {
        CAPTURE(length);
        CHECK(fault_of(read_block_marker, marker_json.substr(0, length)) != "read");
    }
}

TEST_CASE("run_record: an outcome") {
    const Outcome outcome{"what happened", "a warning", "1234", "5678"};
    CHECK(outcome_text(outcome) ==
          "{\n  \"version\": 1,\n  \"summary\": \"what happened\",\n  \"note\": \"a warning\",\n"
          "  \"base_sha\": \"1234\",\n  \"landed_sha\": \"5678\"\n}");
    const Outcome again = must_read(read_outcome, outcome_text(outcome));
    CHECK(again.summary == "what happened");
    CHECK(again.note == "a warning");
    CHECK(again.base_sha == "1234");
    CHECK(again.landed_sha == "5678");
    CHECK(must_read(read_outcome, R"({"version": 1})").summary.empty());
    CHECK(fault_of(read_outcome, "{}").find("lacks the key \"version\"") != std::string::npos);
    CHECK(fault_of(read_outcome, R"({"version": 2})").find("knows versions 1 to 1") != std::string::npos);
    CHECK(fault_of(read_outcome, R"({"version": 1, "summary": 1})").find("must be a string") !=
          std::string::npos);
}

TEST_CASE("run_record: texts with bytes that are no UTF-8 can be read back") {
    const std::string text = "\xC3\xA9 and \xE9 and \xF0\x9F\x92 and\n\x80";
    const Outcome again = must_read(read_outcome, outcome_text({text, text, "", "", "refs/x"}));
    CHECK(again.summary == "\xC3\xA9 and \\xe9 and \\xf0\\x9f\\x92 and | \\x80");
    CHECK(again.note == again.summary);
    CHECK(again.kept == "refs/x");
    CHECK(must_read(read_block_marker, block_marker_text({"T1", text, 1, 2, "g"})).reason == again.summary);
    RunSpec spec;  // a path may hold any byte, and is not for people
    spec.working_directory = "/home/\xE9/project";
    spec.task_id = "T1";
    spec.run_id = "1";
    CHECK(must_read(read_run_spec, run_spec_text(spec)).working_directory == "/home/\xEF\xBF\xBD/project");
}

TEST_CASE("run_record: a block marker") {
    const BlockMarker marker{"T1", "r", 4, 5, "g"};
    CHECK(block_marker_text(marker) ==
          "{\n  \"task_id\": \"T1\",\n  \"reason\": \"r\",\n  \"attempt\": 4,\n  \"max_attempts\": 5,\n"
          "  \"generated_at\": \"g\"\n}");
    for (const std::string& text : {block_marker_text(marker), marker_json}) {
        const BlockMarker again = must_read(read_block_marker, text);
        CHECK(again.task_id == "T1");
        CHECK(again.reason == "r");
        CHECK(again.attempt == 4);
        CHECK(again.max_attempts == 5);
        CHECK(again.generated_at == "g");
    }
    const Refusal faults[] = {
        {"\"task_id\": \"T1\",", "", "lacks the key \"task_id\""},
        {"\"reason\": \"r\",", "", "lacks the key \"reason\""},
        {"\"attempt\": 4,", "", "lacks the key \"attempt\""},
        {"\"max_attempts\": 5,", "", "lacks the key \"max_attempts\""},
        {", \"generated_at\": \"g\"", "", "lacks the key \"generated_at\""},
        {"4", "-4", "must be a whole number"},
        {"\"r\"", "null", "must be a string"},
    };
    check_faults(read_block_marker, marker_json, faults);
}

TEST_CASE("run_record: describe") {
    const auto flagged = [](bool ExitRecord::*flag) {
        ExitRecord record = record_of(ExitRecord::Kind::signalled, 9);
        record.*flag = true;
        return describe(record);
    };
    CHECK(describe(record_of(ExitRecord::Kind::exited, 0)) == "exited with status 0");
    CHECK(describe(record_of(ExitRecord::Kind::exited, 255)) == "exited with status 255");
    CHECK(describe(record_of(ExitRecord::Kind::signalled, 9)) == "was killed by signal 9 (SIGKILL)");
    CHECK(describe(record_of(ExitRecord::Kind::signalled, 15)) == "was killed by signal 15 (SIGTERM)");
    CHECK(describe(record_of(ExitRecord::Kind::signalled, 40)) == "was killed by signal 40");
    CHECK(flagged(&ExitRecord::core_dumped) == "was killed by signal 9 (SIGKILL), core dumped");
    CHECK(flagged(&ExitRecord::timed_out) == "ran out of time");
    CHECK(flagged(&ExitRecord::stopped) == "was stopped");
    CHECK(flagged(&ExitRecord::out_of_memory) == "was killed by the kernel: out of memory");
}
