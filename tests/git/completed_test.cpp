// Completed means: this task's work is on the target, and nobody else's was lost.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/landing/integrate.h"
#include "daemon/steps/discard.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

daemon::StepContext gated(const GitFixture& fixture, const std::string& script) {
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    context.settings.project.ci_gate.argv = {"sh", "-c", script};
    return context;
}

void commit(const GitFixture& fixture, const std::string& message) {
    fixture.git(fixture.workspace(), {"add", "--all"});
    fixture.git(fixture.workspace(), {"commit", "--quiet", "-m", message});
}

void finish_elsewhere(const GitFixture& fixture) {
    fixture.git(fixture.colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
    auto queue = fixture.remote_tasks(".ralph/queue.jsonc");
    core::TaskFile done;
    REQUIRE(core::archive_finished_task(queue, done, "RQ-0001", core::Instant{}).has_value());
    GitFixture::write(fixture.colleague() + "/.ralph/queue.jsonc", core::task_file_text(queue));
    GitFixture::write(fixture.colleague() + "/.ralph/done.jsonc", core::task_file_text(done));
    GitFixture::write(fixture.colleague() + "/first.txt", "first\n");
    fixture.commit_and_push(fixture.colleague(), "Another host was here");
}

// The worker takes what has landed meanwhile into its workspace.
void take_target(const GitFixture& fixture) {
    fixture.git(fixture.workspace(), {"fetch", "--quiet", "origin"});
    fixture.git(fixture.workspace(), {"reset", "--quiet", "--hard", "origin/main"});
}

const std::string ten_lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";
std::string with(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = ("\n" + text).find("\n" + from + "\n");
    return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a worker that exits with 0 and leaves nothing to land has not completed its task" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    fixture.prepare("RQ-0001");
    const std::string workspace = fixture.workspace();
    auto context = fixture.context();
    int expected = 67;
    std::string found = "there is no commit and no changed file";
    SUBCASE("nothing at all") {}
    SUBCASE("only what it wrote into queue and done") {
        GitFixture::write(workspace + "/.ralph/queue.jsonc", "rubbish");
    }
    SUBCASE("only ignored files") {
        fixture.push_by_colleague(".gitignore", "*.log\n");
        take_target(fixture);
        GitFixture::write(workspace + "/build.log", "log\n");
        found = "there are only files that git ignores (build.log)";
    }
    SUBCASE("only a stash") {
        GitFixture::write(workspace + "/a.txt", "stashed\n");
        fixture.git(workspace, {"stash"});
        found = "there is only a stash";
    }
    SUBCASE("only something outside") {
        GitFixture::write(fixture.folder() + "/outside.txt", "outside\n");
    }
    SUBCASE("only what somebody else has pushed, fetched and checked out") {
        fixture.push_by_colleague("b.txt", "b\n");
        fixture.git(workspace, {"fetch", "--quiet", fixture.remote(), "main"});
        fixture.git(workspace, {"reset", "--quiet", "--hard", "FETCH_HEAD"});
    }
    SUBCASE("but an empty commit, which is its word that nothing needed changing") {
        fixture.git(workspace, {"commit", "--quiet", "--allow-empty", "-m", "Nothing to do"});
        expected = 0;
    }
    SUBCASE("only a proposal of no tasks") {
        GitFixture::write(daemon::Paths{workspace}.followups("RQ-0001"),
                          R"({"version": 1, "source_task_id": "RQ-0001", "tasks": []})");
    }
    SUBCASE("but a proposal of new tasks") {
        GitFixture::write(daemon::Paths{workspace}.followups("RQ-0001"),
                          R"({"version": 1, "source_task_id": "RQ-0001", "tasks": [{"key": "a", "title": "A",
                          "description": "Do a", "priority": "low", "tags": [], "scope": [], "evidence": [],
                          "plan": [], "depends_on_keys": [], "independence_rationale": "apart"}]})");
        expected = 0;
    }
    SUBCASE("and the settings take that for enough") {
        context.settings.supervisor.worker.no_change_completes = true;
        expected = 0;
    }
    CHECK(run_integrate_step(context) == expected);
    CHECK(contains(fixture.remote_file(".ralph/done.jsonc"), "RQ-0001") == (expected == 0));
    if (expected != 0) {
        CHECK(contains(fixture.outcome().summary, "left nothing to land: " + found));
        // A commit of a person's makes it count.
        fixture.git(workspace, {"commit", "--quiet", "--allow-empty", "-m", "Nothing to do"});
        CHECK(run_integrate_step(context) == 0);
    }
}

