#include <doctest/doctest.h>

#include <filesystem>

#include "core/queue/task_codec.h"
#include "core/supervisor/run_record.h"
#include "daemon/landing/integrate.h"
#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

const std::string archived = "ralph: archive RQ-0001 queue bookkeeping";
using Lines = std::vector<std::string>;

// A workspace with a commit of the worker and a file that it left uncommitted.
void work(const GitFixture& fixture, const std::string& task = "RQ-0001") {
    REQUIRE(run_prepare_step(fixture.context(task)) == 0);
    GitFixture::write(fixture.workspace(task) + "/work.txt", "work of " + task + "\n");
    fixture.git(fixture.workspace(task), {"add", "work.txt"});
    fixture.git(fixture.workspace(task), {"commit", "--quiet", "-m", "By the worker"});
    GitFixture::write(fixture.workspace(task) + "/left.txt", "left\n");
}

std::string marker(const GitFixture& fixture) {
    const std::string path = daemon::Paths{fixture.workspace()}.block_marker();
    if (!GitFixture::exists(path)) {
        return "(none)";
    }
    auto document = core::JsonDocument::parse(GitFixture::read(path), path);
    const auto read = core::read_block_marker(*document);
    return read.has_value() ? read->reason : "(unreadable)";
}

Lines ids(const core::TaskFile& file) {
    Lines found;
    for (const core::Task& task : file.tasks) {
        found.push_back(task.id);
    }
    return found;
}

void expect_landed(const GitFixture& fixture, const Lines& subjects) {
    CHECK(fixture.remote_subjects() == subjects);
    CHECK(fixture.remote_file("work.txt") == "work of RQ-0001\n");
    CHECK(fixture.remote_file("left.txt") == "left\n");
    CHECK(ids(fixture.remote_tasks(".ralph/queue.jsonc")) == Lines{"RQ-0002"});
    const core::TaskFile done = fixture.remote_tasks(".ralph/done.jsonc");
    REQUIRE(ids(done) == Lines{"RQ-0001"});
    CHECK(done.tasks.front().status == core::TaskStatus::done);
    CHECK(marker(fixture) == "(none)");
    CHECK(*daemon::Git(fixture.remote()).is_ancestor(fixture.outcome().landed_sha, "main"));
    CHECK(fixture.git(fixture.workspace(), {"status", "--porcelain"}).empty());
}

const Lines plainly{archived, "RQ-0001: Do the work", "By the worker", "Begin"};

}  // namespace

TEST_CASE("integrate lands the work with one bookkeeping commit, once" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    work(fixture);
    GitFixture::write(fixture.workspace() + "/.ralph/queue.jsonc", "rubbish of the worker");
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    expect_landed(fixture, plainly);
    CHECK(fixture.outcome().note.empty());
    // The user's checkout has it.
    CHECK(GitFixture::read(fixture.root() + "/left.txt") == "left\n");

    // No early return in any subcase: doctest would not see those after it.
    Lines subjects = plainly;
    SUBCASE("run again") {
        CHECK(run_integrate_step(fixture.context()) == 0);
    }
    SUBCASE("run again after others have landed") {
        fixture.push_by_colleague("b.txt", "b\n");
        subjects.insert(subjects.begin(), "By a colleague: b.txt");
        CHECK(run_integrate_step(fixture.context()) == 0);
    }
    // Its commits are on the target in another shape, and what they changed is different now.
    SUBCASE("run again after others have changed what it did") {
        fixture.push_by_colleague("work.txt", "improved\n");
        subjects.insert(subjects.begin(), "By a colleague: work.txt");
        CHECK(run_integrate_step(fixture.context()) == 0);
        CHECK(fixture.remote_file("work.txt") == "improved\n");
    }
    SUBCASE("taken off the target by force before it is removed") {
        fixture.git(fixture.colleague(), {"push", "--quiet", "--force", "origin",
                                          fixture.git(fixture.colleague(), {"rev-parse", "HEAD"}) + ":main"});
        subjects = fixture.remote_subjects();
        REQUIRE(subjects == Lines{"Begin"});
        CHECK(run_discard_step(fixture.context()) == 0);
        REQUIRE(fixture.kept_refs().size() == 1);
        CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs()[0] + ":left.txt"}) == "left");
    }
    SUBCASE("committed to once more before it is removed") {
        GitFixture::write(fixture.workspace() + "/late.txt", "late\n");
        fixture.git(fixture.workspace(), {"add", "--all"});
        fixture.git(fixture.workspace(), {"commit", "--quiet", "-m", "Late"});
        CHECK(run_discard_step(fixture.context()) == 0);
        REQUIRE(fixture.kept_refs().size() == 1);
        CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs()[0] + ":late.txt"}) == "late");
    }
    SUBCASE("run again without a workspace") {
        CHECK(!fixture.in_merge_queue({"for-each-ref", "refs/ralph"}).empty());
        CHECK(run_discard_step(fixture.context()) == 0);
        CHECK(fixture.kept_refs().empty());
        CHECK(run_integrate_step(fixture.context()) == 0);
        CHECK(fixture.in_merge_queue({"for-each-ref", "refs/ralph/work", "refs/ralph/landing"}).empty());
    }
    SUBCASE("prepared again") {
        CHECK(run_prepare_step(fixture.context()) == 10);
    }
    CHECK(fixture.remote_subjects() == subjects);
}

