// The compatibility rule of the run directory: what version 1 is, literally, is read for ever.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "daemon/store/run_directory.h"
#include "tests/support/temporary_directory.h"

using namespace ralph::daemon;
using ralph::tests::TemporaryDirectory;
namespace core = ralph::core;

namespace {

const char* const spec_json = R"({
  "version": 1,
  "task_id": "RQ-0001",
  "step": "work",
  "number": 7,
  "attempt": 2,
  "slot": 3,
  "run_id": "00112233445566778899aabbccddeeff",
  "command": [
    "sh",
    "-c",
    "make it so"
  ],
  "environment_names": [
    "HOME",
    "RALPH_RUN_ID"
  ],
  "working_directory": "/somewhere",
  "created_at": "2026-02-20T00:00:00.000000000Z"
})";
const char* const shim_json = R"({
  "version": 1,
  "pid": 42,
  "start_ticks": 1234567,
  "boot_id": "6f0a6d3c-0000-4000-8000-000000000000"
})";
const char* const worker_json = R"({
  "version": 1,
  "pid": 43,
  "start_ticks": 1234568,
  "boot_id": "6f0a6d3c-0000-4000-8000-000000000000"
})";
const char* const exit_json = R"({
  "version": 1,
  "kind": "signalled",
  "value": 11,
  "core_dumped": true,
  "timed_out": false,
  "stopped": false,
  "out_of_memory": false,
  "started_at": "2026-02-20T00:00:00.000000001Z",
  "ended_at": "2026-02-20T00:00:05.000000002Z",
  "user_cpu_microseconds": 1000001,
  "system_cpu_microseconds": 2000002,
  "peak_memory_kib": 3003
})";
const char* const outcome_json = R"({
  "version": 1,
  "summary": "what happened",
  "note": "worth a warning",
  "base_sha": "1234",
  "landed_sha": "5678"
})";

const core::Run asked{core::StepKind::work, 7, 1};

class Directory {
  public:
    void write(const std::string& name, const std::string& text) const {
        REQUIRE(write_file_durably(folder_ / name, text).has_value());
    }
    void write_version_1() const {
        write("lock", "");
        write("spec.json", spec_json);
        write("shim.json", shim_json);
        write("worker.json", worker_json);
        write("exit.json", exit_json);
        write("outcome.json", outcome_json);
    }
    [[nodiscard]] Result<RunView> view() const { return view_run(folder_.path(), asked); }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

  private:
    TemporaryDirectory folder_;
};

// `text` as a later ralph of the same version might write it, or one of another version.
std::string with(std::string text, const std::string& piece, const std::string& other) {
    const std::size_t at = text.find(piece);
    REQUIRE(at != std::string::npos);
    return text.replace(at, piece.size(), other);
}

}  // namespace

TEST_CASE("a run directory of version 1 is read completely") {
    const Directory directory;
    directory.write_version_1();
    const auto view = directory.view();
    REQUIRE(view.has_value());
    CHECK(!view->shim_alive);
    CHECK(view->worker_started);
    CHECK(view->run == core::Run{core::StepKind::work, 7, 2});
    REQUIRE(view->spec.has_value());
    CHECK(view->spec->task_id == "RQ-0001");
    CHECK(view->spec->slot == 3);
    CHECK(view->spec->run_id == "00112233445566778899aabbccddeeff");
    CHECK(view->spec->command == std::vector<std::string>{"sh", "-c", "make it so"});
    CHECK(view->spec->environment_names == std::vector<std::string>{"HOME", "RALPH_RUN_ID"});
    CHECK(view->spec->working_directory == "/somewhere");
    CHECK(view->spec->created_at == "2026-02-20T00:00:00.000000000Z");
    CHECK(view->shim == core::ProcessIdentity{42, 1234567, "6f0a6d3c-0000-4000-8000-000000000000"});
    CHECK(view->worker == core::ProcessIdentity{43, 1234568, "6f0a6d3c-0000-4000-8000-000000000000"});
    CHECK(view->cgroup.empty());
    core::ExitRecord expected;
    expected.kind = core::ExitRecord::Kind::signalled;
    expected.value = 11;
    expected.core_dumped = true;
    expected.started_at = "2026-02-20T00:00:00.000000001Z";
    expected.ended_at = "2026-02-20T00:00:05.000000002Z";
    expected.user_cpu_microseconds = 1000001;
    expected.system_cpu_microseconds = 2000002;
    expected.peak_memory_kib = 3003;
    CHECK(view->exit == expected);
    CHECK(view->outcome.summary == "what happened");
    CHECK(view->outcome.note == "worth a warning");
    CHECK(view->outcome.base_sha == "1234");
    CHECK(view->outcome.landed_sha == "5678");
    REQUIRE(std::holds_alternative<core::ExitRecord>(*end_of(*view, OrphanPolicy::keep)));
    CHECK(std::get<core::ExitRecord>(*end_of(*view, OrphanPolicy::keep)) == expected);
}

