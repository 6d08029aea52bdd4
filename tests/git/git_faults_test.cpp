// git's bad days, seen from outside: locks, killed rebases, lost objects, remotes that do not answer,
// workspaces that somebody removes. A task lands once or says why not, and nothing is lost on the way.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "daemon/landing/integrate.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/project.h"
#include "tests/support/text.h"

using ralph::core::Lifecycle;
using ralph::tests::contains;
using ralph::tests::GitFixture;
using ralph::tests::Project;
namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

namespace {

const std::string archived = "ralph: archive RQ-0001 queue bookkeeping";

void without_pauses(const Project& project) {
    Project::write(project.root() + "/.ralph/config.jsonc",
                   R"({"agent": {"ci_gate": {"enabled": false}}, "parallel": {"push_backoff_ms": [20]}})");
}

// Landed, once, with nothing left over.
void expect_landed(const Project& project, const std::string& subject) {
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    const Lines subjects = project.remote_subjects();
    CHECK(std::count(subjects.begin(), subjects.end(), archived) == 1);
    CHECK(std::count(subjects.begin(), subjects.end(), subject) == 1);
    CHECK(project.remote_done() == Lines{"RQ-0001"});
    CHECK(!fs::exists(project.workspaces() + "/RQ-0001"));
}

// Where git keeps a loose object.
std::string object_path(const std::string& repository, const std::string& id) {
    return repository + "/.git/objects/" + id.substr(0, 2) + "/" + id.substr(2);
}

}  // namespace

TEST_CASE("git locks that a killed git left: in the workspace they go, in the user's checkout they stay") {
    Project project;
    project.add("one", "echo one > one.txt; : > .git/index.lock; : > .git/refs/heads/main.lock");
    project.commit_and_push();
    const std::string lock = project.root() + "/.git/index.lock";
    SUBCASE("in the workspace") {
        CHECK(project.ralph({"run", "--parallel"}).status == 0);
        CHECK(Project::read(project.root() + "/one.txt") == "one\n");
    }
    SUBCASE("in the checkout, whose git may be alive") {
        Project::write(lock, "");
        const auto end = project.ralph({"run", "--parallel", "--force"});
        CHECK(end.status == 0);
        CHECK(contains(end.errors, "was not brought forward"));
        CHECK(fs::exists(lock));
        CHECK(!fs::exists(project.root() + "/one.txt"));
    }
    expect_landed(project, "RQ-0001: one");
}

TEST_CASE(
    "an integrate step that is killed in the middle of its rebase is run again, and lands the work once") {
    Project project;
    without_pauses(project);
    // The filter runs for every file that git puts there: once, in the middle of the rebase, it kills git and
    // the step above it.
    const std::string killed = project.outside("killed");
    const std::string filter = project.outside("filter");
    Project::write(filter,
                   "#!/bin/sh\n"
                   "cat\n"
                   "[ -e \"$GIT_DIR/rebase-merge/done\" ] && mkdir '" +
                       killed +
                       "' 2>/dev/null || exit 0\n"
                       "step=$PPID\n"
                       "while ! tr '\\0' ' ' < /proc/$step/cmdline | grep -q 'ralph step integrate'; do\n"
                       "  step=$(cut -d ' ' -f 4 /proc/$step/stat); [ \"$step\" -gt 1 ] || exit 0\n"
                       "done\n"
                       "kill -9 $step $PPID\n");
    fs::permissions(filter, fs::perms::owner_all);
    project.git(project.root(), {"config", "filter.killer.smudge", filter});
    Project::write(project.root() + "/.gitattributes", "*.txt filter=killer\n");
    const std::string colleague = project.outside("colleague");
    project.git(project.root(), {"clone", "-q", project.remote(), colleague});
    project.add("zero", "echo zero > zero");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 0);
    project.git(project.root(), {"pull", "-q"});
    project.add("one",
                "for i in 1 2 3; do echo $i > $i.txt; git add -A; git commit -q -m \"part $i\"; done; cd '" +
                    colleague +
                    "' && git pull -q && git -c user.name=C -c user.email=c@example.org commit -q "
                    "--allow-empty -m faster && git push -q origin HEAD:main");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel"});
    CHECK(end.status == 0);
    CHECK(fs::exists(killed));
    CHECK(contains(end.errors, "the outcome of integrate is lost"));
    const Lines subjects = project.remote_subjects();
    CHECK(Lines(subjects.begin(), subjects.begin() + 5) ==
          Lines{"ralph: archive RQ-0002 queue bookkeeping", "part 3", "part 2", "part 1", "faster"});
    CHECK(std::count(subjects.begin(), subjects.end(), "part 2") == 1);
}

