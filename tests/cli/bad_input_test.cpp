// Bad input gets one clear line that names the place and the remedy, exit code 1 or 2, and changes nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/project.h"

using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> run{"run", "--parallel", "2"};

// Runs ralph and checks the promise; `says` are pieces of the one line.
void refuse(const Project& project, const std::vector<std::string>& arguments, int status,
            const std::vector<std::string>& says) {
    const std::string before = project.snapshot();
    const auto end = project.ralph(arguments);
    CAPTURE(end.errors);
    CHECK(end.status == status);
    CHECK(end.output.empty());
    for (const std::string& piece : says) {
        CAPTURE(piece);
        CHECK(end.errors.find(piece) != std::string::npos);
    }
    if (status == 1) {
        CHECK(std::count(end.errors.begin(), end.errors.end(), '\n') == 1);
    }
    CHECK(project.snapshot() == before);
    CHECK(!fs::exists(project.workspaces()));
}

std::string queue_with(const std::string& tasks) {
    return "{\"version\": 1, \"tasks\": [" + tasks + "]}";
}

std::string task(const std::string& id, const std::string& more = "") {
    return R"({"id": ")" + id +
           R"(", "title": "t", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
               "custom_fields": {"run": "true"})" +
           more + "}";
}

}  // namespace

TEST_CASE("queue files that cannot be used") {
    const Project project;
    const std::string queue = project.root() + "/.ralph/queue.jsonc";
    SUBCASE("broken JSONC") {
        Project::write(queue, "{\n  \"version\": 1,\n  \"tasks\": [}\n");
        refuse(project, run, 1, {queue + ":3:13:"});
    }
    SUBCASE("unknown key") {
        Project::write(queue, "{\"version\": 1,\n \"task\": []}");
        refuse(project, run, 1, {queue + ":2:2:", "`task`", "did you mean \"tasks\"?"});
    }
    SUBCASE("dependency cycle") {
        Project::write(queue, queue_with(task("RQ-0001", R"(, "depends_on": ["RQ-0002"])") + "," +
                                         task("RQ-0002", R"(, "depends_on": ["RQ-0001"])")));
        refuse(project, run, 1, {"RQ-0001", "RQ-0002", "circle"});
    }
    SUBCASE("duplicate id") {
        Project::write(queue, queue_with(task("RQ-0001") + "," + task("RQ-0001")));
        refuse(project, run, 1, {"RQ-0001"});
    }
    SUBCASE("a task id that is a path") {
        Project::write(queue, queue_with(task("../../x")));
        refuse(project, run, 1, {"../../x"});
    }
    SUBCASE("an untrusted command") {
        Project::write(queue, queue_with(task("RQ-0001")));
        fs::remove(project.paths().trust());
        Project::write(project.paths().config(), "{}");
        refuse(project, run, 1, {"RQ-0001", "not trusted", "ralph init --trust"});
    }
    SUBCASE("no command at all") {
        Project::write(queue,
                       queue_with(R"({"id": "RQ-0001", "title": "t", "created_at": "2026-01-01T00:00:00Z",
                                             "updated_at": "2026-01-01T00:00:00Z"})"));
        refuse(project, run, 1, {"RQ-0001", "worker.command"});
    }
    SUBCASE("missing") {
        fs::remove(queue);
        refuse(project, run, 1, {queue, "git tracks it", "git checkout HEAD -- .ralph"});
        project.commit_and_push();
        refuse(project, run, 1, {queue, "ralph init"});
    }
    SUBCASE("validate says the same") {
        Project::write(queue, "{\"version\": 2, \"tasks\": []}");
        refuse(project, {"queue", "validate"}, 1, {"version"});
    }
    SUBCASE("a dependency that does not exist") {
        refuse(project, {"task", "add", "x", "--run", "true", "--depends-on", "RQ-0009"}, 1, {"RQ-0009"});
    }
}

TEST_CASE("settings that cannot be used") {
    const Project project;
    SUBCASE("unknown key in config.jsonc") {
        Project::write(project.paths().config(), "{\n  \"parallel\": {\"worker\": 3}\n}");
        refuse(project, run, 1, {"config.jsonc:2:16:", "`parallel.worker`", "workers"});
    }
    SUBCASE("unknown key in supervisor.jsonc") {
        Project::write(project.paths().supervisor_config(), "{\"max_restart\": 3}");
        refuse(project, run, 1, {"supervisor.jsonc:1:2:", "max_restarts"});
    }
    SUBCASE("a command in an untrusted repository") {
        fs::remove(project.paths().trust());
        Project::write(project.paths().config(), "{}");
        Project::write(project.paths().supervisor_config(), R"({"worker": {"command": ["sh"]}})");
        refuse(project, run, 1, {"supervisor.jsonc:1:", "worker.command", "ralph init --trust"});
    }
    SUBCASE("workspaces inside the repository, not ignored") {
        Project::write(
            project.paths().config(),
            R"({"agent": {"ci_gate": {"enabled": false}}, "parallel": {"workspace_root": "here"}})");
        refuse(project, run, 1, {"here", ".gitignore"});
    }
    SUBCASE("workspaces in the repository itself") {
        Project::write(project.paths().config(),
                       R"({"agent": {"ci_gate": {"enabled": false}}, "parallel": {"workspace_root": "."}})");
        refuse(project, run, 1, {"holds the repository"});
    }
}

