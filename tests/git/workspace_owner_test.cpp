// A workspace belongs to one repository and to one task.
#include <doctest/doctest.h>
#include <stdlib.h>  // setenv
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/queue/queue_edit.h"
#include "daemon/git/trust.h"
#include "daemon/landing/integrate.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "daemon/store/repository_folder.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/neighbours.h"
#include "daemon/workspace/workspace_owner.h"
#include "tests/support/git_fixture.h"
#include "tests/support/refused_calls.h"
#include "tests/support/text.h"

using namespace ralph;
using daemon::Belonging;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

// The task as the supervisor keeps it, made at that second.
void make_task(const GitFixture& fixture, std::int64_t second) {
    const core::Task task =
        core::make_task("RQ-0001", "First task", core::Instant{std::chrono::seconds{second}});
    REQUIRE(daemon::keep_task({fixture.root()}, task).has_value());
}

std::int64_t now_in_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

TEST_CASE("the workspace of another repository is not touched") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/half-done.txt", "theirs\n");
    auto context = fixture.context();
    context.settings.paths.root = fixture.colleague();
    for (const auto& step : {daemon::run_prepare_step, daemon::run_discard_step}) {
        CHECK(step(context) == 1);
        CHECK(contains(fixture.outcome().summary, "belongs to the repository " + fixture.root() + "/.git"));
    }
    CHECK(daemon::run_integrate_step(context) == 65);
    CHECK(GitFixture::read(fixture.workspace() + "/half-done.txt") == "theirs\n");
    CHECK(fixture.git(fixture.colleague(), {"for-each-ref", "refs/ralph"}).empty());
}

TEST_CASE("the workspace of a repository that was moved away is taken over") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    auto context = fixture.context();
    fs::rename(fixture.root(), fixture.folder() + "/moved");
    context.settings.paths.root = fixture.folder() + "/moved";
    CHECK(daemon::run_prepare_step(context) == 0);
    CHECK(context.settings.paths.root + "/.git" ==
          daemon::read_owner(daemon::Git(fixture.workspace())).value()->repository);
}

TEST_CASE("the workspace of another task with the same id is kept as that one's, and quarantined") {
    const GitFixture fixture;
    make_task(fixture, 1'771'545'600);
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/half-done.txt", "of the first\n");
    make_task(fixture, 1'771'545'601);
    CHECK(daemon::run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "the workspace of another task RQ-0001"));
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(contains(fixture.outcome().note,
                   "what another task of this id has left is kept as "
                   "refs/ralph/kept/RQ-0001/1"));
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/half-done.txt"));
    CHECK(GitFixture::exists(fixture.workspaces() + "/.RQ-0001.broken-1/half-done.txt"));
    CHECK(contains(fixture.git(fixture.root(), {"log", "-1", "--format=%B", "refs/ralph/kept/RQ-0001/1"}),
                   "Task created: 2026-02-20T00:00:00"));
    // Nor does it go on from that when its own workspace is gone.
    fs::remove_all(fixture.workspace());
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/half-done.txt"));
    // But the first task does.
    make_task(fixture, 1'771'545'600);
    fs::remove_all(fixture.workspace());
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + "/half-done.txt") == "of the first\n");
}

TEST_CASE("kept work that tells no task is another's if it was kept before this one was made") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    REQUIRE(daemon::run_discard_step(fixture.context()) == 0);
    REQUIRE(fixture.kept_refs().size() == 1);
    const daemon::Git repository(fixture.root());
    const auto at = [](std::int64_t second) {
        return core::format_rfc3339(core::Instant{std::chrono::seconds{second}});
    };
    CHECK(daemon::kept_to_go_on_from(repository, "RQ-0001", "").value().has_value());
    CHECK(daemon::kept_to_go_on_from(repository, "RQ-0001", at(now_in_seconds() - 1000)).value().has_value());
    CHECK_FALSE(
        daemon::kept_to_go_on_from(repository, "RQ-0001", at(now_in_seconds() + 1000)).value().has_value());
}

TEST_CASE("a workspace without an owner is claimed, and one that says nothing sensible too") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string file = fixture.workspace() + "/.git/ralph-owner";
    const std::string owner = GitFixture::read(file);
    CHECK(contains(owner, fixture.root() + "/.git"));
    SUBCASE("none") {
        fs::remove(file);
    }
    SUBCASE("nonsense") {
        GitFixture::write(file, "{\"repository\": 1");
    }
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.outcome().note.empty());
    CHECK(GitFixture::read(file) == owner);
}

TEST_CASE("a workspace in which a living process of another tool works is left alone") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/half-done.txt", "theirs\n");
    const std::string lock = fixture.workspace() + "/.ralph/lock/owner";
    const auto text = [](pid_t pid) {
        return "pid: " + std::to_string(pid) +
               "\nstarted_at: 2026-01-01T00:00:00Z\ncommand: ralph run one\nlabel: run one\n";
    };
    GitFixture::write(lock, text(::getpid()));
    CHECK(daemon::run_prepare_step(fixture.context()) == 71);
    CHECK(contains(fixture.outcome().summary, "process " + std::to_string(::getpid()) + " (ralph run one)"));
    CHECK(daemon::run_discard_step(fixture.context()) == 1);
    CHECK(fixture.kept_refs().empty());
    SUBCASE("until it has ended") {
        GitFixture::write(lock, text(0x3fffffff));
    }
    SUBCASE("unless the process has only got its number") {
        fs::last_write_time(lock, fs::file_time_type::clock::now() - std::chrono::hours(24 * 365 * 20));
    }
    SUBCASE("unless the lock is a link") {
        fs::rename(lock, fixture.folder() + "/owner");
        fs::create_symlink(fixture.folder() + "/owner", lock);
    }
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
}

