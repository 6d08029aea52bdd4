// A task that is worked on again goes on from what it left, not from zero.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/landing/integrate.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/restore.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

std::string tip(const GitFixture& fixture) {
    return fixture.git(fixture.remote(), {"rev-parse", "main"});
}

std::string subjects(const GitFixture& fixture) {
    return fixture.git(fixture.workspace(), {"log", "--format=%s", "--max-count=3"});
}

// A commit, a changed file, a new one, and one that is ignored but added.
void work(const GitFixture& fixture) {
    const std::string workspace = fixture.workspace();
    GitFixture::write(workspace + "/one.txt", "committed\n");
    fixture.git(workspace, {"add", "one.txt"});
    fixture.git(workspace, {"commit", "--quiet", "-m", "Part one"});
    GitFixture::write(workspace + "/a.txt", "one\ntwo\nhalf\n");
    GitFixture::write(workspace + "/new.txt", "new\n");
    GitFixture::write(workspace + "/forced.local", "ignored, but added\n");
    fixture.git(workspace, {"add", "--force", "forced.local"});
}

void check_work(const GitFixture& fixture) {
    const std::string workspace = fixture.workspace();
    CHECK(GitFixture::read(workspace + "/one.txt") == "committed\n");
    CHECK(GitFixture::read(workspace + "/a.txt") == "one\ntwo\nhalf\n");
    CHECK(GitFixture::read(workspace + "/new.txt") == "new\n");
    CHECK(fixture.git(workspace, {"ls-files", "forced.local"}) == "forced.local");
    CHECK(fixture.git(workspace, {"show", "HEAD:a.txt"}) == "one\ntwo\nthree");  // not committed
    CHECK_FALSE(daemon::Git(workspace).ref_exists(daemon::resuming_ref).value());
}