TEST_CASE("a task that somebody else has finished is not landed again") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    auto context = fixture.context();
    SUBCASE("before it comes to land") {
        finish_elsewhere(fixture);
    }
    SUBCASE("while the gate runs") {
        const std::string started = fixture.folder() + "/started";
        const std::string push = fixture.folder() + "/push";
        finish_elsewhere(fixture);
        const std::string theirs = fixture.git(fixture.remote(), {"rev-parse", "main"});
        fixture.git(fixture.remote(), {"update-ref", "refs/heads/main", theirs + "~1"});
        context = gated(fixture, "git -C '" + fixture.remote() + "' update-ref refs/heads/main " + theirs);
        CHECK(run_integrate_step(context) == 75);
    }
    CHECK(run_integrate_step(context) == 0);
    CHECK(fixture.remote_file("RQ-0001.txt") == "(missing)");
    CHECK(fixture.remote_file("first.txt") == "first\n");
    CHECK(contains(fixture.outcome().landed_by, "commit "));
    CHECK(contains(fixture.outcome().note, "is not landed again, and is kept"));
    CHECK(run_discard_step(fixture.context()) == 0);
    REQUIRE(fixture.kept_refs().size() == 1);
    CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs()[0] + ":RQ-0001.txt"}) ==
          "work of RQ-0001");
}

TEST_CASE("a task that somebody else has finished is done, also if its worker left nothing") {
    const GitFixture fixture;
    fixture.prepare("RQ-0001");
    finish_elsewhere(fixture);
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(contains(fixture.outcome().landed_by, "commit "));
}

TEST_CASE("what another task has landed while the worker was at work is not taken back in silence" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    fixture.push_by_colleague("f.txt", ten_lines);
    fixture.push_by_colleague("old.txt", "old\n");
    fixture.prepare("RQ-0001");
    const std::string workspace = fixture.workspace();
    std::string path = "f.txt";
    std::string landed = with(ten_lines, "2", "two, by a colleague");
    SUBCASE("a stale copy of the whole file") {
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        GitFixture::write(workspace + "/" + path, ten_lines);
    }
    SUBCASE("a stale copy with work of its own in it") {
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        GitFixture::write(workspace + "/" + path, with(ten_lines, "9", "nine, by the worker"));
    }
    SUBCASE("a merge that takes its own side for all") {
        GitFixture::write(workspace + "/own.txt", "own\n");
        commit(fixture, "Own");
        fixture.push_by_colleague(path, landed);
        fixture.git(workspace, {"fetch", "--quiet", "origin"});
        fixture.git(workspace, {"merge", "--quiet", "--strategy=ours", "--no-edit", "origin/main"});
        GitFixture::write(workspace + "/more.txt", "more\n");
    }
    SUBCASE("a new file that is gone again, beside one like it") {
        path = "new.txt";
        landed = with(ten_lines, "1", "one");
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        fs::remove(workspace + "/" + path);
        GitFixture::write(workspace + "/like-it.txt", with(ten_lines, "1", "another one"));
    }
    SUBCASE("a stale copy that is moved") {
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        fs::remove(workspace + "/" + path);
        GitFixture::write(workspace + "/moved.txt", ten_lines);
    }
    SUBCASE("a new file that is gone again") {
        path = "new.txt";
        landed = "new\n";
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        fs::remove(workspace + "/" + path);
    }
    SUBCASE("new lines that are gone again") {
        landed = with(ten_lines, "5", "5\nnew, by a colleague");
        fixture.push_by_colleague(path, landed);
        take_target(fixture);
        GitFixture::write(workspace + "/" + path, with(ten_lines, "9", "nine, by the worker"));
    }
    SUBCASE("a file that was removed and is there again") {
        path = "old.txt";
        landed = "(missing)";
        fixture.git(fixture.colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
        fs::remove(fixture.colleague() + "/" + path);
        fixture.commit_and_push(fixture.colleague(), "By a colleague: old.txt");
        take_target(fixture);
        GitFixture::write(workspace + "/" + path, "old\n");
    }
    commit(fixture, "Work");
    const std::string theirs = fixture.git(fixture.remote(), {"rev-parse", "main"});
    CHECK(run_integrate_step(fixture.context()) == 66);
    CHECK(contains(fixture.outcome().summary, "would take back what " + theirs.substr(0, 12)));
    CHECK(contains(fixture.outcome().summary, "By a colleague: " + path));
    CHECK(fixture.remote_file(path) == landed);
    CHECK(GitFixture::exists(workspace + "/.ralph/cache/parallel/handoffs/RQ-0001/attempt_1.json"));
    // Put back, it lands.
    if (landed == "(missing)") {
        fs::remove(workspace + "/" + path);
    } else {
        GitFixture::write(workspace + "/" + path, landed);
    }
    commit(fixture, "Put back");
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file(path) == landed);
}

