// `ralph kept` as people and programs use it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/jsonc.h"
#include "tests/support/notes.h"
#include "tests/support/project.h"
#include "tests/support/text.h"

using ralph::tests::contains;
using ralph::tests::Project;

namespace {

// Two pieces of work of RQ-0001: one that was kept long ago, and one of now with a commit and a change that
// was not committed.
void keep(const Project& project) {
    const std::string script =
        "set -e; base=$(git rev-parse HEAD); tree() { echo \"$1\" > README; git add README; git write-tree; "
        "}\n"
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c\n"
        "one=$(tree one); two=$(tree two); three=$(tree three)\n"
        "git update-ref refs/ralph/kept/RQ-0001/1 $(GIT_COMMITTER_DATE=2001-01-01T00:00:00Z git commit-tree "
        "$one -p $base -m 'ralph: kept work of RQ-0001')\n"
        "mine=$(git commit-tree $two -p $base -m 'Half of it')\n"
        "git update-ref refs/ralph/kept/RQ-0001/2 $(printf 'ralph: kept work of RQ-0001\\n\\nBase: %s\\n' "
        "$base | "
        "git commit-tree $three -p $mine)\n"
        "git reset -q --hard $base\n";
    ralph::daemon::ProgramRequest request;
    request.program = "sh";
    request.arguments = {"-c", script};
    request.directory = project.root();
    request.environment = project.environment();
    const auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    CAPTURE(end->errors);
    REQUIRE(end->succeeded());
}

std::string refs(const Project& project) {
    return project.git(project.root(), {"for-each-ref", "--format=%(refname)"});
}

}  // namespace

TEST_CASE("kept list and show say what there is") {
    const Project project;
    const auto nothing = project.ralph({"kept", "list"});
    CHECK(nothing.status == 0);
    CHECK(contains(nothing.output, "nothing is kept"));
    keep(project);
    const auto list = project.ralph({"kept", "list"});
    CHECK(list.status == 0);
    CHECK(contains(list.output, "RQ-0001/1  2001-01-01 00:00"));
    CHECK(contains(list.output, "  2001-01-15 00:00"));
    CHECK(contains(list.output, "1 + changes"));

    auto document =
        ralph::core::JsonDocument::parse(project.ralph({"kept", "list", "--json"}).output, "json");
    REQUIRE(document.has_value());
    CHECK(document->root().at("version").as_int64() == 1);
    const auto& kept = document->root().at("kept").as_array();
    REQUIRE(kept.size() == 2);
    CHECK(kept.at(0).at("prune_after").as_string() == "2001-01-15T00:00:00.000000000Z");
    CHECK(kept.at(0).at("commits").as_int64() == 0);
    CHECK(kept.at(1).at("task_id").as_string() == "RQ-0001");
    CHECK(kept.at(1).at("number").as_int64() == 2);
    CHECK(kept.at(1).at("commits").as_int64() == 1);
    CHECK(kept.at(1).at("uncommitted").as_bool());
    CHECK(kept.at(1).at("files").as_int64() == 1);
    CHECK(kept.at(1).at("base").as_string() ==
          project.git(project.root(), {"rev-parse", "HEAD"}).substr(0, 40));

    const auto show = project.ralph({"kept", "show", "RQ-0001"});
    CHECK(show.status == 0);
    CHECK(contains(show.output, "refs/ralph/kept/RQ-0001/2\n"));
    CHECK(contains(show.output, "Half of it"));
    CHECK(contains(show.output, "README | 2 +-"));
    CHECK_FALSE(contains(show.output, "+three"));
    CHECK(contains(project.ralph({"kept", "show", "RQ-0001", "--patch"}).output, "+three\n"));
    CHECK(contains(project.ralph({"kept", "show", "RQ-0001/1", "--patch"}).output, "+one\n"));
}

TEST_CASE("kept restore makes a branch and touches nothing else") {
    const Project project;
    keep(project);
    Project::write(project.root() + "/README", "being edited\n");
    const auto restored = project.ralph({"kept", "restore", "RQ-0001"});
    CHECK(restored.status == 0);
    CHECK(contains(restored.output, "next: git switch kept/RQ-0001/2\n"));
    CHECK(project.git(project.root(), {"rev-parse", "refs/heads/kept/RQ-0001/2"}) ==
          project.git(project.root(), {"rev-parse", "refs/ralph/kept/RQ-0001/2"}));
    CHECK(Project::read(project.root() + "/README") == "being edited\n");
    CHECK(project.git(project.root(), {"symbolic-ref", "HEAD"}) == "refs/heads/main\n");
    CHECK(project.ralph({"kept", "restore", "RQ-0001/1", "--branch", "old"}).status == 0);
    const std::string before = refs(project);
    const std::string main = project.git(project.root(), {"rev-parse", "main"});
    for (const char* name : {"main", "old", "-x", "a..b", "x.lock", "@{-1}", "main/below"}) {
        CAPTURE(name);
        const auto refused = project.ralph({"kept", "restore", "RQ-0001", std::string("--branch=") + name});
        CHECK(refused.status == 1);
        CHECK(contains(refused.errors, "choose another"));
    }
    CHECK(refs(project) == before);
    CHECK(project.git(project.root(), {"rev-parse", "main"}) == main);
}