void set_done_by_colleague(const GitFixture& fixture, bool is_done) {
    fixture.git(fixture.colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
    core::TaskFile queue = fixture.remote_tasks(".ralph/queue.jsonc");
    core::TaskFile done;
    const core::Instant then{std::chrono::seconds{1'771'545'700}};
    if (is_done) {
        REQUIRE(core::archive_finished_task(queue, done, "RQ-0001", then).has_value());
    } else {
        queue.tasks.push_back(core::make_task("RQ-0001", "First task", then));
    }
    GitFixture::write(fixture.colleague() + "/.ralph/queue.jsonc", core::task_file_text(queue));
    GitFixture::write(fixture.colleague() + "/.ralph/done.jsonc", core::task_file_text(done));
    fixture.commit_and_push(fixture.colleague(), is_done ? "Done by hand" : "Once more");
}

}  // namespace

TEST_CASE("work in a workspace that stands is put on the tip of the target") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    work(fixture);
    fixture.push_by_colleague("b.txt", "b\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    check_work(fixture);
    CHECK(subjects(fixture) == "Part one\nBy a colleague: b.txt\nBegin");
    CHECK(fixture.git(fixture.workspace(), {"rev-parse", "HEAD^"}) == tip(fixture));
    CHECK(fixture.outcome().base_sha == tip(fixture));
    CHECK(fixture.outcome().kept == "refs/ralph/kept/RQ-0001/1");
    CHECK(contains(fixture.outcome().note, "goes on from refs/ralph/kept/RQ-0001/1"));
    CHECK_FALSE(contains(fixture.outcome().note, "since"));
    // It can land as it is.
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("new.txt") == "new\n");
    CHECK(fixture.remote_file("forced.local") == "ignored, but added\n");
}

TEST_CASE("work that conflicts with the target stays on the base that it had, and integrate says so" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string base = fixture.outcome().base_sha;
    work(fixture);
    SUBCASE("in a commit") {
        fixture.push_by_colleague("one.txt", "theirs\n");
    }
    SUBCASE("in what was not committed") {
        fixture.push_by_colleague("a.txt", "one\ntwo\ntheirs\n");
    }
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    check_work(fixture);
    CHECK(subjects(fixture) == "Part one\nBegin");
    CHECK(fixture.outcome().base_sha == base);
    CHECK(contains(fixture.outcome().note, "on the base that it had, since it conflicts with origin/main"));
    CHECK(run_integrate_step(fixture.context()) == 66);
    CHECK(contains(fixture.outcome().summary, "conflict with origin/main"));
}

TEST_CASE("a merge of the worker and a branch of its own are not rebased away") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    SUBCASE("a merge") {
        fixture.git(workspace, {"commit", "--quiet", "--allow-empty", "-m", "Mine"});
        fixture.push_by_colleague("b.txt", "b\n");
        fixture.git(workspace, {"fetch", "--quiet", "origin"});
        fixture.git(workspace, {"merge", "--quiet", "-m", "Merge", "origin/main"});
    }
    SUBCASE("a branch") {
        fixture.git(workspace, {"checkout", "--quiet", "-b", "feature"});
    }
    work(fixture);
    const std::string head = fixture.git(workspace, {"rev-parse", "HEAD"});
    fixture.push_by_colleague("c.txt", "c\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.git(workspace, {"rev-parse", "HEAD"}) == head);
    check_work(fixture);
    CHECK(contains(fixture.outcome().note, "on the base that it had"));
}

TEST_CASE("a workspace that is gone is made again from what was kept of it" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    bool moved = false;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    work(fixture);
    SUBCASE("removed after its retention") {
        REQUIRE(run_discard_step(fixture.context()) == 0);
    }
    SUBCASE("removed by hand") {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        fs::remove_all(fixture.workspace());
    }
    SUBCASE("quarantined") {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        GitFixture::write(fixture.workspace() + "/.git/HEAD", "");
    }
    SUBCASE("with a stash beside it, which is no work to go on from") {
        fixture.git(fixture.workspace(), {"stash", "push", "--quiet", "--keep-index", "--", "a.txt"});
        GitFixture::write(fixture.workspace() + "/a.txt", "one\ntwo\nhalf\n");
        REQUIRE(run_discard_step(fixture.context()) == 0);
        REQUIRE(fixture.kept_refs().size() == 2);
    }
    SUBCASE("and the target has moved on") {
        REQUIRE(run_discard_step(fixture.context()) == 0);
        fixture.push_by_colleague("b.txt", "b\n");
        moved = true;
    }
    SUBCASE("and the target conflicts") {
        REQUIRE(run_discard_step(fixture.context()) == 0);
        fixture.push_by_colleague("one.txt", "theirs\n");
    }
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    check_work(fixture);
    CHECK(subjects(fixture) == (moved ? "Part one\nBy a colleague: b.txt\nBegin" : "Part one\nBegin"));
    CHECK(fixture.outcome().kept == "refs/ralph/kept/RQ-0001/1");
    CHECK(GitFixture::exists(fixture.workspace() + "/b.txt") == moved);
}

TEST_CASE("what was kept before a task landed is history" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    work(fixture);
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    REQUIRE(fixture.kept_refs().size() == 1);
    SUBCASE("by integrate") {
        REQUIRE(run_integrate_step(fixture.context()) == 0);
        fs::remove_all(fixture.workspace());
    }
    SUBCASE("by hand, as prepare finds") {
        set_done_by_colleague(fixture, true);
        REQUIRE(run_prepare_step(fixture.context()) == 10);
        fs::remove_all(fixture.workspace());
    }
    SUBCASE("by hand, as discard finds") {
        set_done_by_colleague(fixture, true);
        REQUIRE(run_discard_step(fixture.context()) == 0);
    }
    set_done_by_colleague(fixture, false);
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.git(fixture.workspace(), {"rev-parse", "HEAD"}) == tip(fixture));
    CHECK(fixture.git(fixture.workspace(), {"status", "--porcelain"}).empty());
    CHECK(fixture.outcome().kept.empty());
    CHECK(fixture.kept_refs().size() == 1);  // there for people
    // What is kept from now on counts again.
    GitFixture::write(fixture.workspace() + "/again.txt", "again\n");
    REQUIRE(run_discard_step(fixture.context()) == 0);
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + "/again.txt") == "again\n");
}