TEST_CASE("nor is it by work that a second attempt goes on with") {
    const GitFixture fixture;
    fixture.push_by_colleague("f.txt", ten_lines);
    fixture.prepare("RQ-0001");
    fixture.push_by_colleague("f.txt", with(ten_lines, "2", "two, by a colleague"));
    take_target(fixture);
    GitFixture::write(fixture.workspace() + "/f.txt", ten_lines);
    commit(fixture, "Half of the work, with a stale copy");
    fixture.prepare("RQ-0001", 2);
    REQUIRE(!fixture.outcome().kept.empty());
    GitFixture::write(fixture.workspace() + "/more.txt", "more\n");
    commit(fixture, "The other half");
    CHECK(run_integrate_step(fixture.context()) == 66);
    CHECK(contains(fixture.outcome().summary, "would take back what "));
}

TEST_CASE("what an idle worker began at is not its work, when it was taken off the target") {
    const GitFixture fixture;
    const std::string good = fixture.git(fixture.remote(), {"rev-parse", "main"});
    fixture.push_by_colleague("secret.txt", "a password\n");
    fixture.prepare("RQ-0001");
    fixture.git(fixture.remote(), {"update-ref", "refs/heads/main", good});
    CHECK(run_integrate_step(fixture.context()) == 67);
    CHECK(fixture.git(fixture.remote(), {"rev-parse", "main"}) == good);
}

TEST_CASE("a hook of a workspace holds up its own task, and is run for nothing but its own commit") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    const std::string hooks = fixture.workspace() + "/.git/hooks/";
    SUBCASE("it kills the git that runs it") {
        GitFixture::write_script(hooks + "pre-commit", "kill -9 $PPID");
        CHECK(run_integrate_step(fixture.context()) == 75);
        fs::remove(hooks + "pre-commit");
    }
    SUBCASE("it would be run by a checkout") {
        const std::string ran = fixture.folder() + "/ran";
        for (const char* const name : {"post-checkout", "reference-transaction", "post-index-change"}) {
            GitFixture::write_script(hooks + name, "touch '" + ran + "'; kill -9 $PPID");
        }
        fixture.push_by_colleague("b.txt", "b\n");
        fixture.prepare("RQ-0001", 2);
        CHECK(!GitFixture::exists(ran));
        for (const char* const name : {"reference-transaction", "post-index-change"}) {
            fs::remove(hooks + name);
        }
    }
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("RQ-0001.txt") == "work of RQ-0001\n");
}

TEST_CASE("what a worker hides from git's index is looked at all the same") {
    for (const char* const bit : {"--skip-worktree", "--assume-unchanged"}) {
        CAPTURE(bit);
        const GitFixture fixture;
        for (const char* const task : {"RQ-0001", "RQ-0002"}) {
            fixture.prepare(task);
            fixture.git(fixture.workspace(task), {"update-index", bit, "a.txt"});
            GitFixture::write(fixture.workspace(task) + "/a.txt", std::string(task) + "\n");
        }
        CHECK(run_integrate_step(fixture.context("RQ-0001")) == 0);
        CHECK(fixture.remote_file("a.txt") == "RQ-0001\n");
        CHECK(run_discard_step(fixture.context("RQ-0002")) == 0);
        REQUIRE(fixture.kept_refs("RQ-0002").size() == 1);
        CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs("RQ-0002")[0] + ":a.txt"}) == "RQ-0002");
    }
}

