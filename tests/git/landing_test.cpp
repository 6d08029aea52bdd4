// What follows a landing: follow-ups, queues that git ignores, and the user's checkout.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/base/glob.h"
#include "core/queue/task_codec.h"
#include "daemon/git/checkout.h"
#include "daemon/landing/integrate.h"
#include "daemon/os/program.h"
#include "daemon/steps/prepare.h"
#include "daemon/store/queue_files.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;

namespace {

const std::string proposal = R"({"version": 1, "source_task_id": "RQ-0001", "tasks": [
    {"key": "k", "title": "Follow", "description": "Up", "priority": "low", "independence_rationale": "It is"}]})";

core::TaskFile tasks_in(const std::string& path) {
    auto tasks = daemon::load_task_file(path, false);
    REQUIRE(tasks.has_value());
    return *tasks;
}

void work(const GitFixture& fixture) {
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
}

std::string propose(const GitFixture& fixture, const std::string& text) {
    const std::string path = daemon::Paths{fixture.workspace()}.followups("RQ-0001");
    GitFixture::write(path, text);
    return path;
}

}  // namespace

TEST_CASE("what is a supervisor's own is no part of a landing, and the others of a batch land" *
          doctest::test_suite("as-built")) {
    for (const std::string path : {".ralph/cache/parallel/a b", ".ralph/cache"}) {
        CAPTURE(path);
        const GitFixture fixture;
        for (const char* const task : {"RQ-0001", "RQ-0002"}) {
            fixture.work(task);
        }
        const std::string workspace = fixture.workspace("RQ-0002");
        std::filesystem::remove_all(workspace + "/" + path);
        GitFixture::write(workspace + "/" + path, "theirs");
        fixture.git(workspace, {"add", "--force", path});
        fixture.git(workspace, {"commit", "--quiet", "-m", "By the worker"});
        // As a worker would that wants it to land.
        fixture.git(workspace, {"update-index", "--skip-worktree", path});
        std::filesystem::remove(workspace + "/" + path);
        auto context = fixture.context("RQ-0001");
        context.batch = {"RQ-0002"};
        CHECK(run_integrate_step(context) == 0);
        CHECK(fixture.remote_file("RQ-0001.txt") == "work of RQ-0001\n");
        CHECK(fixture.remote_file("RQ-0002.txt") == "(missing)");
        REQUIRE(fixture.outcome().batch.size() == 1);
        const core::BatchEnd end = fixture.outcome().batch[0];
        CHECK(end.code == 66);
        CHECK_MESSAGE(contains(end.summary, ", which is a supervisor's own"), end.summary);
        // Fixed as it says.
        fixture.git(workspace, {"update-index", "--no-skip-worktree", path});
        const std::size_t begin = end.summary.find("(git ") + 1;
        const std::string command = end.summary.substr(begin, end.summary.find(')', begin) - begin);
        CHECK(std::system(("cd '" + workspace + "' && " + command + " >/dev/null").c_str()) == 0);
        CHECK(run_integrate_step(fixture.context("RQ-0002")) == 0);
        CHECK(fixture.remote_file("RQ-0002.txt") == "work of RQ-0002\n");
        CHECK(fixture.remote_file(path) == "(missing)");
    }
}

TEST_CASE("follow-ups land with the task, once") {
    const GitFixture fixture;
    work(fixture);
    const std::string path = propose(fixture, proposal);
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(path));
    propose(fixture, proposal);  // as if we had been killed before it was removed
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    const core::TaskFile queue = fixture.remote_tasks(".ralph/queue.jsonc");
    REQUIRE(queue.tasks.size() == 2);
    CHECK(queue.tasks[0].id == "RQ-0003");
    CHECK(queue.tasks[0].title == "Follow");
}

TEST_CASE("a proposal that cannot be applied blocks the push") {
    const GitFixture fixture(GitFixture::Queue::ignored);
    work(fixture);
    const std::string path = propose(fixture, R"({"version": 7})");
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, path));
    CHECK(fixture.remote_subjects().size() == 1);
    CHECK(GitFixture::exists(path));
}

TEST_CASE("a queue that git ignores is reconciled in the repository, once") {
    const GitFixture fixture(GitFixture::Queue::ignored);
    work(fixture);
    propose(fixture, proposal);
    const std::string queue_path = fixture.root() + "/.ralph/queue.jsonc";
    const std::string done_path = fixture.root() + "/.ralph/done.jsonc";
    const std::string queue_before = GitFixture::read(queue_path);
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_subjects() == std::vector<std::string>{"RQ-0001: Do the work", "Begin"});
    const std::string done_after = GitFixture::read(done_path);
    const core::TaskFile queue = tasks_in(queue_path);
    REQUIRE(queue.tasks.size() == 2);
    CHECK(queue.tasks[0].title == "Follow");
    CHECK(queue.tasks[1].id == "RQ-0002");
    REQUIRE(tasks_in(done_path).tasks.size() == 1);
    CHECK(tasks_in(done_path).tasks[0].status == core::TaskStatus::done);
    CHECK(fixture.outcome().note.empty());
    CHECK(GitFixture::read(fixture.root() + "/work.txt") == "work\n");

    SUBCASE("killed after it") {
        propose(fixture, proposal);
    }
    SUBCASE("killed between the two files") {
        propose(fixture, proposal);
        GitFixture::write(queue_path, queue_before);
    }
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    REQUIRE(tasks_in(queue_path).tasks.size() == 2);
    CHECK(tasks_in(queue_path).tasks[0].title == "Follow");
    CHECK(GitFixture::read(done_path) == done_after);
    CHECK(fixture.remote_subjects().size() == 2);
}

