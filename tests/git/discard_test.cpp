#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/os/clock.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "daemon/workspace/bookkeeping.h"
#include "daemon/workspace/quarantine.h"
#include "daemon/workspace/workspace.h"
#include "tests/support/git_fixture.h"
#include "tests/support/notes.h"

using namespace ralph;
using tests::GitFixture;
namespace fs = std::filesystem;

TEST_CASE("discard keeps what is not on the remote and removes the workspace") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(fs::is_empty(fixture.workspaces()));
    CHECK(fixture.git(fixture.root(), {"show", "refs/ralph/kept/RQ-0001/1:work.txt"}) == "work");
    CHECK(fixture.outcome().note == "what the workspace held is kept as refs/ralph/kept/RQ-0001/1");
    // The commit is whole without the workspace.
    fixture.git(fixture.root(), {"rev-list", "--objects", "refs/ralph/kept/RQ-0001/1"});
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(fixture.kept_refs().size() == 1);
}

TEST_CASE("discard removes an untouched workspace and keeps nothing") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    REQUIRE(run_prepare_step(fixture.context("RQ-0002")) == 0);
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(fixture.kept_refs().empty());
    CHECK(GitFixture::exists(fixture.workspace("RQ-0002") + "/a.txt"));
}

TEST_CASE("discard removes nothing that it cannot keep") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    SUBCASE("since the workspace is broken") {
        GitFixture::write(fixture.workspace() + "/.git/HEAD", "");
    }
    SUBCASE("since the repository cannot take it") {
        fs::rename(fixture.root() + "/.git", fixture.root() + "/git");
    }
    SUBCASE("since it is a repository of its own") {
        fs::copy(fixture.colleague(), fixture.workspace() + "/inner", fs::copy_options::recursive);
    }
    CHECK(run_discard_step(fixture.context()) == 1);
    CHECK(GitFixture::read(fixture.workspace() + "/work.txt") == "work\n");
    CHECK(fixture.outcome().summary.find("is not removed, since") != std::string::npos);
}

TEST_CASE("discard goes on where it was interrupted, and follows no link") {
    const GitFixture fixture;
    GitFixture::write(fixture.folder() + "/precious/file", "precious\n");
    GitFixture::write(fixture.workspaces() + "/.RQ-0001.discarded/half", "removed\n");
    GitFixture::write(fixture.workspaces() + "/.RQ-0001.broken-1/work", "somebody's\n");
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    fs::create_directory_symlink(fixture.folder() + "/precious", fixture.workspace() + "/link");
    fs::create_directory_symlink(fixture.folder() + "/precious",
                                 fixture.workspaces() + "/.RQ-0001.discarded/link");
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.folder() + "/precious/file") == "precious\n");
    CHECK(GitFixture::read(fixture.workspaces() + "/.RQ-0001.broken-1/work") == "somebody's\n");
    CHECK_FALSE(GitFixture::exists(fixture.workspace()));
    CHECK_FALSE(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.discarded"));
}

TEST_CASE("kept work is deleted when its retention has ended, counted from when it was kept") {
    const GitFixture fixture;
    const auto commit_then = [&](const std::string& date) {
        return *daemon::Git(fixture.root())
                    .with_environment("GIT_COMMITTER_DATE", date)
                    .line({"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "kept"});
    };
    fixture.git(fixture.root(),
                {"update-ref", "refs/ralph/kept/RQ-0007/1", commit_then("2001-01-01T00:00:00Z")});
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0008/1",
                                 fixture.git(fixture.root(), {"rev-parse", "HEAD"})});
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    const std::string old = *daemon::Git(fixture.workspace())
                                 .with_environment("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
                                 .line({"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Old work"});
    fixture.git(fixture.workspace(), {"reset", "--quiet", "--hard", old});
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(fixture.kept_refs("RQ-0007").size() == 1);  // noted
    tests::age_notes({fixture.root()}, "kept");
    CHECK(run_discard_step(fixture.context()) == 0);
    CHECK(fixture.kept_refs("RQ-0007").empty());
    CHECK(fixture.kept_refs("RQ-0008").size() == 1);
    REQUIRE(fixture.kept_refs().size() == 1);
    CHECK(fixture.git(fixture.root(), {"rev-parse", "refs/ralph/kept/RQ-0001/1^"}) == old);
}

TEST_CASE("what was quarantined goes when its retention has ended, and what git can read of it is kept") {
    const GitFixture fixture;
    const std::string root = fixture.workspaces();
    for (const char* name : {"usable", "nested", "unreadable"}) {
        REQUIRE(run_prepare_step(fixture.context()) == 0);
        GitFixture::write(fixture.workspace() + "/work.txt", std::string(name) + "\n");
        if (std::string_view(name) == "nested") {
            fs::copy(fixture.colleague(), fixture.workspace() + "/inner", fs::copy_options::recursive);
        }
        if (std::string_view(name) == "unreadable") {
            GitFixture::write(fixture.workspace() + "/.git/HEAD", "");
        }
        REQUIRE(daemon::quarantine_workspace(fixture.context().settings, "RQ-0001").has_value());
    }
    GitFixture::write(root + "/.RQ-0002.discarded/half", "removed\n");
    GitFixture::write(root + "/.RQ-0002.preparing/half", "made\n");
    GitFixture::write(root + "/.no-task-of-ours", "somebody's\n");
    const auto settings = fixture.context().settings;
    const auto later = [now = daemon::present_moment()](core::Milliseconds time) {
        return core::Moment{now.monotonic + time, now.wall + time};
    };
    REQUIRE(daemon::list_quarantined(settings)->size() == 5);
    const auto young = daemon::prune_quarantined(settings, later(std::chrono::hours(0)));
    REQUIRE(young.has_value());
    CHECK(young->removed.empty());
    CHECK(daemon::list_quarantined(settings)->size() == 5);

    const auto first = daemon::prune_quarantined(settings, later(std::chrono::hours(24 * 15)));
    REQUIRE(first.has_value());
    CHECK(first->noted.size() == 5);
    CHECK(first->removed.empty());
    const auto old = daemon::prune_quarantined(settings, later(std::chrono::hours(24 * 16 + 1)));
    REQUIRE(old.has_value());
    CHECK(old->removed.size() == 4);
    CHECK(old->made == std::vector<std::string>{"refs/ralph/kept/RQ-0001/1"});
    CHECK(fixture.git(fixture.root(), {"show", "refs/ralph/kept/RQ-0001/1:work.txt"}) == "usable");
    REQUIRE(old->stayed.size() == 1);
    CHECK(old->stayed.front().find("git repository of its own") != std::string::npos);
    CHECK(GitFixture::read(root + "/.RQ-0001.broken-2/work.txt") == "nested\n");
    CHECK(daemon::list_quarantined(settings)->size() == 1);
    CHECK(GitFixture::exists(root + "/.no-task-of-ours"));
}

TEST_CASE("every discard looks for what was quarantined long ago") {
    const GitFixture fixture;
    GitFixture::write(fixture.workspaces() + "/.RQ-0009.broken-1/work", "nobody's any more\n");
    auto context = fixture.context();
    CHECK(run_discard_step(context) == 0);
    CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0009.broken-1"));
    context.settings.supervisor.kept_work_retention = std::chrono::seconds{-10};
    CHECK(run_discard_step(context) == 0);
    CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0009.broken-1"));
    CHECK(run_discard_step(context) == 0);
    CHECK_FALSE(GitFixture::exists(fixture.workspaces() + "/.RQ-0009.broken-1"));
    CHECK(fixture.outcome().note.find(".RQ-0009.broken-1 was quarantined long ago") != std::string::npos);
}