TEST_CASE("repositories that cannot be used") {
    const Project project;
    SUBCASE("no origin") {
        project.git(project.root(), {"remote", "remove", "origin"});
        refuse(project, run, 1, {"origin", "git remote add"});
    }
    SUBCASE("detached HEAD") {
        project.git(project.root(), {"checkout", "-q", "--detach"});
        refuse(project, run, 1, {"detached", "git checkout"});
    }
    SUBCASE("uncommitted changes") {
        Project::write(project.root() + "/README", "changed");
        refuse(project, run, 1, {"README", "--force"});
    }
    SUBCASE("no repository at all") {
        refuse(project, {"run", "--parallel", "2", "--repo", project.folder().path()}, 1, {"git"});
    }
    SUBCASE("a cache folder that cannot be written") {
        Project::write(project.paths().cache(), "a file in its place");
        refuse(project, run, 1, {project.paths().cache()});
    }
    SUBCASE("a queue lock that somebody holds") {
        fs::create_directories(project.paths().runs());
        fs::create_directories(project.paths().retry_requests());
        fs::create_directories(project.paths().logs());
        Project::write(project.paths().queue_lock() + "/owner", "pid: 1\nlabel: task edit\n");
        const auto end = project.ralph(run);
        CHECK(end.status == 1);
        CHECK(end.errors.find("Queue lock already held at:") != std::string::npos);
        CHECK(Project::read(project.paths().queue_lock() + "/owner") == "pid: 1\nlabel: task edit\n");
    }
}

TEST_CASE("a state that cannot be used") {
    const Project project;
    SUBCASE("unknown lifecycle") {
        Project::write(project.paths().state(), R"({"schema_version": 3, "workers": [
            {"task_id": "RQ-0001", "workspace_path": "/x", "started_at": "x", "lifecycle": "walking"}]})");
        const auto end = project.ralph(run);
        CHECK(end.status == 1);
        CHECK(end.errors.find("state.json:2:") != std::string::npos);
        CHECK(end.errors.find("walking") != std::string::npos);
        CHECK(project.ralph({"run", "parallel", "status"}).status == 1);
    }
    SUBCASE("a task id that is a path") {
        Project::write(project.paths().state(), R"({"schema_version": 3, "target_branch": "main", "workers": [
            {"task_id": "../../x", "workspace_path": "/x", "started_at": "x", "lifecycle": "completed"}]})");
        const auto end = project.ralph(run);
        CHECK(end.status == 1);
        CHECK(end.errors.find("../../x") != std::string::npos);
    }
    SUBCASE("work in progress on another branch") {
        Project::write(project.paths().state(),
                       R"({"schema_version": 3, "target_branch": "other", "workers": [
            {"task_id": "RQ-0001", "workspace_path": "/x", "started_at": "x", "lifecycle": "running"}]})");
        const auto end = project.ralph(run);
        CHECK(end.status == 1);
        CHECK(end.errors.find("target branch") != std::string::npos);
        CHECK(end.errors.find("does not match") != std::string::npos);
    }
}

TEST_CASE("wrong usage") {
    const Project project;
    for (const char* number : {"0", "256", "1000", "-2", "two", "2.5"}) {
        CAPTURE(number);
        refuse(project, {"run", std::string("--parallel=") + number}, 2, {"--parallel"});
    }
    refuse(project, {"run"}, 2, {"--parallel N"});
    refuse(project, {"run", "--parallel", "2", "--unknown"}, 2, {"--unknown"});
    refuse(project, {"run", "parallel", "retry"}, 2, {"--task"});
    refuse(project, {"unknown"}, 2, {"unknown"});
    refuse(project, {"task", "add"}, 2, {"TITLE"});
    refuse(project, {"run", "parallel", "retry", "--task", "RQ-0001"}, 1, {"RQ-0001"});
    refuse(project, {"run", "parallel", "retry", "--task", "../../x"}, 1, {"../../x"});
}