TEST_CASE("integrate without a workspace and without a landing is blocked") {
    const GitFixture fixture;
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "is gone and RQ-0001 is not done on origin/main"));
    CHECK_FALSE(GitFixture::exists(fixture.workspace()));
}

TEST_CASE("a long title becomes one line of at most 100 bytes") {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.task_title = "T\n\n" + std::string(88, 'x') + "\xc3\xa4\xc3\xa4\xc3\xa4";
    REQUIRE(run_integrate_step(context) == 0);
    CHECK(fixture.remote_subjects()[1] == "RQ-0001: T " + std::string(88, 'x'));
}

TEST_CASE("integrate goes on where it was killed" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    work(fixture);
    const std::string workspace = fixture.workspace();
    Lines subjects = plainly;
    SUBCASE("while git held locks") {
        GitFixture::write(workspace + "/.git/index.lock", "");
        GitFixture::write(workspace + "/.git/HEAD.lock", "");
        GitFixture::write(workspace + "/.git/refs/heads/main.lock", "");
    }
    // Found by ralph-crash: they were taken for the worker's, and landed.
    SUBCASE("while it wrote queue and done") {
        GitFixture::write(workspace + "/.ralph/done.jsonc.new", "half");
        GitFixture::write(workspace + "/.ralph/queue.jsonc.new", "half");
    }
    SUBCASE("while git held locks where candidates are built") {
        GitFixture::write(fixture.lane().folder() + "/index.lock", "");
        GitFixture::write(fixture.lane().folder() + "/HEAD.lock", "");
        GitFixture::write(fixture.lane().folder() + "/ralph-gate-index.lock", "");
        fs::create_directories(fixture.lane().folder() + "/refs/ralph/work");
        GitFixture::write(fixture.lane().folder() + "/refs/ralph/work/RQ-0001.lock", "");
    }
    SUBCASE("while the place where candidates are built was made") {
        fs::create_directories(fixture.workspaces() + "/.integration.new/.git");
        fs::create_directories(fixture.workspaces() + "/.integration/.git");
    }
    SUBCASE("while it made a candidate's commit of somebody else's and wrote queue and done") {
        GitFixture::write(fixture.integration() + "/.ralph/queue.jsonc.new", "half");
        GitFixture::write(fixture.integration() + "/.ralph/queue.jsonc", "rubbish");
        GitFixture::write(fixture.integration() + "/other.txt", "half of a candidate");
        fixture.in_merge_queue({"add", "--all"});
        fixture.in_merge_queue({"commit", "--quiet", "-m", "Half of a candidate"});
        GitFixture::write(fixture.integration() + "/another.txt", "not even committed");
    }
    SUBCASE("after the bookkeeping commit, and others have landed since") {
        const std::string refuse = fixture.remote() + "/hooks/pre-receive";
        GitFixture::write_script(refuse, "exit 1");
        REQUIRE(run_integrate_step(fixture.context()) == 65);
        CHECK(fixture.in_merge_queue({"log", "-1", "--format=%s"}) == archived);
        fs::remove(refuse);
        fixture.push_by_colleague("b.txt", "b\n");
        REQUIRE(run_integrate_step(fixture.context()) == 0);
        subjects.insert(subjects.end() - 1, "By a colleague: b.txt");
    }
    SUBCASE("in the middle of the rebase") {
        fixture.git(workspace, {"add", "--all"});
        fixture.git(workspace, {"commit", "--quiet", "-m", "RQ-0001: Do the work"});
        const std::string place = fixture.lane().folder();
        fixture.in_merge_queue({"fetch", "--quiet", workspace, "HEAD"});
        fixture.in_merge_queue({"checkout", "--quiet", "--detach", "FETCH_HEAD"});
        REQUIRE(fixture.lane()
                    .with_environment("GIT_SEQUENCE_EDITOR", "sed -i 's/^pick/edit/'")
                    .run({"rebase", "-i", "HEAD~2"})
                    ->status == 0);
        REQUIRE(GitFixture::exists(place + "/rebase-merge"));
        SUBCASE("which git can abort") {}
        SUBCASE("which git cannot abort") {
            fs::remove(place + "/rebase-merge/head-name");
        }
        SUBCASE("and only HEAD left of it") {
            fs::remove_all(place + "/rebase-merge");
        }
        REQUIRE(run_integrate_step(fixture.context()) == 0);
        CHECK(!GitFixture::exists(place + "/rebase-merge"));
        CHECK(fixture.kept_refs().empty());
    }
    SUBCASE("while the gate was building") {
        GitFixture::write(fixture.integration() + "/coverage.xml", "not work\n");
        REQUIRE(run_integrate_step(fixture.context()) == 0);
        CHECK(fixture.remote_file("coverage.xml") == "(missing)");
        CHECK(fixture.kept_refs().empty());
    }
    SUBCASE("after the push, before anything was noted of it") {
        // So that the commits land in another shape, which git does not know again.
        GitFixture::write(workspace + "/a.txt", "ONE\ntwo\nthree\n");
        fixture.push_by_colleague("a.txt", "one\ntwo\nTHREE\n");
        subjects.insert(subjects.end() - 1, "By a colleague: a.txt");
        const std::string hook = fixture.remote() + "/hooks/post-receive";
        // The remote is gone for the moment in which the answer is looked for.
        GitFixture::write_script(hook, "mv '" + fixture.remote() + "' '" + fixture.remote() + ".away'");
        CHECK(run_integrate_step(fixture.context()) == 69);
        fs::rename(fixture.remote() + ".away", fixture.remote());
        fs::remove(hook);
        // Somebody goes on with it, so that it could not be put there again.
        fixture.push_by_colleague("a.txt", "improved\n");
        subjects.insert(subjects.begin(), "By a colleague: a.txt");
        CHECK(run_integrate_step(fixture.context()) == 0);
        CHECK(fixture.remote_subjects() == subjects);
    }
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    expect_landed(fixture, subjects);
}