TEST_CASE("an object that is missing in a workspace keeps its work from landing, and says so" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(ralph::daemon::run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    for (const char* name : {"first.txt", "second.txt"}) {
        GitFixture::write(workspace + "/work.txt", std::string("work after ") + name + "\n");
        GitFixture::write(workspace + "/" + name, std::string(name) + " by the worker\n");
        fixture.git(workspace, {"add", name, "work.txt"});
        fixture.git(workspace, {"commit", "--quiet", "-m", name});
    }
    const Lines before = fixture.remote_subjects();
    std::string what;
    SUBCASE("content that is not checked out") {
        what = fixture.git(workspace, {"rev-parse", "HEAD^:work.txt"});
    }
    SUBCASE("a commit") {
        what = fixture.git(workspace, {"rev-parse", "HEAD^"});
    }
    SUBCASE("the commit that is checked out") {
        what = fixture.git(workspace, {"rev-parse", "HEAD"});
    }
    fs::remove(object_path(workspace, what));
    const int code = ralph::daemon::run_integrate_step(fixture.context());
    CHECK((code == 65 || code == 75));
    CHECK(!fixture.outcome().summary.empty());
    CHECK(fixture.remote_subjects() == before);
    // The files are all there still, for whoever repairs it.
    CHECK(GitFixture::read(workspace + "/second.txt") == "second.txt by the worker\n");
    // Another run of the task throws none of it away.
    REQUIRE(ralph::daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspaces() + "/.RQ-0001.broken-1/second.txt") ==
          "second.txt by the worker\n");
}

TEST_CASE("an object that is missing in the repository is fetched from origin into the workspace" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    const std::string missing = fixture.git(fixture.root(), {"rev-parse", "HEAD:a.txt"});
    fs::remove(object_path(fixture.root(), missing));
    REQUIRE(ralph::daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + "/a.txt") == fixture.remote_file("a.txt"));
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    CHECK(ralph::daemon::run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("work.txt") == "work\n");
}

TEST_CASE("a push that arrives while its answer does not has landed once") {
    Project project;
    without_pauses(project);
    project.add("one", "echo run >> '" + project.outside("ledger") + "'; echo one > one.txt");
    project.commit_and_push();
    const std::string hook = project.remote() + "/hooks/post-receive";
    Project::write(hook, "#!/bin/sh\necho push >> '" + project.outside("pushes") + "'\nkill -9 $PPID\n");
    fs::permissions(hook, fs::perms::owner_all);
    const auto end = project.ralph({"run", "--parallel"});
    CHECK(end.status == 0);
    CHECK(contains(end.errors, "the answer to the push was lost, but it has arrived"));
    expect_landed(project, "RQ-0001: one");
    CHECK(Project::read(project.outside("pushes")) == "push\n");
    CHECK(Project::read(project.outside("ledger")) == "run\n");
}

TEST_CASE("a remote that is gone for a while is waited for, and the work lands when it is back") {
    Project project;
    without_pauses(project);
    const std::string away = project.remote() + ".away";
    project.add("one", "echo run >> '" + project.outside("ledger") + "'; echo one > one.txt; mv '" +
                           project.remote() + "' '" + away + "'");
    project.commit_and_push();
    project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] {
        const auto record = project.record("RQ-0001");
        return record && contains(record->last_error.value_or(""), "waits: ");
    }));
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::integrating);
    CHECK(project.record("RQ-0001")->push_attempts == 0);
    fs::rename(away, project.remote());
    CHECK(project.wait() == 0);
    expect_landed(project, "RQ-0001: one");
    CHECK(Project::read(project.outside("ledger")) == "run\n");
}

TEST_CASE("a workspace that is removed under its living worker blocks that task, and no other") {
    Project project;
    project.add("loses", "rm -rf \"$RALPH_WORKSPACE\"");
    project.add("lands", "echo two > two.txt");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "2"});
    CHECK(end.status == 3);
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::blocked_push);
    CHECK(contains(*project.record("RQ-0001")->last_error, "is gone and RQ-0001 is not done on origin/main"));
    CHECK(project.record("RQ-0002")->lifecycle == Lifecycle::completed);
    CHECK(project.remote_done() == Lines{"RQ-0002"});
}
