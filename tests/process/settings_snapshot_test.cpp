// What a supervisor has decided with is what its steps work with.
#include "daemon/store/settings_snapshot.h"

#include <doctest/doctest.h>

#include <boost/json/serialize.hpp>

#include "core/base/jsonc.h"
#include "daemon/store/run_directory.h"
#include "tests/support/project.h"

using namespace ralph;
using tests::Project;

namespace {

const std::string supervisor_file = R"(// by hand
{worker: {command: ["agent", "{task_id}"], env: {TOKEN: "a secret"}, kill_grace: "3s"},
 integration: {batch: {max: 7}, parallel_gates: 2}, gates: {unit: {command: ["make", "check"]}},})";

}  // namespace

TEST_CASE("the settings of a run are those of its supervisor, without what may be a secret") {
    const Project project;
    Project::write(project.paths().supervisor_config(), supervisor_file);
    Project::write(
        project.paths().config(),
        R"({"version": 2, "queue": {"id_prefix": "AB"}, "agent": {"webhook": {"enabled": true, "secret": "a secret"}}})");
    const auto settings = daemon::read_settings(project.paths(), true).value();
    const auto snapshot = daemon::snapshot_of(settings);
    CHECK(boost::json::serialize(snapshot).find("a secret") == std::string::npos);
    Project::write(project.paths().supervisor_config(), "{ broken");
    const auto again = daemon::settings_of(project.paths(), snapshot);
    REQUIRE(again.has_value());
    CHECK(again->trusted);
    CHECK(again->supervisor.batch.max == 7);
    CHECK(again->supervisor.partitions.parallel_gates == 2);
    CHECK(again->supervisor.worker.kill_grace == settings.supervisor.worker.kill_grace);
    CHECK(again->supervisor.worker.env.empty());
    CHECK(again->project.queue.id_prefix == "AB");
    CHECK(again->workspace_root == settings.workspace_root);
    CHECK(again->queue_file == settings.queue_file);
}

TEST_CASE("a snapshot of settings that is none is refused, with its place") {
    const Project project;
    const auto read = [&](const char* text) {
        return daemon::settings_of(project.paths(),
                                   core::JsonDocument::parse(text, "snapshot").value().root().as_object())
            .error()
            .message;
    };
    CHECK(read("{}") == R"(settings of the run: key `settings` lacks the key "trusted")");
    CHECK(read(R"({"trusted": true, "config": 7})") == "settings of the run: key `config` must be an object");
    CHECK(read(R"({"trusted": false, "supervisor": {"file": "S", "content": {"max_restarts": 1000}}})")
              .rfind("S:", 0) == 0);
}

TEST_CASE("settings that are edited while a worker is at work do not reach the steps that follow") {
    Project project;
    const std::string id =
        project.add("one", "echo one > one.txt; echo '{ broken' > \"$RALPH_ROOT/.ralph/supervisor.jsonc\"");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "2"});
    INFO(end.errors);
    CHECK(end.status == 0);
    CHECK(project.record(id)->lifecycle == core::Lifecycle::completed);
}

TEST_CASE("trust that is taken back while a worker is at work is lost for the steps that follow") {
    Project project;
    const std::string id = project.add("one", "echo one > one.txt; rm \"$RALPH_ROOT/.ralph/trust.jsonc\"");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "2"});
    INFO(end.errors);
    CHECK(end.status == 3);
    CHECK(project.record(id)->lifecycle == core::Lifecycle::failed);
    CHECK(project.record(id)->last_error.value_or("").find("not trusted any more") != std::string::npos);
}

TEST_CASE("a step that cannot begin says why, though its run directory is not there") {
    const Project project;
    daemon::ProgramRequest request;
    request.program = RALPH_BINARY_DIR "/ralph";
    request.arguments = {"step", "prepare"};
    request.directory = project.root();
    request.environment = {"RALPH_ROOT=" + project.root(), "RALPH_RUN_DIR=" + project.outside("nowhere")};
    const auto end = daemon::run_program(request).value();
    CHECK(end.status == 1);
    CHECK(end.errors.find("RALPH_TASK_ID is not set") != std::string::npos);
    CHECK(end.errors.find("nowhere") != std::string::npos);
}