TEST_CASE("a prepare step that was killed while it put the work on the target loses nothing of it") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    work(fixture);
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string kept = fixture.git(fixture.root(), {"rev-parse", "refs/ralph/kept/RQ-0001/1"});
    // As it is between the reset and the return of the work.
    fixture.git(fixture.workspace(), {"update-ref", daemon::resuming_ref, kept});
    fixture.git(fixture.workspace(), {"reset", "--quiet", "--hard", "origin/main"});
    GitFixture::write(fixture.workspace() + "/rubbish.txt", "half a rebase\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    check_work(fixture);
    CHECK(subjects(fixture) == "Part one\nBegin");
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/rubbish.txt"));
    CHECK(fixture.kept_refs().size() == 1);
}

TEST_CASE("half a rebase of the worker is undone, and all of it kept" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    GitFixture::write(workspace + "/a.txt", "mine\n");
    fixture.git(workspace, {"commit", "--quiet", "-am", "Mine"});
    fixture.push_by_colleague("a.txt", "theirs\n");
    fixture.git(workspace, {"fetch", "--quiet", "origin"});
    REQUIRE(daemon::Git(workspace).run({"rebase", "origin/main"})->status != 0);
    bool understood = true;
    SUBCASE("that git understands") {}
    SUBCASE("that git does not understand") {
        fs::remove(workspace + "/.git/rebase-merge/head-name");
        understood = false;
    }
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    // The conflict as it was left, and the commit that was being rebased.
    REQUIRE(fixture.kept_refs().size() >= 2);
    CHECK(contains(fixture.git(fixture.root(), {"show", "refs/ralph/kept/RQ-0001/1:a.txt"}), "<<<<<<<"));
    CHECK(fixture.git(fixture.root(), {"show", "refs/ralph/kept/RQ-0001/2:a.txt"}) == "mine");
    CHECK(GitFixture::read(workspace + "/a.txt") == (understood ? "mine\n" : "theirs\n"));
    CHECK(fixture.git(workspace, {"status", "--porcelain"}).empty());
    CHECK_FALSE(GitFixture::exists(workspace + "/.git/rebase-merge"));
}

TEST_CASE("copies of ignored files are never taken for work" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    GitFixture::write(fixture.root() + "/.ralph/prompts/secret.md", "not to be published\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    REQUIRE(GitFixture::exists(workspace + "/.ralph/prompts/secret.md"));
    bool has_work = false;
    SUBCASE("in a workspace that stays") {
        GitFixture::write(workspace + "/new.txt", "new\n");
        has_work = true;
    }
    SUBCASE("in one that is put on the target") {
        GitFixture::write(workspace + "/new.txt", "new\n");
        has_work = true;
        fixture.push_by_colleague("b.txt", "b\n");
    }
    SUBCASE("in one without work") {}
    fs::remove_all(fixture.root() + "/.ralph/prompts");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(workspace + "/.ralph/prompts/secret.md"));
    const std::string changes = fixture.git(workspace, {"status", "--porcelain", "--untracked-files=all"});
    CHECK(contains(changes, "new.txt") == has_work);
    CHECK_FALSE(contains(changes, "secret"));
}

TEST_CASE("the bookkeeping of an attempt to land does not come back with the work") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    work(fixture);
    // As a worker may make it that lands by itself.
    GitFixture::write(fixture.workspace() + "/.ralph/queue.jsonc", "{\"version\": 1, \"tasks\": []}");
    fixture.git(fixture.workspace(), {"add", "--all", "--", ":!.ralph"});
    fixture.git(fixture.workspace(), {"commit", "--quiet", "-m", "RQ-0001: Do the work"});
    fixture.git(fixture.workspace(),
                {"commit", "--quiet", "-am", "ralph: archive RQ-0001 queue bookkeeping"});
    REQUIRE(contains(subjects(fixture), "archive"));
    REQUIRE(run_discard_step(fixture.context()) == 0);
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(subjects(fixture) == "RQ-0001: Do the work\nPart one\nBegin");
    CHECK(run_integrate_step(fixture.context()) == 0);
}