TEST_CASE("a pipe where git looks for its own files blocks its task, and holds up nobody") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    SUBCASE("left by the worker") {
        const std::string tracked = GitFixture::read(fixture.workspace() + "/.gitignore");
        fs::remove(fixture.workspace() + "/.gitignore");
        REQUIRE(::mkfifo((fixture.workspace() + "/.gitignore").c_str(), 0600) == 0);
        CHECK(run_integrate_step(fixture.context()) == 65);
        CHECK(contains(fixture.outcome().summary, ".gitignore: is no plain file"));
        fs::remove(fixture.workspace() + "/.gitignore");
        GitFixture::write(fixture.workspace() + "/.gitignore", tracked);
    }
    SUBCASE("left by the gate") {
        CHECK(run_integrate_step(gated(
                  fixture, "[ ! -e RQ-0001.txt ] || { mkdir sub && mkfifo sub/.gitattributes; }")) == 66);
        CHECK(contains(fixture.outcome().summary, "left what git cannot work beside"));
    }
    CHECK(run_integrate_step(fixture.context()) == 0);
}

TEST_CASE("a task that is meant to revert says so" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    const std::string path = "f.txt";
    const std::string landed = with(ten_lines, "2", "two, by a colleague");
    fixture.push_by_colleague(path, ten_lines);
    fixture.prepare("RQ-0001");
    const std::string workspace = fixture.workspace();
    fixture.push_by_colleague(path, landed);
    take_target(fixture);
    GitFixture::write(workspace + "/" + path, ten_lines);
    commit(fixture, "Work");
    const std::string theirs = fixture.git(fixture.remote(), {"rev-parse", "main"});
    SUBCASE("it is meant, and a commit says so") {
        fixture.git(workspace,
                    {"commit", "--quiet", "--amend", "-m", "Revert\n\nThis reverts commit " + theirs + "."});
        CHECK(run_integrate_step(fixture.context()) == 0);
        CHECK(fixture.remote_file(path) != landed);
    }
    SUBCASE("a commit that says so of another one does not help") {
        fixture.git(workspace,
                    {"commit", "--quiet", "--amend", "-m", "Revert\n\nThis reverts commit 0123456789."});
        CHECK(run_integrate_step(fixture.context()) == 66);
    }
    SUBCASE("the settings allow it") {
        auto context = fixture.context();
        context.settings.supervisor.partitions.may_undo = true;
        CHECK(run_integrate_step(context) == 0);
        CHECK(fixture.remote_file(path) != landed);
    }
}

TEST_CASE("work on the same file that takes nothing back lands" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    fixture.push_by_colleague("f.txt", ten_lines);
    fixture.push_by_colleague("before.txt", "before\n");
    fixture.prepare("RQ-0001");
    const std::string workspace = fixture.workspace();
    SUBCASE("elsewhere in it, on the old base") {
        fixture.push_by_colleague("f.txt", with(ten_lines, "2", "two, by a colleague"));
        GitFixture::write(workspace + "/f.txt", with(ten_lines, "9", "nine, by the worker"));
    }
    SUBCASE("at the same place, further on") {
        fixture.push_by_colleague("f.txt", with(ten_lines, "2", "two, by a colleague"));
        take_target(fixture);
        GitFixture::write(workspace + "/f.txt", with(ten_lines, "2", "two, by both"));
    }
    SUBCASE("a new file that is moved elsewhere") {
        fixture.push_by_colleague("new.txt", "a new file\nof some lines\n");
        take_target(fixture);
        fs::rename(workspace + "/new.txt", workspace + "/newer.txt");
    }
    SUBCASE("what had landed before the worker began is taken back") {
        fs::remove(workspace + "/before.txt");
    }
    commit(fixture, "Work");
    CHECK(run_integrate_step(fixture.context()) == 0);
}