TEST_CASE("a workspace root is one repository's for as long as that is there") {
    const GitFixture fixture;
    auto ours = fixture.context().settings;
    auto theirs = ours;
    theirs.paths.root = fixture.colleague();
    CHECK(daemon::claim_workspace_root(ours).has_value());
    CHECK(daemon::claim_workspace_root(ours).has_value());
    const auto refused = daemon::claim_workspace_root(theirs);
    REQUIRE_FALSE(refused.has_value());
    CHECK(
        contains(refused.error().message, fixture.root() + "/.git, not to " + fixture.colleague() + "/.git"));
    // By another way to the same repository.
    fs::create_directory_symlink(fixture.root(), fixture.folder() + "/link");
    auto linked = ours;
    linked.paths.root = fixture.folder() + "/link";
    CHECK(daemon::claim_workspace_root(linked).has_value());
    fs::rename(fixture.root(), fixture.folder() + "/moved");
    CHECK(daemon::claim_workspace_root(theirs).has_value());
}

TEST_CASE("a workspace root for all repositories has a folder for each of them") {
    const GitFixture fixture;
    const std::string shared = fixture.folder() + "/shared";
    GitFixture::write(fixture.folder() + "/xdg/ralph/config.jsonc",
                      "{\"version\": 2, \"parallel\": {\"workspace_root\": \"" + shared + "\"}}");
    fixture.git(fixture.root(), {"worktree", "add", "--quiet", fixture.folder() + "/tree", "-b", "side"});
    const auto root_of = [](const std::string& root) {
        return daemon::load_settings(root).value().workspace_root;
    };
    const std::string ours = root_of(fixture.root());
    CHECK(ours.rfind(shared + "/repo-", 0) == 0);
    CHECK(ours.size() == shared.size() + 6 + 8);
    CHECK(root_of(fixture.folder() + "/tree") == ours);
    CHECK(root_of(fixture.colleague()) != ours);
    GitFixture::write(fixture.root() + "/.ralph/config.jsonc",
                      "{\"version\": 2, \"parallel\": {\"workspace_root\": \"" + shared + "\"}}");
    CHECK(root_of(fixture.root()) == shared);
}

TEST_CASE("another clone with a living supervisor is known of") {
    const GitFixture fixture;
    ::setenv("XDG_STATE_HOME", (fixture.folder() + "/state").c_str(), 1);
    const auto ours = fixture.context().settings;
    auto theirs = ours;
    theirs.paths.root = fixture.colleague();
    daemon::tell_neighbours(theirs);
    CHECK(daemon::living_neighbours(ours).empty());
    fs::create_directories(theirs.paths.parallel());
    {
        const auto lock = daemon::SupervisorLock::acquire(theirs.paths, "2026-02-20T00:00:00Z");
        REQUIRE(lock.has_value());
        CHECK(daemon::living_neighbours(ours) == std::vector<std::string>{fixture.colleague()});
        CHECK(daemon::living_neighbours(theirs).empty());
        fixture.git(fixture.root(), {"remote", "set-url", "origin", "/elsewhere"});
        CHECK(daemon::living_neighbours(ours).empty());
    }
    ::unsetenv("XDG_STATE_HOME");
}

TEST_CASE("a linked working tree is the same repository: no second supervisor") {
    const GitFixture fixture;
    fixture.git(fixture.root(), {"worktree", "add", "--quiet", fixture.folder() + "/tree", "-b", "side"});
    const daemon::Paths tree{fixture.folder() + "/tree"};
    CHECK(daemon::common_git_folder(tree.root) == fixture.root() + "/.git");
    CHECK(daemon::common_git_folder(fixture.root()) == fixture.root() + "/.git");
    fs::create_directories(tree.parallel());
    fs::create_directories(daemon::Paths{fixture.root()}.parallel());
    const std::string now = "2026-02-20T00:00:00Z";
    {
        const auto first = daemon::SupervisorLock::acquire({fixture.root()}, now);
        REQUIRE(first.has_value());
        const auto second = daemon::SupervisorLock::acquire(tree, now);
        REQUIRE_FALSE(second.has_value());
        CHECK(contains(second.error().message, fixture.root() + "/.git"));
    }
    CHECK(daemon::SupervisorLock::acquire(tree, now).has_value());
}

TEST_CASE("what a kill leaves of a claim to a workspace root is taken by the next start") {
    const GitFixture fixture;
    const auto settings = fixture.context().settings;
    const auto names = [&] {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(settings.workspace_root)) {
            if (const std::string name = entry.path().filename().string(); name.front() == '.') {
                found.push_back(name);
            }
        }
        return found;
    };
    // As if it had been killed before its file got its name.
    CHECK(ralph::tests::status_in_child([&] {
              ralph::tests::refuse_call(SYS_renameat2, EIO);
              ralph::tests::refuse_call(SYS_unlink, EIO);
              return daemon::claim_workspace_root(settings).has_value() ? 1 : 0;
          }) == 0);
    REQUIRE(names().size() == 1);
    CHECK(names().front() != ".ralph-repository");
    CHECK(daemon::claim_workspace_root(settings).has_value());
    CHECK(names() == std::vector<std::string>{".ralph-repository"});
}
