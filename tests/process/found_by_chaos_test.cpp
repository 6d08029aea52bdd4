// What ralph-chaos and ralph-crash found, each as a test of its own.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::core::StepKind;
using ralph::tests::Project;
namespace fs = std::filesystem;

// Seed 22: the discard step was killed when it had renamed the workspace and removed half of it.
TEST_CASE("half a workspace that was left by a killed discard step is removed by the next start") {
    const Project project;
    project.add("lands", "echo x > x.txt");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 0);
    const std::string half = project.workspaces() + "/.RQ-0001.discarded";
    Project::write(half + "/.git/description", "half");
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(!fs::exists(half));
}

// Seed 11: a failed task of an earlier session was retried, failed again, and then the supervisor was killed.
TEST_CASE("what was retried and failed before a crash is not tried again in the same session") {
    const Project project;
    project.add("fails", "echo x >> '" + project.outside("ledger") + "'; exit 7");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 3);
    const auto record = project.record("RQ-0001");
    REQUIRE(record.has_value());
    // As a crash leaves it: a session that began after the task, and before its end.
    Project::write(project.paths().supervisor_lock(),
                   "pid: 999999999\nstarted_at: " + *record->completed_at +
                       "\nlabel: run loop\nsession_started_at: " + *record->completed_at + "\n");
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(Project::read(project.outside("ledger")) == "x\n");
    // The session is over now; the next one tries again what failed.
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(Project::read(project.outside("ledger")) == "x\nx\n");
}

// ralph-crash, integrate, before it renames its outcome.
TEST_CASE("what a killed step was writing is no partial file of its run") {
    const Project project;
    project.add("dies", "echo half > \"$RALPH_RUN_DIR/outcome.json.new\"; kill -9 $$");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 3);
    const std::string run = project.paths().run("RQ-0001", ralph::core::Run{StepKind::work, 2, 1});
    CHECK(fs::exists(run + "/exit.json"));
    CHECK(!fs::exists(run + "/outcome.json.new"));
}