TEST_CASE("a conflict is reported and leaves the workspace as it was" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    work(fixture);
    GitFixture::write(fixture.workspace() + "/a.txt", "mine\n");
    fixture.push_by_colleague("a.txt", "theirs\n");
    CHECK(run_integrate_step(fixture.context()) == 66);
    const std::string workspace = fixture.workspace();
    CHECK(fixture.outcome().summary == "conflict with origin/main in a.txt; resolve it in " + workspace +
                                           " (git fetch origin && git rebase origin/main), then run `ralph "
                                           "run parallel retry --task RQ-0001`");
    CHECK(marker(fixture) == fixture.outcome().summary);
    CHECK(GitFixture::read(workspace + "/a.txt") == "mine\n");
    CHECK(fixture.git(workspace, {"symbolic-ref", "HEAD"}) == "refs/heads/main");
    CHECK(fixture.git(workspace, {"status", "--porcelain"}).empty());
    CHECK(fixture.git(workspace, {"log", "-1", "--format=%s"}) == "RQ-0001: Do the work");

    // An operator merges instead of rebasing; how he resolved it is not lost.
    REQUIRE(daemon::Git(workspace).run({"merge", "origin/main"})->status == 1);
    SUBCASE("and has ended it") {
        GitFixture::write(workspace + "/a.txt", "both\n");
        fixture.git(workspace, {"commit", "--quiet", "-am", "Merge"});
        SUBCASE("on the tip") {
            CHECK(run_integrate_step(fixture.context()) == 0);
        }
        SUBCASE("and somebody else has pushed since") {
            fixture.push_by_colleague("b.txt", "b\n");
            CHECK(run_integrate_step(fixture.context()) == 0);
            CHECK(fixture.remote_file("b.txt") == "b\n");
        }
        CHECK(fixture.remote_file("a.txt") == "both\n");
    }
    SUBCASE("and has not ended it") {
        CHECK(run_integrate_step(fixture.context()) == 66);
        REQUIRE(fixture.kept_refs().size() == 1);
        CHECK(contains(fixture.git(fixture.root(), {"show", fixture.kept_refs()[0] + ":a.txt"}), "<<<<<<<"));
        CHECK(contains(fixture.outcome().note, "refs/ralph/kept/RQ-0001/1"));
    }
}

