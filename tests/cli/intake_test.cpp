// How tasks come in: added here, added in another clone, pushed while a supervisor runs, and not pushed at
// all.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <array>
#include <csignal>
#include <set>
#include <thread>

#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::daemon::ProgramEnd;
using ralph::tests::Project;

namespace {

std::string lines_of(const Project& project, const std::vector<std::string>& arguments) {
    return project.git(project.remote(), arguments);
}

// A clone of the remote, as a colleague has it.
std::string clone(const Project& project, const std::string& name) {
    const std::string place = project.outside(name);
    project.git(project.root(), {"clone", "-q", project.remote(), place});
    return place;
}

ProgramEnd add_in(const Project& project, const std::string& place, const std::string& title) {
    return project.ralph({"--repo", place, "task", "add", title, "--run", "true"});
}

void poll_every(const Project& project, const std::string& pause) {
    Project::write(project.paths().supervisor_config(), "{\"poll\": {\"remote\": \"" + pause + "\"}}\n");
    project.commit_and_push("settings");
}

bool is_completed(const Project& project, const std::string& id) {
    const auto record = project.record(id);
    return record && record->lifecycle == Lifecycle::completed;
}

}  // namespace

TEST_CASE("intake: a task goes onto the target branch at once, in a commit of the queue alone") {
    const Project project;
    Project::write(project.root() + "/untracked", "the user's own");
    const auto end = project.ralph({"task", "add", "First \u00fc 'x'", "--run", "true"});
    CHECK(end.output == "RQ-0001\n");
    CHECK(end.errors == "");
    CHECK(project.remote_subjects().front() == "ralph: add First \u00fc 'x'");
    CHECK(lines_of(project, {"show", "--format=", "--name-only", "main"}) == ".ralph/queue.jsonc\n");
    CHECK(project.git(project.root(), {"rev-parse", "HEAD"}) == lines_of(project, {"rev-parse", "main"}));
    CHECK(project.git(project.root(), {"status", "--porcelain"}) == "?? untracked\n");
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);  // it leaves nothing to land
}

TEST_CASE("intake: what the user has staged is in no commit of ours, and is there afterwards") {
    const Project project;
    Project::write(project.root() + "/README", "changed\n");
    project.git(project.root(), {"add", "README"});
    const auto end = project.ralph({"task", "add", "One", "--run", "true"});
    CHECK(end.output == "RQ-0001\n");
    CHECK(end.errors.find("RQ-0001 is on origin/main, and not yet in this checkout") != std::string::npos);
    CHECK(lines_of(project, {"show", "--format=", "--name-only", "main"}) == ".ralph/queue.jsonc\n");
    CHECK(project.git(project.root(), {"status", "--porcelain"}) == "M  README\n");
    CHECK(project.ralph({"task", "add", "Two", "--run", "true"}).output == "RQ-0002\n");
}

TEST_CASE("intake: who has changed the queue by hand publishes it, and nothing is pushed from beside that") {
    const Project project;
    REQUIRE(project.ralph({"task", "add", "Old", "--run", "true"}).succeeded());
    const std::string tip = lines_of(project, {"rev-parse", "main"});
    Project::write(project.root() + "/.ralph/queue.jsonc", R"({"version": 1, "tasks": []})");
    const bool committed = [] {
        bool found = false;
        SUBCASE("in the working tree") {}
        SUBCASE("and committed it") {
            found = true;
        }
        return found;
    }();
    if (committed) {
        project.git(project.root(), {"commit", "-q", "-a", "-m", "by hand"});
    }
    const auto end = project.ralph({"task", "add", "New", "--run", "echo n > new.txt"});
    CHECK(end.succeeded());
    CHECK(end.errors.find(".ralph/queue.jsonc has changes here that are not there") != std::string::npos);
    CHECK(lines_of(project, {"rev-parse", "main"}) == tip);
    project.commit_and_push("queue");
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(project.git(project.remote(), {"show", "main:new.txt"}) == "n\n");
}

