#include <doctest/doctest.h>

#include <filesystem>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

// What `git add -A` would take into a commit.
std::string publishable(const GitFixture& fixture) {
    return fixture.git(fixture.workspace(), {"status", "--porcelain", "--untracked-files=all"});
}

void mark_done_by_colleague(const GitFixture& fixture) {
    fixture.git(fixture.colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
    core::TaskFile queue = fixture.remote_tasks(".ralph/queue.jsonc");
    core::TaskFile done;
    REQUIRE(core::archive_finished_task(queue, done, "RQ-0001",
                                        core::Instant{std::chrono::seconds{1'771'545'700}})
                .has_value());
    GitFixture::write(fixture.colleague() + "/.ralph/queue.jsonc", core::task_file_text(queue));
    GitFixture::write(fixture.colleague() + "/.ralph/done.jsonc", core::task_file_text(done));
    fixture.commit_and_push(fixture.colleague(), "Done by hand");
}

}  // namespace

TEST_CASE("prepare makes a workspace at the tip of the target branch") {
    const GitFixture fixture;
    fixture.push_by_colleague("b.txt", "newer than what the repository knows\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string tip = fixture.git(fixture.remote(), {"rev-parse", "main"});
    CHECK(fixture.git(fixture.workspace(), {"rev-parse", "HEAD"}) == tip);
    CHECK(fixture.git(fixture.workspace(), {"symbolic-ref", "HEAD"}) == "refs/heads/main");
    CHECK(fixture.git(fixture.workspace(), {"remote", "get-url", "origin"}) == fixture.remote());
    CHECK(fixture.git(fixture.workspace(), {"config", "user.email"}) == "tester@example.org");
    CHECK(GitFixture::read(fixture.workspace() + "/b.txt") == "newer than what the repository knows\n");
    CHECK(fixture.outcome().base_sha == tip);
    CHECK(fixture.outcome().note.empty());
    CHECK(publishable(fixture).empty());
    CHECK_FALSE(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.preparing"));
}

TEST_CASE("prepare uses an identity of its own where git has none, and a relative origin") {
    const GitFixture fixture;
    GitFixture::write(fixture.folder() + "/gitconfig", "[init]\n\tdefaultBranch = main\n");
    fixture.git(fixture.root(), {"remote", "set-url", "origin", "../remote.git"});
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.git(fixture.workspace(), {"config", "--local", "user.name"}) == "ralph");
    CHECK(fixture.git(fixture.workspace(), {"remote", "get-url", "origin"}) == fixture.remote());
    CHECK(fixture.outcome().note.empty());
}

TEST_CASE("prepare on another file system") {
    if (!GitFixture::exists("/dev/shm")) {
        return;
    }
    const GitFixture fixture;
    auto context = fixture.context();
    context.settings.workspace_root = "/dev/shm/" + fs::path(fixture.folder()).filename().string();
    context.workspace = context.settings.workspace("RQ-0001");
    CHECK(run_prepare_step(context) == 0);
    CHECK(GitFixture::exists(context.workspace + "/a.txt"));
    fs::remove_all(context.settings.workspace_root);
}

TEST_CASE("prepare when the repository's files cannot be cloned as files") {
    const GitFixture fixture;
    fs::create_symlink("nowhere", fixture.root() + "/.git/objects/link");
    CHECK(run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::exists(fixture.workspace() + "/a.txt"));
}

TEST_CASE("unpushed commits and branches of the user never get into the workspace") {
    const GitFixture fixture;
    GitFixture::write(fixture.root() + "/secret.txt", "not pushed\n");
    fixture.git(fixture.root(), {"add", "secret.txt"});
    fixture.git(fixture.root(), {"commit", "--quiet", "-m", "Unpushed"});
    fixture.git(fixture.root(), {"branch", "private"});
    SUBCASE("with origin in reach") {}
    SUBCASE("with origin out of reach") {
        fs::rename(fixture.remote(), fixture.remote() + ".away");
    }
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/secret.txt"));
    CHECK(fixture.git(fixture.workspace(), {"for-each-ref", "--format=%(refname)"}) ==
          "refs/heads/main\nrefs/remotes/origin/main");
    CHECK(contains(fixture.outcome().note, "as it was last known") == !GitFixture::exists(fixture.remote()));
}

TEST_CASE("prepare says what is missing") {
    const GitFixture fixture;
    auto context = fixture.context();
    SUBCASE("the branch") {
        context.target_branch = "release";
        CHECK(run_prepare_step(context) == 1);
        CHECK(contains(fixture.outcome().summary, "branch release is not on origin; push it first"));
    }
    SUBCASE("the remote") {
        fixture.git(fixture.root(), {"remote", "remove", "origin"});
        CHECK(run_prepare_step(context) == 1);
        CHECK(contains(fixture.outcome().summary, "has no remote named origin"));
    }
    SUBCASE("the task") {
        context = fixture.context("RQ-0009");
        CHECK(run_prepare_step(context) == 75);
        CHECK(fixture.outcome().summary ==
              "RQ-0009 is not in .ralph/queue.jsonc on origin/main; commit and push the queue");
    }
    SUBCASE("half of the bookkeeping") {
        GitFixture::write(fixture.root() + "/.git/info/exclude", "/.ralph/done.jsonc\n");
        CHECK(run_prepare_step(context) == 1);
        CHECK(contains(fixture.outcome().summary, "commit and push both files, or let git ignore both"));
    }
    CHECK(fs::is_empty(fixture.workspaces()));
}

TEST_CASE("prepare finds what has landed already and brings the checkout forward") {
    const GitFixture fixture;
    SUBCASE("without a workspace") {
        mark_done_by_colleague(fixture);
        CHECK(run_prepare_step(fixture.context()) == 10);
        CHECK(fs::is_empty(fixture.workspaces()));
    }
    SUBCASE("with one") {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        mark_done_by_colleague(fixture);
        CHECK(run_prepare_step(fixture.context()) == 10);
        CHECK(GitFixture::exists(fixture.workspace() + "/a.txt"));
    }
    CHECK(fixture.git(fixture.root(), {"rev-parse", "HEAD"}) ==
          fixture.git(fixture.remote(), {"rev-parse", "main"}));
}

TEST_CASE("prepare asks the repository's own done file when the queue is ignored") {
    const GitFixture fixture(GitFixture::Queue::ignored);
    core::TaskFile queue;
    core::TaskFile done;
    queue.tasks = {core::make_task("RQ-0001", "First task", core::Instant{std::chrono::seconds{1}})};
    REQUIRE(core::archive_finished_task(queue, done, "RQ-0001", core::Instant{std::chrono::seconds{2}})
                .has_value());
    GitFixture::write(fixture.root() + "/.ralph/done.jsonc", core::task_file_text(done));
    CHECK(run_prepare_step(fixture.context()) == 10);
    auto context = fixture.context("RQ-0002");
    REQUIRE(run_prepare_step(context) == 0);
    CHECK(GitFixture::exists(context.workspace + "/.ralph/queue.jsonc"));
    CHECK(GitFixture::exists(context.workspace + "/.ralph/done.jsonc"));
    // Not through a link, wherever it leads.
    fs::create_directory_symlink(fixture.folder() + "/run", fixture.root() + "/linked");
    GitFixture::write(fixture.folder() + "/run/done.jsonc", core::task_file_text(done));
    context.settings.done_relative = "linked/done.jsonc";
    REQUIRE(run_prepare_step(context) == 0);
    CHECK_FALSE(GitFixture::exists(context.workspace + "/linked"));
}

TEST_CASE("what a crash leaves does not matter" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    SUBCASE("half a clone") {
        GitFixture::write(fixture.workspaces() + "/.RQ-0001.preparing/.git/HEAD", "ref: refs/hea");
    }
    SUBCASE("locks") {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        GitFixture::write(fixture.workspace() + "/.git/index.lock", "");
        GitFixture::write(fixture.workspace() + "/.git/config.lock", "");
        GitFixture::write(fixture.workspace() + "/.git/refs/remotes/origin/main.lock", "");
        fixture.push_by_colleague("b.txt", "b\n");
    }
    SUBCASE("a broken repository") {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        GitFixture::write(fixture.workspace() + "/work.txt", "the only copy\n");
        GitFixture::write(fixture.workspace() + "/.git/HEAD", "");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(GitFixture::read(fixture.workspaces() + "/.RQ-0001.broken-1/work.txt") == "the only copy\n");
        CHECK(contains(fixture.outcome().note, ".RQ-0001.broken-1"));
        GitFixture::write(fixture.workspace() + "/.git/HEAD", "");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.broken-2"));
    }
    SUBCASE("a repository elsewhere") {
        GitFixture::write(fixture.workspace() + "/.git", "gitdir: " + fixture.colleague() + "/.git\n");
        GitFixture::write(fixture.colleague() + "/a.txt", "uncommitted\n");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(GitFixture::read(fixture.colleague() + "/a.txt") == "uncommitted\n");
        CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.broken-1/.git"));
    }
    SUBCASE("no repository at all, inside another one") {
        fixture.git(fixture.folder(), {"init", "--quiet", fixture.folder()});
        GitFixture::write(fixture.workspace() + "/work.txt", "the only copy\n");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.broken-1/work.txt"));
    }
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.git(fixture.workspace(), {"rev-parse", "HEAD"}) ==
          fixture.git(fixture.remote(), {"rev-parse", "main"}));
    CHECK(publishable(fixture).empty());
    CHECK_FALSE(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.preparing"));
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/.git/rebase-merge"));
}

TEST_CASE("commits on a side branch of a workspace are kept, too") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    fixture.git(workspace, {"checkout", "--quiet", "-b", "side"});
    GitFixture::write(workspace + "/side.txt", "side\n");
    fixture.git(workspace, {"add", "side.txt"});
    fixture.git(workspace, {"commit", "--quiet", "-m", "Aside"});
    fixture.git(workspace, {"checkout", "--quiet", "-"});
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    REQUIRE(fixture.kept_refs().size() == 1);
    CHECK(fixture.git(fixture.root(), {"show", "refs/ralph/kept/RQ-0001/1:side.txt"}) == "side");
}

TEST_CASE("what a workspace holds is kept before it is used again" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string workspace = fixture.workspace();
    GitFixture::write(workspace + "/a.txt", "committed\n");
    fixture.git(workspace, {"commit", "--quiet", "-am", "Committed"});
    GitFixture::write(workspace + "/a.txt", "changed\n");
    GitFixture::write(workspace + "/new.txt", "new\n");
    GitFixture::write(workspace + "/forced.local", "ignored, but added\n");
    fixture.git(workspace, {"add", "--force", "forced.local"});
    GitFixture::write(workspace + "/build/x", "ignored\n");
    fixture.git(workspace, {"branch", "side"});
    GitFixture::write(workspace + "/.ralph/cache/parallel/blocked_push.json", "{}");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    REQUIRE(fixture.kept_refs().size() == 1);
    CHECK(contains(fixture.outcome().note, "refs/ralph/kept/RQ-0001/1"));
    // The workspace goes on as it is.
    CHECK(GitFixture::read(workspace + "/a.txt") == "changed\n");
    CHECK(GitFixture::read(workspace + "/new.txt") == "new\n");
    CHECK(fixture.git(workspace, {"log", "-1", "--format=%s"}) == "Committed");
    CHECK_FALSE(GitFixture::exists(workspace + "/.ralph/cache/parallel/blocked_push.json"));
    const std::string kept = "refs/ralph/kept/RQ-0001/1";
    CHECK(fixture.git(fixture.root(), {"show", kept + ":a.txt"}) == "changed");
    CHECK(fixture.git(fixture.root(), {"show", kept + ":new.txt"}) == "new");
    CHECK(fixture.git(fixture.root(), {"show", kept + ":forced.local"}) == "ignored, but added");
    CHECK(fixture.git(fixture.root(), {"log", "-1", "--format=%s", kept + "^"}) == "Committed");
    CHECK(fixture.git(fixture.root(), {"ls-tree", "-r", "--name-only", kept, "build"}).empty());

    SUBCASE("once") {
        GitFixture::write(workspace + "/new.txt", "again\n");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        GitFixture::write(workspace + "/new.txt", "again\n");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(fixture.kept_refs().size() == 2);
    }
    SUBCASE("also after a fetch was killed") {
        GitFixture::write(fixture.root() + "/.git/refs/ralph/kept/RQ-0001/2.lock", "");
        GitFixture::write(workspace + "/new.txt", "again\n");
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(fixture.kept_refs().size() == 2);
    }
    SUBCASE("or the whole workspace is quarantined") {
        fixture.git(workspace, {"init", "--quiet", "inner"});
        GitFixture::write(workspace + "/inner/x", "x\n");
        fixture.git(workspace + "/inner", {"add", "x"});
        fixture.git(workspace + "/inner", {"commit", "--quiet", "-m", "Inner"});
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        CHECK(GitFixture::read(fixture.workspaces() + "/.RQ-0001.broken-1/inner/x") == "x\n");
    }
}

TEST_CASE("a workspace that knows more of origin than the repository keeps knowing it") {
    const GitFixture fixture;
    fixture.push_by_colleague("b.txt", "b\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    fs::rename(fixture.remote(), fixture.remote() + ".away");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::exists(fixture.workspace() + "/b.txt"));
}

TEST_CASE("files that git does not carry are copied and cannot be published" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    const std::string root = fixture.root();
    GitFixture::write(root + "/.ralph/tracked.md", "as committed\n");
    fixture.commit_and_push(root, "Track a file");
    GitFixture::write(root + "/.ralph/tracked.md", "an uncommitted edit\n");
    GitFixture::write(root + "/.ralph/config.jsonc", R"({"version": 2})");
    GitFixture::write(root + "/.ralph/prompts/a b#.md", "prompt\n");
    GitFixture::write(root + "/.ralph/cache/x", "run-time\n");
    GitFixture::write(root + "/.ralph/queue.jsonc",
                      "{\"version\": 1, \"tasks\": [] }");  // an uncommitted edit
    GitFixture::write(root + "/.env", "A=1\n");
    GitFixture::write(root + "/sub/.env.test", "B=1\n");
    GitFixture::write(root + "/conf/deep/er/x.local", "local\n");
    GitFixture::write(root + "/other.local", "not allowed\n");
    GitFixture::write(root + "/node_modules/m/.env", "denied\n");
    GitFixture::write(fixture.folder() + "/outside", "outside\n");
    fs::create_symlink(fixture.folder() + "/outside", root + "/.env.link");
    fs::create_directory_symlink(fixture.folder() + "/run", root + "/.ralph/linked");
    GitFixture::write(fixture.folder() + "/run/inside", "outside\n");
    auto context = fixture.context();
    context.settings.project.parallel.ignored_file_allowlist = {"conf/**/*.local"};
    REQUIRE(run_prepare_step(context) == 0);
    const std::string workspace = fixture.workspace();
    for (const char* path : {"/.ralph/prompts/a b#.md", "/.ralph/config.jsonc", "/.env", "/sub/.env.test",
                             "/conf/deep/er/x.local"}) {
        CAPTURE(path);
        CHECK(GitFixture::read(workspace + path) == GitFixture::read(root + path));
    }
    for (const char* path :
         {"/.ralph/cache", "/other.local", "/node_modules", "/.env.link", "/.ralph/linked"}) {
        CAPTURE(path);
        CHECK_FALSE(GitFixture::exists(workspace + path));
    }
    CHECK(GitFixture::read(workspace + "/.ralph/tracked.md") == "as committed\n");
    CHECK(contains(GitFixture::read(workspace + "/.ralph/queue.jsonc"), "RQ-0001"));
    GitFixture::write(workspace + "/.ralph/trust.jsonc", "{}");
    CHECK(publishable(fixture).empty());

    SUBCASE("what the user removes goes away") {
        fs::remove_all(root + "/.ralph/prompts");
        REQUIRE(run_prepare_step(context) == 0);
        CHECK_FALSE(GitFixture::exists(workspace + "/.ralph/prompts/a b#.md"));
        CHECK(publishable(fixture).empty());
        const std::string exclude = GitFixture::read(workspace + "/.git/info/exclude");
        CHECK(exclude.find("ralph: begin") == exclude.rfind("ralph: begin"));
    }
    SUBCASE("a link in the workspace is replaced, not written through") {
        fs::remove(workspace + "/.env");
        fs::create_symlink(fixture.folder() + "/outside", workspace + "/.env");
        REQUIRE(run_prepare_step(context) == 0);
        CHECK(GitFixture::read(fixture.folder() + "/outside") == "outside\n");
        CHECK(GitFixture::read(workspace + "/.env") == "A=1\n");
    }
    SUBCASE("what .gitignore asks for is not left there") {
        fixture.push_by_colleague(".gitignore", ".ralph/cache/\n.ralph/lock\n*.local\n!.env\n");
        REQUIRE(run_prepare_step(context) == 0);
        CHECK_FALSE(GitFixture::exists(workspace + "/.env"));
        CHECK(contains(fixture.outcome().note, ".env"));
        CHECK(publishable(fixture).empty());
    }
}
