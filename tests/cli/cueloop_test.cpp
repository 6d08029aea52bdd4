// A repository of cueloop's: its folder is used as .ralph is, with cueloop's defaults.
#include <doctest/doctest.h>

#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// As cueloop leaves one: its folder is tracked, and holds a queue.
void make_cueloops(const Project& project) {
    fs::remove_all(project.root() + "/.ralph");
    Project::write(project.root() + "/.gitignore", "");
    const std::string folder = project.root() + "/.cueloop";
    Project::write(folder + "/queue.jsonc", R"({"version": 1, "tasks": []})");
    Project::write(folder + "/done.jsonc", R"({"version": 1, "tasks": []})");
    Project::write(folder + "/config.jsonc", R"({"version": 2})");
    REQUIRE(project.ralph({"init", "--trust"}).succeeded());
    project.commit_and_push("cueloop");
}

}  // namespace

TEST_CASE("cueloop: its folder is found and used, from the queue to the logs" *
          doctest::test_suite("as-built")) {
    Project project;
    make_cueloops(project);
    CHECK_FALSE(fs::exists(project.root() + "/.ralph"));
    CHECK(has(Project::read(project.root() + "/.gitignore"), ".cueloop/cache/\n"));
    CHECK(project.ralph({"task", "add", "One", "--run", "echo x > x; test -d .cueloop && ! test -e .ralph"})
              .output == "CL-0001\n");
    CHECK(
        project
            .ralph(
                {"task", "add", "Blocked", "--run",
                 "mkdir -p .cueloop/cache/parallel; printf '{\"task_id\": \"CL-0002\", \"reason\": \"mine\", "
                 "\"attempt\": 1, \"max_attempts\": 2, \"generated_at\": \"2026-01-01T00:00:00Z\"}' > "
                 ".cueloop/cache/parallel/blocked_push.json; exit 1"})
            .output == "CL-0002\n");
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(project.git(project.remote(), {"show", "main:x"}) == "x\n");
    CHECK(has(project.git(project.remote(), {"show", "main:.cueloop/done.jsonc"}), "CL-0001"));
    const std::string parallel = project.root() + "/.cueloop/cache/parallel";
    CHECK(has(Project::read(parallel + "/state.json"), "blocked_push"));
    CHECK(has(Project::read(project.root() + "/.cueloop/logs/parallel/CL-0001.log"), "work run"));
    CHECK_FALSE(fs::exists(project.root() + "/.ralph"));
    const auto status = project.ralph({"status"});
    CHECK(has(status.output, "CL-0002"));
    CHECK(has(status.output, "mine"));
    CHECK(project.ralph({"doctor"}).status == 0);
    CHECK(project.git(project.root(), {"status", "--porcelain"}).empty());
}

TEST_CASE("cueloop: both folders are refused, and nothing is changed") {
    const Project project;
    fs::create_directories(project.root() + "/.cueloop");
    Project::write(project.root() + "/.cueloop/queue.jsonc", "{}");
    const std::string before = project.snapshot();
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"status"}, {"run", "--parallel"}, {"task", "add", "x"}, {"init"}}) {
        const auto end = project.ralph(command);
        CHECK(end.status == 1);
        CHECK(has(end.errors, "holds both .ralph and .cueloop"));
    }
    CHECK(project.snapshot() == before);
}

TEST_CASE("cueloop: a trust file that git tracks is no permission there either") {
    Project project;
    make_cueloops(project);
    Project::write(project.root() + "/.gitignore", "");
    project.git(project.root(), {"add", "-f", ".cueloop/trust.jsonc"});
    project.git(project.root(), {"commit", "-q", "-m", "trust"});
    const auto end = project.ralph({"queue", "list"});
    CHECK(has(end.errors, "git tracks it"));
}

TEST_CASE("cueloop: what git carries of a supervisor's own places there is refused, and no worker lands it") {
    Project project;
    make_cueloops(project);
    const std::string file = ".cueloop/cache/parallel/state.json";
    Project::write(project.root() + "/" + file, "theirs");
    project.git(project.root(), {"add", "-f", file});
    const auto end = project.ralph({"run", "--parallel", "1"});
    CHECK(end.status == 1);
    CHECK(has(end.errors, "/.cueloop/cache/parallel: git tracks it"));
    project.git(project.root(), {"rm", "-q", "-f", file});
    REQUIRE(project
                .ralph({"task", "add", "smuggles", "--run",
                        "mkdir -p .cueloop/cache/parallel; echo '{}' > " + file + "; git add -f " + file +
                            "; git commit -q -m smuggled"})
                .succeeded());
    CHECK(project.ralph({"run", "--parallel", "1"}).status == 3);
    CHECK(has(Project::read(project.root() + "/.cueloop/cache/parallel/state.json"), "supervisor's own"));
    CHECK_FALSE(has(project.git(project.remote(), {"ls-tree", "-r", "--name-only", "main"}), file));
}