TEST_CASE("intake: clones that add at the same time get different ids, and none is lost" *
          doctest::test_suite("as-built")) {
    const Project project;
    const std::array<std::string, 3> places{project.root(), clone(project, "second"),
                                            clone(project, "third")};
    for (const std::string& place : places) {
        REQUIRE(project.ralph({"--repo", place, "init", "--trust"}).succeeded());
    }
    constexpr int each = 4;
    std::array<std::vector<std::string>, 3> ids;
    std::vector<std::thread> people;
    for (std::size_t i = 0; i < places.size(); ++i) {
        people.emplace_back([&, i] {
            for (int k = 0; k < each; ++k) {
                const auto end = add_in(project, places.at(i), "from " + std::to_string(i));
                ids.at(i).push_back(end.succeeded() ? end.output : end.errors);
            }
        });
    }
    for (std::thread& person : people) {
        person.join();
    }
    std::set<std::string> different;
    for (const auto& list : ids) {
        different.insert(list.begin(), list.end());
    }
    CHECK(different.size() == places.size() * each);
    const std::string queue = lines_of(project, {"show", "main:.ralph/queue.jsonc"});
    for (const std::string& id : different) {
        CHECK(queue.find("\"id\": \"" + id.substr(0, id.find('\n')) + "\"") != std::string::npos);
    }
}

TEST_CASE("intake: a task that cannot be pushed waits until it is, and the way out works as it is told" *
          doctest::test_suite("as-built")) {
    const Project project;
    project.git(project.root(), {"remote", "set-url", "origin", project.outside("gone.git")});
    const auto end = project.ralph({"task", "add", "Say hello", "--run", "echo hello > hello"});
    CHECK(end.output == "RQ-0001\n");
    CHECK(end.errors.find("RQ-0001 waits until origin/main holds it: origin cannot be reached") !=
          std::string::npos);
    const std::size_t advice = end.errors.find("git add ");
    REQUIRE(advice != std::string::npos);
    project.git(project.root(), {"remote", "set-url", "origin", project.remote()});
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    const auto waiting = project.record("RQ-0001");
    REQUIRE(waiting.has_value());
    CHECK(waiting->lifecycle == Lifecycle::running);
    CHECK(waiting->last_error.value_or("").rfind("waits: RQ-0001 is not in .ralph/queue.jsonc on origin/main",
                                                 0) == 0);
    ralph::daemon::ProgramRequest request;
    request.program = "/bin/sh";
    request.arguments = {"-c", end.errors.substr(advice)};
    request.directory = project.root();
    request.environment = project.environment();
    CHECK(ralph::daemon::run_program(request)->succeeded());
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(project.git(project.remote(), {"show", "main:hello"}) == "hello\n");
}

TEST_CASE("intake: what a remote refuses stays here, and its words are told") {
    const Project project;
    const std::string hook = project.remote() + "/hooks/pre-receive";
    Project::write(hook, "#!/bin/sh\necho 'only by review' >&2\nexit 1\n");
    REQUIRE(::chmod(hook.c_str(), 0755) == 0);
    const std::string before = lines_of(project, {"rev-parse", "main"});
    const auto end = project.ralph({"task", "add", "One", "--run", "true"});
    CHECK(end.output == "RQ-0001\n");
    CHECK(end.errors.find("only by review") != std::string::npos);
    CHECK(lines_of(project, {"rev-parse", "main"}) == before);
    CHECK(Project::read(project.root() + "/.ralph/queue.jsonc").find("RQ-0001") != std::string::npos);
}

TEST_CASE("intake: a dependency that names no task is refused, and nothing is added") {
    const Project project;
    const std::string before = project.snapshot();
    const std::string tip = lines_of(project, {"rev-parse", "main"});
    const auto end = project.ralph({"task", "add", "One", "--run", "true", "--depends-on", "RQ-9999"});
    CHECK(end.status == 1);
    CHECK(end.errors.find("not added: --depends-on RQ-9999 names no task") != std::string::npos);
    CHECK(project.snapshot() == before);
    CHECK(lines_of(project, {"rev-parse", "main"}) == tip);
}