// As with a program that is missing: a filter that the files need does not work.
TEST_CASE("a rebase that fails without a conflict is tried again, and leaves the workspace as it was") {
    const GitFixture fixture;
    work(fixture);
    fixture.push_by_colleague("b.txt", "b\n");
    fixture.push_by_colleague(".gitattributes", "work.txt filter=broken\n");
    fixture.git(fixture.root(), {"config", "filter.broken.required", "true"});
    fixture.git(fixture.root(), {"config", "filter.broken.smudge", "exit 1"});
    CHECK(run_integrate_step(fixture.context()) == 75);
    CHECK(fixture.outcome().summary.find("putting the work on origin/main failed") != std::string::npos);
    CHECK(!GitFixture::exists(fixture.workspace() + "/b.txt"));
    fixture.git(fixture.root(), {"config", "filter.broken.smudge", "cat"});
    fixture.git(fixture.root(), {"config", "filter.broken.clean", "cat"});
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("b.txt") == "b\n");
}

TEST_CASE("a conflict that the worker left in the index is not taken for its solution") {
    const GitFixture fixture;
    work(fixture);
    GitFixture::write(fixture.workspace() + "/a.txt", "stashed\n");
    fixture.git(fixture.workspace(), {"stash"});
    GitFixture::write(fixture.workspace() + "/a.txt", "committed\n");
    fixture.git(fixture.workspace(), {"commit", "--quiet", "-am", "Other"});
    REQUIRE(daemon::Git(fixture.workspace()).run({"stash", "pop"})->status == 1);
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "unresolved conflict in a.txt"));
    CHECK(fixture.remote_subjects() == Lines{"Begin"});
}

TEST_CASE("a worker that commits changes of the queue does not conflict with others that land") {
    const GitFixture fixture;
    work(fixture);
    work(fixture, "RQ-0002");
    fs::remove(fixture.workspace("RQ-0002") + "/work.txt");
    for (const char* status : {"draft", "doing"}) {
        core::TaskFile queue = fixture.remote_tasks(".ralph/queue.jsonc");
        queue.tasks[1].status = *core::parse_task_status(status);
        GitFixture::write(fixture.workspace() + "/.ralph/queue.jsonc", core::task_file_text(queue));
        fixture.git(fixture.workspace(), {"commit", "--quiet", "-am", std::string("Mark it ") + status});
    }
    REQUIRE(run_integrate_step(fixture.context("RQ-0002")) == 0);
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_tasks(".ralph/queue.jsonc").tasks.empty());
    CHECK(ids(fixture.remote_tasks(".ralph/done.jsonc")) == Lines{"RQ-0002", "RQ-0001"});
}