TEST_CASE("kept prune removes what it may, and says so") {
    const Project project;
    keep(project);
    const auto would = project.ralph({"kept", "prune", "--dry-run"});
    CHECK(contains(would.output, "would remove refs/ralph/kept/RQ-0001/1"));
    CHECK_FALSE(contains(would.output, "RQ-0001/2"));
    CHECK(contains(refs(project), "RQ-0001/1"));
    SUBCASE("after its retention") {
        CHECK(contains(project.ralph({"kept", "prune"}).output, "noted refs/ralph/kept/RQ-0001/1"));
        CHECK(contains(refs(project), "RQ-0001/1"));
        ralph::tests::age_notes(project.paths(), "kept");
        CHECK(contains(project.ralph({"kept", "prune"}).output, "removed refs/ralph/kept/RQ-0001/1"));
        CHECK_FALSE(contains(refs(project), "RQ-0001/1"));
        CHECK(contains(refs(project), "RQ-0001/2"));
        CHECK(contains(project.ralph({"kept", "prune"}).output, "nothing is old enough"));
    }
    SUBCASE("after an age") {
        CHECK(contains(project.ralph({"kept", "prune", "--older-than", "3650d"}).output, "RQ-0001/1"));
        CHECK(contains(refs(project), "RQ-0001/2"));
    }
    SUBCASE("all of a task") {
        project.git(project.root(), {"update-ref", "refs/ralph/kept/RQ-0002/1", "HEAD"});
        CHECK(project.ralph({"kept", "prune", "--all", "RQ-0001"}).status == 0);
        CHECK_FALSE(contains(refs(project), "RQ-0001"));
        CHECK(contains(refs(project), "RQ-0002"));
    }
    SUBCASE("nothing for a wrong duration") {
        CHECK(project.ralph({"kept", "prune", "--older-than", "soon"}).status == 1);
        CHECK(project.ralph({"kept", "prune", "--older-than", "1d", "--all"}).status == 2);
        CHECK(contains(refs(project), "RQ-0001/1"));
    }
}

TEST_CASE("what kept commands are given is a name and never a path or a ref") {
    const Project project;
    keep(project);
    project.git(project.root(), {"update-ref", "refs/ralph/secret/1", "HEAD"});
    const std::string before = refs(project);
    for (const char* name :
         {"RQ-0009", "RQ-0001/3", "RQ-0001/0", "RQ-0001/x", "RQ-0001/", "../secret/1", "../secret",
          "RQ-0001/../../secret/1", ".", "", "RQ-0001/1^", "--all/1", "RQ-0001/1/1"}) {
        CAPTURE(name);
        for (const std::vector<std::string>& command :
             {std::vector<std::string>{"kept", "show"}, {"kept", "restore"}, {"kept", "prune", "--all"}}) {
            auto arguments = command;
            if (command.size() == 3 && std::string_view(name).empty()) {
                continue;  // no task at all
            }
            arguments.insert(arguments.end(), {"--", name});
            const auto end = project.ralph(arguments);
            CAPTURE(end.output);
            CHECK(end.status == 1);
            CHECK(contains(end.errors, "ralph kept list"));
        }
    }
    CHECK(refs(project) == before);
}

TEST_CASE("an answer that cannot be written is an error") {
    const Project project;
    ralph::daemon::ProgramRequest request;
    request.program = "sh";
    request.directory = project.root();
    request.environment = project.environment();
    for (const char* command : {"kept list", "queue list", "queue validate", "run parallel status --json",
                                "doctor", "--version", "kept --help"}) {
        CAPTURE(command);
        request.arguments = {"-c", std::string(RALPH_BINARY_DIR) + "/ralph " + command + " > /dev/full"};
        const auto end = ralph::daemon::run_program(request);
        REQUIRE(end.has_value());
        CHECK(end->status == 1);
        CHECK(contains(end->errors, "No space left on device"));
    }
    // A reader that has seen enough is none.
    request.arguments = {"-c", std::string(RALPH_BINARY_DIR) + "/ralph queue list | true"};
    CHECK(ralph::daemon::run_program(request)->errors.empty());
}

TEST_CASE("clean: logs of tasks that nothing knows any more go after their time, others stay") {
    const Project project;
    project.add("open", "true");
    const auto log_of = [&](const std::string& name) { return project.paths().logs() + "/" + name; };
    const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    for (const char* const name :
         {"RQ-0001.log", "RQ-0077.log", "RQ-0077.log.1", "RQ-0078.log", "notes.txt"}) {
        Project::write(log_of(name), "text");
        if (std::string(name) != "RQ-0078.log") {
            REQUIRE(::utimensat(AT_FDCWD, log_of(name).c_str(), long_ago, 0) == 0);
        }
    }
    const auto would = project.ralph({"clean", "--dry-run"});
    CHECK(would.status == 0);
    CHECK(contains(would.output, "would remove " + log_of("RQ-0077.log.1")));
    CHECK(Project::read(log_of("RQ-0077.log")) == "text");
    CHECK(project.ralph({"clean"}).status == 0);
    CHECK(Project::read(log_of("RQ-0077.log")).empty());
    CHECK(Project::read(log_of("RQ-0077.log.1")).empty());
    for (const char* const name : {"RQ-0001.log", "RQ-0078.log", "notes.txt"}) {
        CAPTURE(name);
        CHECK(Project::read(log_of(name)) == "text");
    }
}