TEST_CASE("intake: a task that is pushed from elsewhere is noticed by a supervisor that has nothing to do" *
          doctest::test_suite("as-built")) {
    Project project;
    struct Way {
        const char* pause;
        const char* ask;  // how the supervisor is asked to look
    };
    const auto way = [] {
        Way found{"0", "signal"};
        SUBCASE("by itself") {
            found = {"1s", ""};
        }
        SUBCASE("at once by `ralph notify`") {
            found = {"0", "notify"};
        }
        SUBCASE("at once by a signal") {
            found = {"0", "signal"};
        }
        return found;
    }();
    poll_every(project, way.pause);
    const std::string colleague = clone(project, "colleague");
    REQUIRE(project.ralph({"--repo", colleague, "init", "--trust"}).succeeded());
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return project.log().find("workers on") != std::string::npos; }));
    REQUIRE(project.ralph({"--repo", colleague, "task", "add", "Hi", "--run", "echo hi > hi"}).succeeded());
    if (std::string(way.ask) == "notify") {
        CHECK(project.ralph({"notify"}).succeeded());
    } else if (std::string(way.ask) == "signal") {
        project.signal(SIGUSR1);
    }
    CHECK(Project::eventually([&] { return is_completed(project, "RQ-0001"); }));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("intake: without a supervisor, notify says so") {
    const Project project;
    const auto end = project.ralph({"notify"});
    CHECK(end.status == 1);
    CHECK(end.errors.find("no supervisor runs here") != std::string::npos);
}

TEST_CASE("intake: a remote that cannot be reached is told once, and again when it can be") {
    Project project;
    poll_every(project, "1s");
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually(
        [&] { return Project::read(project.paths().remote_view()).find("tip") != std::string::npos; }));
    project.git(project.root(), {"remote", "set-url", "origin", project.outside("gone.git")});
    CHECK(Project::eventually(
        [&] { return project.log().find("origin cannot be reached: ") != std::string::npos; }));
    const std::string said = "origin cannot be reached, since ";
    CHECK(project.ralph({"status"}).output.find("! " + said) != std::string::npos);
    CHECK(project.ralph({"doctor"}).output.find(said) != std::string::npos);
    project.git(project.root(), {"remote", "set-url", "origin", project.remote()});
    CHECK(Project::eventually(
        [&] { return project.log().find("origin can be reached again") != std::string::npos; }));
    const std::string log = project.log();
    const std::size_t first = log.find("origin cannot be reached: ");
    CHECK(log.find("origin cannot be reached: ", first + 1) == std::string::npos);
    CHECK(project.ralph({"status"}).output.find(said) == std::string::npos);

    Project::write(project.root() + "/README", "staged\n");
    project.git(project.root(), {"add", "README"});
    const std::string colleague = clone(project, "colleague");
    REQUIRE(project.ralph({"--repo", colleague, "init", "--trust"}).succeeded());
    REQUIRE(add_in(project, colleague, "from elsewhere").succeeded());
    CHECK(Project::eventually([&] {
        return project.ralph({"status"}).output.find("it has uncommitted changes in README") !=
               std::string::npos;
    }));
    project.signal(SIGTERM);
    project.wait();
}

TEST_CASE("intake: git merges the queue task by task, in clones that know ralph") {
    Project project;
    project.add_to_environment({"PATH=" RALPH_BINARY_DIR ":/usr/local/bin:/usr/bin:/bin"});
    project.git(project.root(), {"add", "-A"});
    project.git(project.root(), {"commit", "-q", "--allow-empty", "-m", "ralph"});
    project.git(project.root(), {"push", "-q", "origin", "HEAD:main"});
    const std::string other = clone(project, "other");
    REQUIRE(project.ralph({"--repo", other, "init", "--trust"}).succeeded());
    REQUIRE(project.ralph({"--repo", other, "task", "add", "Old", "--run", "true"}).succeeded());
    project.git(project.root(), {"pull", "-q", "--rebase"});
    // Neighbours in the file, which lines cannot merge: one is archived here, one added there.
    REQUIRE(project.ralph({"task", "done", "RQ-0001", "--no-push"}).succeeded());
    project.git(project.root(), {"commit", "-q", "-a", "-m", "done here"});
    REQUIRE(project.ralph({"--repo", other, "task", "add", "New", "--run", "true"}).succeeded());
    project.git(project.root(), {"pull", "-q", "--no-rebase", "--no-edit"});
    CHECK(project.git(project.root(), {"status", "--porcelain"}).empty());
    const std::string listed = project.ralph({"queue", "list"}).output;
    CHECK(listed.find("RQ-0002") != std::string::npos);
    CHECK(listed.find("RQ-0001") == std::string::npos);
    CHECK(project.ralph({"queue", "validate"}).output.find("1 open, 1 done") != std::string::npos);
}