TEST_CASE("somebody else's push between fetch and push is tried again") {
    const GitFixture fixture;
    work(fixture);
    const std::string hook = fixture.root() + "/.git/hooks/pre-push";
    fixture.git(fixture.colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
    GitFixture::write(fixture.colleague() + "/b.txt", "b\n");
    fixture.git(fixture.colleague(), {"add", "b.txt"});
    fixture.git(fixture.colleague(), {"commit", "--quiet", "-m", "Faster"});
    GitFixture::write_script(hook, "cd '" + fixture.colleague() + "' && git push --quiet origin HEAD:main");
    CHECK(run_integrate_step(fixture.context()) == 75);
    CHECK(fixture.outcome().summary == "somebody else pushed to origin/main in the meantime");
    CHECK(marker(fixture) == fixture.outcome().summary);
    CHECK(fixture.remote_subjects() == Lines{"Faster", "Begin"});
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    expect_landed(fixture, {archived, "RQ-0001: Do the work", "By the worker", "Faster", "Begin"});
}

TEST_CASE("a push whose answer is lost has landed") {
    const GitFixture fixture;
    work(fixture);
    // The push arrives, and then the one that is waited for fails.
    GitFixture::write_script(fixture.root() + "/.git/hooks/pre-push",
                             "git push --quiet --no-verify origin HEAD:main; exit 1");
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    expect_landed(fixture, plainly);
    CHECK(contains(fixture.outcome().note, "the answer to the push was lost"));
}

TEST_CASE("a push that the remote refuses is blocked with its words") {
    const GitFixture fixture;
    work(fixture);
    GitFixture::write_script(fixture.remote() + "/hooks/pre-receive",
                             "echo 'main is frozen until Monday' >&2; exit 1");
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "main is frozen until Monday"));
    CHECK(contains(fixture.outcome().summary, "pre-receive hook declined"));
    CHECK(marker(fixture) == fixture.outcome().summary);
    CHECK(fixture.outcome().summary.find('\n') == std::string::npos);
}

TEST_CASE("a remote that cannot be reached is tried again") {
    const GitFixture fixture;
    work(fixture);
    fs::rename(fixture.remote(), fixture.remote() + ".away");
    CHECK(run_integrate_step(fixture.context()) == 69);
    CHECK(contains(fixture.outcome().summary, "does not appear to be a git repository"));
    fs::rename(fixture.remote() + ".away", fixture.remote());
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    expect_landed(fixture, plainly);
}

TEST_CASE("a commit that a hook refuses is blocked with its words") {
    const GitFixture fixture;
    work(fixture);
    GitFixture::write_script(fixture.workspace() + "/.git/hooks/pre-commit",
                             "echo 'no tabs please' >&2; exit 1");
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "no tabs please"));
    CHECK(GitFixture::read(fixture.workspace() + "/left.txt") == "left\n");
}

TEST_CASE("nothing is pushed unless the gate is green" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    auto& argv = context.settings.project.ci_gate.argv;
    SUBCASE("red") {
        argv = {"sh", "-c", "test ! -e work.txt || { echo all is lost; exit 2; }"};
        CHECK(run_integrate_step(context) == 66);
        CHECK(contains(fixture.outcome().summary, "exited with status 2: all is lost; see " + fixture.root() +
                                                      "/.ralph/logs/parallel/gates/ci-"));
        CHECK(contains(fixture.outcome().summary, "; then run `ralph run parallel retry --task RQ-0001`"));
    }
    SUBCASE("too slow, with its children") {
        argv = {"sh", "-c", "test -e work.txt || exit 0; trap '' TERM; sleep 100 & wait; sleep 100"};
        context.settings.supervisor.gate.timeout = std::chrono::milliseconds{500};
        CHECK(run_integrate_step(context) == 66);
        CHECK(contains(fixture.outcome().summary, "ran out of its time"));
    }
    SUBCASE("missing") {
        argv = {"no-such-gate"};
        CHECK(run_integrate_step(context) == 65);
        CHECK(contains(fixture.outcome().summary, "no-such-gate: there is no such program"));
    }
    CHECK(fixture.remote_subjects() == Lines{"Begin"});
    CHECK(marker(fixture) == fixture.outcome().summary);
    CHECK(fixture.git(fixture.workspace(), {"for-each-ref", "refs/ralph"}).empty());
}

