// Which ids are free, and what becomes of a task that bears the id of an earlier one.
#include <doctest/doctest.h>

#include <string>

#include "daemon/os/files.h"
#include "tests/support/project.h"

using namespace ralph;
using namespace ralph::tests;

namespace {

std::string next_id(const Project& project) {
    const auto end = project.ralph({"task", "add", "another", "--no-push", "--run", "true"});
    REQUIRE(end.status == 0);
    std::string id = end.output.substr(0, end.output.find('\n'));
    Project::write(project.root() + "/.ralph/queue.jsonc", R"({"version": 1, "tasks": []})");
    return id;
}

}  // namespace

TEST_CASE("ids: what is known anywhere of the repository is not given again") {
    const Project project;
    CHECK(next_id(project) == "RQ-0001");
    REQUIRE(daemon::make_directories(project.paths().runs_of("RQ-0001")).has_value());
    REQUIRE(daemon::make_directories(project.paths().runs() + "/.RQ-0002.removed").has_value());
    REQUIRE(daemon::make_directories(project.workspaces() + "/RQ-0003").has_value());
    REQUIRE(daemon::make_directories(project.workspaces() + "/.RQ-0004.broken-1").has_value());
    REQUIRE(daemon::make_directories(project.workspaces() + "/RQ-4294967295")
                .has_value());  // takes no others with it
    project.git(project.root(), {"update-ref", "refs/ralph/kept/RQ-0005/1", "HEAD"});
    project.git(project.root(), {"update-ref", "refs/ralph/landed/RQ-0006/2", "HEAD"});
    Project::write(project.paths().state(),
                   R"({"schema_version": 3, "started_at": "2026-02-20T00:00:00Z", "target_branch": "main",
                       "workers": [{"task_id": "RQ-0007", "workspace_path": "/x", "lifecycle": "failed",
                                    "started_at": "2026-02-20T00:00:00Z"}]})");
    CHECK(next_id(project) == "RQ-0008");
    Project::write(project.paths().state(), "{ broken");
    CHECK(next_id(project) == "RQ-0007");
}

TEST_CASE("ids: a task that bears the id of an earlier one inherits neither its runs nor its attempts") {
    Project project;
    REQUIRE(project.add("Old", "echo old > old.txt; exit 1") == "RQ-0001");
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    REQUIRE(project.wait() == 3);
    const std::string queue = project.root() + "/.ralph/queue.jsonc";
    Project::write(queue, R"({"version": 1, "tasks": [{"id": "RQ-0001", "status": "todo", "title": "New",
        "created_at": "2030-01-01T00:00:00Z", "updated_at": "2030-01-01T00:00:00Z",
        "custom_fields": {"run": "echo $RALPH_ATTEMPT > new.txt"}}]})");
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    CHECK(project.wait() == 0);
    CHECK(project.git(project.remote(), {"show", "main:new.txt"}) == "1\n");
    CHECK(project.log().find("makes room") != std::string::npos);
}
