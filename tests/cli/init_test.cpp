// ralph init beside what is there already, in the working tree or only in git.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/project.h"

using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

bool says(const std::string& text, const std::string& piece) {
    return text.find(piece) != std::string::npos;
}

}  // namespace

TEST_CASE("init makes no empty queue over one that git tracks and that is not checked out") {
    Project project;
    project.add("one", "echo 1 > one");
    project.commit_and_push();
    const std::string queue = project.root() + "/.ralph/queue.jsonc";
    const std::string ralph = project.root() + "/.ralph";
    SUBCASE("a sparse checkout") {
        Project::write(project.root() + "/kept/file", "x");
        project.commit_and_push();
        project.git(project.root(), {"sparse-checkout", "set", "--cone", "kept"});
        fs::remove_all(ralph);
    }
    SUBCASE("removed by hand") {
        fs::remove_all(ralph);
    }
    SUBCASE("removed from the index, too") {
        project.git(project.root(), {"rm", "-r", "-q", "--cached", ".ralph"});
        fs::remove_all(ralph);
    }
    SUBCASE("only the queue") {
        fs::remove(queue);
    }
    REQUIRE(!fs::exists(queue));
    for (const std::vector<std::string>& command : {std::vector<std::string>{"init"}, {"init", "--trust"}}) {
        const auto end = project.ralph(command);
        CHECK(end.status == 1);
        CHECK(says(end.errors, "queue.jsonc: git tracks it"));
        CHECK(says(end.errors, "git sparse-checkout add .ralph"));
        CHECK(!fs::exists(queue));
    }
    for (const std::vector<std::string>& command : {std::vector<std::string>{"queue", "list"},
                                                    {"task", "add", "x", "--run", "true"},
                                                    {"run", "--parallel", "2"}}) {
        const auto end = project.ralph(command);
        CAPTURE(end.errors);
        CHECK(end.status == 1);
        CHECK(says(end.errors, "git tracks it"));
        CHECK_FALSE(says(end.errors, "make one with"));
    }
    const auto doctor = project.ralph({"doctor"});
    CHECK(doctor.status == 4);
    CHECK(says(doctor.output, "git tracks it"));
}

TEST_CASE("init copies nothing into .gitignore that a link leads to") {
    Project project;
    Project::write(project.outside("secret"), "secret");
    fs::remove(project.root() + "/.gitignore");
    fs::create_symlink(project.outside("secret"), project.root() + "/.gitignore");
    const auto end = project.ralph({"init"});
    CHECK(end.status == 1);
    CHECK(says(end.errors, ".gitignore: is no regular file"));
    CHECK(fs::is_symlink(project.root() + "/.gitignore"));
}

TEST_CASE("init --trust beside the queue of another tool writes what init would") {
    Project project;
    for (const std::string& path :
         {project.paths().config(), project.paths().supervisor_config(), project.paths().trust()}) {
        fs::remove(path);
    }
    fs::remove(project.root() + "/.ralph/done.jsonc");
    project.commit_and_push();
    const std::string queue = Project::read(project.root() + "/.ralph/queue.jsonc");
    CHECK(project.ralph({"init"}).status == 0);
    CHECK(!fs::exists(project.paths().config()));
    CHECK(!fs::exists(project.paths().trust()));
    const auto end = project.ralph({"init", "--trust"});
    CHECK(end.status == 0);
    CHECK(says(end.output, "this repository is trusted"));
    CHECK(says(Project::read(project.paths().config()), "ci_gate"));
    CHECK(says(Project::read(project.paths().supervisor_config()), "worker"));
    CHECK(Project::read(project.root() + "/.ralph/queue.jsonc") == queue);
    CHECK(says(project.ralph({"init", "--trust"}).output, "everything is there already"));
}