TEST_CASE("keys that are not known are passed over, and those that may be missing have defaults") {
    const Directory directory;
    const std::string more = R"("version": 1, "from a later ralph": {"a": [1, null]})";
    for (const auto& [name, text] : {std::pair{"spec.json", spec_json},
                                     {"shim.json", shim_json},
                                     {"worker.json", worker_json},
                                     {"exit.json", exit_json},
                                     {"outcome.json", outcome_json}}) {
        directory.write(name, with(text, R"("version": 1)", more));
    }
    auto view = directory.view();
    REQUIRE(view.has_value());
    CHECK(view->spec->slot == 3);
    CHECK(view->shim->pid == 42);
    CHECK(view->worker->pid == 43);
    CHECK(view->exit->value == 11);
    CHECK(view->outcome.summary == "what happened");

    directory.write("exit.json", R"({"version": 1, "kind": "exited", "value": 7})");
    directory.write("outcome.json", R"({"version": 1})");
    view = directory.view();
    REQUIRE(view.has_value());
    core::ExitRecord expected;
    expected.value = 7;
    CHECK(view->exit == expected);
    CHECK(view->outcome.summary.empty());
}

TEST_CASE("a newer version is an error that says so, and never a lost run") {
    for (const char* name : {"spec.json", "worker.json", "exit.json"}) {
        const Directory directory;
        directory.write_version_1();
        if (std::string(name) == "worker.json") {
            REQUIRE(remove_file(directory.path("exit.json")).has_value());
        }
        const auto text = read_file(directory.path(name));
        directory.write(name, with(**text, R"("version": 1)", R"("version": 2)"));
        const auto view = directory.view();
        CAPTURE(name);
        REQUIRE(!view.has_value());
        CHECK(view.error().line().find(directory.path(name)) != std::string::npos);
        CHECK(view.error().line().find("is 2, and this ralph knows versions 1 to 1; install the ralph that "
                                       "wrote it, or a newer one") != std::string::npos);
    }
}

TEST_CASE("what a shim of a newer version says of itself is not acted upon") {
    const Directory directory;
    directory.write_version_1();
    directory.write("shim.json", with(shim_json, R"("version": 1)", R"("version": 2)"));
    const auto view = directory.view();
    REQUIRE(view.has_value());
    CHECK(!view->shim.has_value());  // so that it can be neither adopted nor signalled
    CHECK(view->exit->value == 11);  // and what it left counts
}

TEST_CASE("what a killed shim had begun to write is cleared away, and is no record") {
    const Directory directory;
    directory.write_version_1();
    REQUIRE(remove_file(directory.path("exit.json")).has_value());
    directory.write("exit.json.new", exit_json);
    directory.write("exit.json.reserved", exit_json);
    const auto view = directory.view();
    REQUIRE(view.has_value());
    CHECK(std::holds_alternative<core::LostRun>(*end_of(*view, OrphanPolicy::keep)));
    CHECK(!path_exists(directory.path("exit.json.new")));
    CHECK(!path_exists(directory.path("exit.json.reserved")));
}