TEST_CASE("a queue that cannot be reconciled does not undo the landing") {
    const GitFixture fixture(GitFixture::Queue::ignored);
    work(fixture);
    const std::string path = propose(fixture, proposal);
    // The user's file becomes unreadable while the push is on its way.
    GitFixture::write_script(fixture.root() + "/.git/hooks/pre-push",
                             "echo '{' > '" + fixture.root() + "/.ralph/queue.jsonc'");
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(contains(fixture.outcome().note, "RQ-0001 has landed, but its entry was not moved"));
    CHECK(GitFixture::exists(path));
}

TEST_CASE("the user's checkout is brought forward, with untracked files in it") {
    const GitFixture fixture;
    fixture.push_by_colleague("b.txt", "b\n");
    GitFixture::write(fixture.root() + "/untracked.txt", "mine\n");
    for (int i = 0; i < 2; ++i) {
        CHECK(daemon::bring_checkout_forward(fixture.context().settings, "main").note.empty());
        CHECK(GitFixture::exists(fixture.root() + "/b.txt"));
    }
}

TEST_CASE("a checkout is brought forward around what its user is changing in other files") {
    const GitFixture fixture;
    fixture.push_by_colleague("b.txt", "b\n");
    GitFixture::write(fixture.root() + "/a.txt", "mine\n");
    CHECK(daemon::bring_checkout_forward(fixture.context().settings, "main").note.empty());
    CHECK(GitFixture::read(fixture.root() + "/b.txt") == "b\n");
    CHECK(GitFixture::read(fixture.root() + "/a.txt") == "mine\n");
    CHECK(fixture.git(fixture.root(), {"status", "--porcelain"}) == " M a.txt");
}

TEST_CASE("the user's checkout is left alone unless it can simply be brought forward") {
    const GitFixture fixture;
    fixture.push_by_colleague("b.txt", "b\n");
    const auto settings = fixture.context().settings;
    const auto bring = [&] { return daemon::bring_checkout_forward(settings, "main").note; };
    SUBCASE("changed where it would have to be") {
        fixture.push_by_colleague("a.txt", "theirs\n");
        GitFixture::write(fixture.root() + "/a.txt", "mine\n");
        CHECK(contains(bring(), "it has uncommitted changes in a.txt"));
        CHECK(GitFixture::read(fixture.root() + "/a.txt") == "mine\n");
    }
    SUBCASE("changed elsewhere, but staged") {
        GitFixture::write(fixture.root() + "/a.txt", "mine\n");
        fixture.git(fixture.root(), {"add", "a.txt"});
        CHECK(contains(bring(), "it has uncommitted changes in a.txt"));
        CHECK_FALSE(GitFixture::exists(fixture.root() + "/b.txt"));
    }
    SUBCASE("on another branch") {
        fixture.git(fixture.root(), {"checkout", "--quiet", "-b", "mine"});
        CHECK(contains(bring(), "its branch is mine"));
        CHECK(fixture.git(fixture.root(), {"symbolic-ref", "--short", "HEAD"}) == "mine");
    }
    SUBCASE("on none") {
        fixture.git(fixture.root(), {"checkout", "--quiet", "--detach"});
        CHECK(contains(bring(), "it is on no branch"));
    }
    SUBCASE("with commits of its own") {
        fixture.git(fixture.root(), {"commit", "--quiet", "--allow-empty", "-m", "Mine"});
        CHECK(contains(bring(), "was not brought forward"));
        CHECK(fixture.git(fixture.root(), {"log", "-1", "--format=%s"}) == "Mine");
    }
    CHECK_FALSE(GitFixture::exists(fixture.root() + "/b.txt"));
    // What is known of the remote is up to date nevertheless.
    CHECK(fixture.git(fixture.root(), {"rev-parse", "origin/main"}) ==
          fixture.git(fixture.remote(), {"rev-parse", "main"}));
}

TEST_CASE("globs") {
    using daemon::glob_matches;
    CHECK(glob_matches("*.local", "a.local"));
    CHECK_FALSE(glob_matches("*.local", "d/a.local"));
    CHECK(glob_matches("**/*.local", "a.local"));
    CHECK(glob_matches("**/*.local", "d/e/a.local"));
    CHECK(glob_matches("d/**", "d/e/f"));
    CHECK_FALSE(glob_matches("d/**", "e/f"));
    CHECK(glob_matches("d/**/f", "d/f"));
    CHECK(glob_matches("d/**/f", "d/x/y/f"));
    CHECK_FALSE(glob_matches("d/**/f", "d/xf"));
    CHECK(glob_matches("a?c[0-9][!x]", "abc5y"));
    CHECK_FALSE(glob_matches("a?c", "a/c"));
    CHECK_FALSE(glob_matches("a[!x]c", "a/c"));
    CHECK(glob_matches("{a,b{c,d}}.txt", "bd.txt"));
    CHECK_FALSE(glob_matches("{a,b{c,d}}.txt", "b.txt"));
    CHECK(glob_matches("[]]", "]"));
    CHECK_FALSE(glob_matches("a", "ab"));
    CHECK(glob_matches("a*", "a"));
}
