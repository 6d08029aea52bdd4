#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/steps/steps.h"
#include "tests/support/git_fixture.h"

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
    CHECK(fixture.kept_refs("RQ-0007").empty());
    CHECK(fixture.kept_refs("RQ-0008").size() == 1);
    REQUIRE(fixture.kept_refs().size() == 1);
    CHECK(fixture.git(fixture.root(), {"rev-parse", "refs/ralph/kept/RQ-0001/1^"}) == old);
}