TEST_CASE("a gate that is red by chance is run again on the same commit, as often as it may be") {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    const std::string seen = fixture.folder() + "/seen";
    // Red twice, and green without the work; says each time on which commit, and upon which.
    context.settings.project.ci_gate.argv = {
        "sh", "-c",
        "test -e work.txt || exit 0; echo $RALPH_CANDIDATE_SHA $RALPH_BASE_SHA >> '" + seen +
            "'; test $(wc -l < '" + seen + "') = 3"};
    SUBCASE("often enough") {
        context.settings.supervisor.gate.retries = 2;
        CHECK(run_integrate_step(context) == 0);
        expect_landed(fixture, plainly);
        CHECK(contains(fixture.outcome().note, "was red 2 times on the same commit before it was green"));
        const std::string line = fixture.git(fixture.remote(), {"rev-parse", "main"});
        const std::string head = line.substr(0, line.find('\n'));
        const std::string text = GitFixture::read(seen);
        CHECK(text.find(head + " ") == 0);
        const std::string first = text.substr(0, text.find('\n') + 1);
        CHECK(text == first + first + first);
        const std::string base = first.substr(first.find(' ') + 1);
        CHECK(fixture.git(fixture.remote(), {"log", "-1", "--format=%s", base.substr(0, 40)}) == "Begin");
    }
    SUBCASE("not often enough") {
        context.settings.supervisor.gate.retries = 1;
        CHECK(run_integrate_step(context) == 66);
        CHECK(contains(fixture.outcome().summary, "exited with status 1, 2 times; see "));
        CHECK(fixture.remote_subjects() == Lines{"Begin"});
    }
}

TEST_CASE("what has landed is not gated again") {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    context.settings.project.ci_gate.argv = {"sh", "-c", "echo gated >> '" + fixture.folder() + "/seen'"};
    REQUIRE(run_integrate_step(context) == 0);
    REQUIRE(run_integrate_step(context) == 0);  // as after a crash
    CHECK(GitFixture::read(fixture.folder() + "/seen") == "gated\n");
    expect_landed(fixture, plainly);
}

TEST_CASE("what a gate leaves in the background ends with it") {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    const std::string pid = fixture.folder() + "/pid";
    context.settings.project.ci_gate.argv = {"sh", "-c",
                                             "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > \"" + pid +
                                                 "\"; exec sleep 1000' &) & until [ -s '" + pid +
                                                 "' ]; do sleep 0.01; done"};
    CHECK(run_integrate_step(context) == 0);
    CHECK(!daemon::process_exists(static_cast<pid_t>(std::stol(GitFixture::read(pid)))));
}

TEST_CASE("what a green gate leaves is not published") {
    const GitFixture fixture;
    work(fixture);
    auto context = fixture.context();
    context.settings.project.ci_gate.enabled = true;
    auto& argv = context.settings.project.ci_gate.argv;
    argv = {"sh", "-c",
            "test \"$RALPH_GATE\" = ci && test -f left.txt && echo x > coverage.xml && echo x >> a.txt"};
    GitFixture::write_script(fixture.remote() + "/hooks/pre-receive", "exit 1");
    REQUIRE(run_integrate_step(context) == 65);
    CHECK(fixture.git(fixture.workspace(), {"status", "--porcelain"}).empty());
    fs::remove(fixture.remote() + "/hooks/pre-receive");
    REQUIRE(run_integrate_step(context) == 0);
    expect_landed(fixture, plainly);
    CHECK(fixture.remote_file("coverage.xml") == "(missing)");
}

TEST_CASE("a task that is not on the remote cannot be archived") {
    const GitFixture fixture;
    work(fixture);
    fixture.push_by_colleague(".ralph/queue.jsonc", "{\"version\": 1, \"tasks\": []}");
    CHECK(run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "put the task back into queue.jsonc"));
    CHECK(fixture.remote_subjects().size() == 2);
}

// As a power failure may leave it: a ref without content, which git cannot even fetch beside.
TEST_CASE("a place for candidates that cannot be used is made anew in the same run" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    work(fixture);
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    REQUIRE(run_prepare_step(fixture.context("RQ-0002")) == 0);
    GitFixture::write(fixture.workspace("RQ-0002") + "/more.txt", "more\n");
    const std::string place = fixture.lane().folder();
    SUBCASE("a ref without content") {
        GitFixture::write(place + "/refs/ralph/work/RQ-0009", "");
    }
    SUBCASE("a lock that nobody lets go") {
        fs::create_directories(place + "/refs/remotes/origin/main.lock/x");
        fs::remove(place + "/refs/remotes/origin/main");
    }
    fixture.push_by_colleague("b.txt", "b\n");
    CHECK(run_integrate_step(fixture.context("RQ-0002")) == 0);
    CHECK(fixture.remote_file("more.txt") == "more\n");
    CHECK(contains(fixture.outcome().note, "candidates are built in a new place"));
    CHECK(!GitFixture::exists(fixture.workspaces() + "/.integration.old"));
    // What had landed is still known, in the shape in which it did.
    fixture.push_by_colleague("work.txt", "improved\n");
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("work.txt") == "improved\n");
}

TEST_CASE("one of a batch whose workspace is broken is put off, and the others land") {
    const GitFixture fixture;
    work(fixture);
    REQUIRE(run_prepare_step(fixture.context("RQ-0002")) == 0);
    const std::string workspace = fixture.workspace("RQ-0002");
    GitFixture::write(workspace + "/more.txt", "more\n");
    fixture.git(workspace, {"add", "more.txt"});
    fixture.git(workspace, {"commit", "--quiet", "-m", "More"});
    const std::string blob = fixture.git(workspace, {"rev-parse", "HEAD:more.txt"});
    GitFixture::write(workspace + "/more.txt", "even more\n");
    fixture.git(workspace, {"commit", "--quiet", "-am", "Even more"});
    fs::remove(workspace + "/.git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2));
    auto context = fixture.context();
    context.batch = {"RQ-0002"};
    CHECK(run_integrate_step(context) == 0);
    REQUIRE(fixture.outcome().batch.size() == 1);
    CHECK(fixture.outcome().batch[0].task_id == "RQ-0002");
    CHECK(fixture.outcome().batch[0].code != 0);
    CHECK(fixture.remote_file("work.txt") == "work of RQ-0001\n");
    CHECK(fixture.remote_file("more.txt") == "(missing)");
}

TEST_CASE("a handoff packet is written for whoever fixes a conflict, and through no link") {
    const GitFixture fixture;
    work(fixture);
    const std::string place = fixture.workspace() + "/.ralph/cache/parallel/handoffs";
    GitFixture::write(fixture.workspace() + "/a.txt", "mine\n");
    fixture.push_by_colleague("a.txt", "theirs\n");
    SUBCASE("one for each attempt") {
        CHECK(run_integrate_step(fixture.context()) == 66);
        CHECK(run_integrate_step(fixture.context()) == 66);
        const std::string path = place + "/RQ-0001/attempt_2.json";
        auto document = core::JsonDocument::parse(GitFixture::read(path), path);
        REQUIRE(document.has_value());
        const auto& packet = document->root().as_object();
        std::string keys;
        for (const auto& [key, value] : packet) {
            keys += std::string(key) + " ";
        }
        CHECK(keys ==
              "task_id task_title target_branch attempt max_attempts conflict_files git_status phase_summary "
              "task_intent "
              "generated_at queue_done_rules ");
        CHECK(packet.at("conflict_files").as_array().at(0).as_string() == "a.txt");
        CHECK(packet.at("task_intent").as_string() == "Do the work");
        CHECK(packet.at("phase_summary").as_string().starts_with("conflict with origin/main in a.txt"));
    }
    SUBCASE("a link in its place") {
        const std::string outside = fixture.folder() + "/outside";
        fs::create_directories(outside);
        fs::create_directories(fs::path(place).parent_path());
        fs::create_directory_symlink(outside, place);
        CHECK(run_integrate_step(fixture.context()) == 66);
        CHECK(fs::is_empty(outside));
        CHECK(contains(fixture.outcome().note, "no link is followed"));
    }
}
