// Workspaces whose .git leads elsewhere: no git runs there, nothing elsewhere is touched, and nothing of it
// is taken for the worker's.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "daemon/git/plain_git.h"
#include "daemon/landing/integrate.h"
#include "daemon/os/folder.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/refused_calls.h"
#include "tests/support/text.h"

using namespace ralph;
using daemon::Folder;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

// Puts the real thing outside of the workspace, and a link in its place.
void move_out(const GitFixture& fixture, const std::string& name) {
    const std::string place = fixture.workspace() + "/.git/" + name;
    const std::string away = fixture.folder() + "/away";
    fs::rename(place, away);
    fs::create_symlink(away, place);
}

}  // namespace

TEST_CASE("a workspace whose git folder leads elsewhere is quarantined, and the task says why") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    const std::string git = fixture.workspace() + "/.git";
    const std::string elsewhere = fixture.folder() + "/elsewhere";
    GitFixture::write(elsewhere + "/keep.lock", "theirs\n");
    GitFixture::write(elsewhere + "/file", "theirs\n");
    std::string why = "is a symbolic link";
    SUBCASE("HEAD") {
        move_out(fixture, "HEAD");
    }
    SUBCASE("config") {
        move_out(fixture, "config");
    }
    SUBCASE("index") {
        move_out(fixture, "index");
    }
    SUBCASE("objects") {
        move_out(fixture, "objects");
    }
    SUBCASE("a folder of objects") {
        move_out(fixture, "objects/info");
    }
    SUBCASE("info") {
        move_out(fixture, "info");
    }
    SUBCASE("logs") {
        move_out(fixture, "logs");
    }
    SUBCASE("a log") {
        move_out(fixture, "logs/HEAD");
    }
    SUBCASE("hooks") {
        fs::remove_all(git + "/hooks");
        fs::create_directory_symlink(elsewhere, git + "/hooks");
    }
    SUBCASE("packed refs") {
        fs::remove(git + "/packed-refs");
        fs::create_symlink(elsewhere + "/file", git + "/packed-refs");
    }
    SUBCASE("refs, all packed") {
        fixture.git(fixture.workspace(), {"pack-refs", "--all"});
        fs::remove_all(git + "/refs");
        fs::create_directory_symlink(elsewhere, git + "/refs");
    }
    SUBCASE("refs/heads") {
        fixture.git(fixture.workspace(), {"pack-refs", "--all"});
        fs::remove_all(git + "/refs/heads");
        fs::create_directory_symlink(elsewhere, git + "/refs/heads");
    }
    SUBCASE("a name of ours") {
        fs::create_symlink(elsewhere + "/file", git + "/ralph-keeping-index");
    }
    SUBCASE("the lock of a name of ours") {
        fs::create_symlink(elsewhere + "/file", git + "/ralph-keeping-index.lock");
    }
    SUBCASE("what git writes a message to") {
        fs::create_symlink(elsewhere + "/file", git + "/COMMIT_EDITMSG");
    }
    SUBCASE("a pipe") {
        why = "is neither a file nor a folder";
        REQUIRE(::mkfifo((git + "/MERGE_RR").c_str(), 0600) == 0);
    }
    SUBCASE("the folder itself") {
        why = "is no folder of its own";
        fs::rename(git, fixture.folder() + "/away");
        fs::create_directory_symlink(fixture.folder() + "/away", git);
    }
    SUBCASE("a file in the place of the folder") {
        why = "is no folder of its own";
        fs::remove_all(git);
        GitFixture::write(git, "gitdir: " + fixture.root() + "/.git\n");
    }
    SUBCASE("a folder that is shared with another repository") {
        why = "makes it a part of another repository";
        GitFixture::write(git + "/commondir", fixture.root() + "/.git\n");
    }
    SUBCASE("objects of the user's") {
        why = "borrows from";
        GitFixture::write(git + "/objects/info/alternates", fixture.root() + "/.git/objects\n");
    }
    SUBCASE("objects of a server") {
        why = "names objects elsewhere";
        GitFixture::write(git + "/objects/info/http-alternates", "http://git.invalid/\n");
    }
    SUBCASE("another history") {
        why = "tells another history";
        GitFixture::write(git + "/info/grafts", "");
    }
    SUBCASE("a history that is cut off") {
        why = "cuts its history off";
        GitFixture::write(git + "/shallow", fixture.git(fixture.workspace(), {"rev-parse", "HEAD"}) + "\n");
    }
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(contains(fixture.outcome().note, "the old workspace was moved to"));
    CHECK(contains(fixture.outcome().note, why));
    CHECK(GitFixture::read(fixture.workspaces() + "/.RQ-0001.broken-1/work.txt") == "work\n");
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/work.txt"));
    CHECK(GitFixture::read(elsewhere + "/keep.lock") == "theirs\n");
    CHECK(GitFixture::read(elsewhere + "/file") == "theirs\n");
    CHECK(fixture.kept_refs().empty());
}

TEST_CASE("a workspace whose git folder leads elsewhere is neither landed nor removed") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string before = fixture.git(fixture.root(), {"rev-parse", "refs/heads/main"});
    GitFixture::write(fixture.root() + "/secret.txt", "not pushed\n");
    fixture.git(fixture.root(), {"add", "secret.txt"});
    fixture.git(fixture.root(), {"commit", "--quiet", "-m", "Not pushed"});
    const std::string config = GitFixture::read(fixture.root() + "/.git/config");
    GitFixture::write(fixture.workspace() + "/.git/commondir", fixture.root() + "/.git\n");
    CHECK(daemon::run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "commondir"));
    CHECK(fixture.git(fixture.remote(), {"rev-parse", "main"}) == before);
    CHECK(daemon::run_discard_step(fixture.context()) == 1);
    CHECK(GitFixture::exists(fixture.workspace() + "/.git/commondir"));
    CHECK(GitFixture::read(fixture.root() + "/.git/config") == config);
}

TEST_CASE("objects that the repository itself borrows may be borrowed in its workspaces") {
    const GitFixture fixture;
    const std::string lender = fixture.folder() + "/lender.git";
    fixture.git(fixture.folder(), {"clone", "--quiet", "--bare", fixture.remote(), lender});
    GitFixture::write(fixture.root() + "/.git/objects/info/alternates", "../../../lender.git/objects\n");
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::exists(fixture.workspace() + "/.git/objects/info/alternates"));
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.outcome().note.empty());
}

TEST_CASE("locks are removed in a workspace's own refs alone") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/.git/refs/heads/deep/main.lock", "");
    GitFixture::write(fixture.workspace() + "/.git/index.lock", "");
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/.git/refs/heads/deep/main.lock"));
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/.git/index.lock"));
}

TEST_CASE("a working tree elsewhere is neither read nor written") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string precious = fixture.folder() + "/precious";
    GitFixture::write(precious + "/diary.txt", "mine\n");
    GitFixture::write(precious + "/a.txt", "mine\n");
    SUBCASE("by core.worktree") {
        fixture.git(fixture.workspace(), {"config", "core.worktree", precious});
    }
    SUBCASE("by the settings of a linked working tree") {
        fixture.git(fixture.workspace(), {"config", "extensions.worktreeConfig", "true"});
        GitFixture::write(fixture.workspace() + "/.git/config.worktree",
                          "[core]\n\tworktree = " + precious + "\n");
    }
    SUBCASE("by an include") {
        GitFixture::write(fixture.folder() + "/included", "[core]\n\tworktree = " + precious + "\n");
        fixture.git(fixture.workspace(), {"config", "include.path", fixture.folder() + "/included"});
    }
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    fixture.push_by_colleague("b.txt", "b\n");
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + "/work.txt") == "work\n");
    CHECK(GitFixture::read(precious + "/a.txt") == "mine\n");
    CHECK(GitFixture::exists(precious + "/diary.txt"));
    CHECK_FALSE(GitFixture::exists(precious + "/b.txt"));
    CHECK(daemon::run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("work.txt") == "work\n");
    CHECK(fixture.remote_file("diary.txt") == "(missing)");
}

TEST_CASE("a repository within a workspace whose git folder leads out of it blocks the task") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string inner = fixture.workspace() + "/inner";
    const std::string theirs = fixture.folder() + "/theirs";
    fixture.git(fixture.folder(), {"clone", "--quiet", fixture.remote(), theirs});
    fs::create_directories(inner);
    SUBCASE("by a file") {
        GitFixture::write(inner + "/.git", "gitdir: " + theirs + "/.git\n");
    }
    SUBCASE("by a relative path") {
        GitFixture::write(inner + "/.git", "gitdir: ../../../../../theirs/.git\n");
    }
    SUBCASE("by a link") {
        fs::create_directory_symlink(theirs + "/.git", inner + "/.git");
    }
    SUBCASE("by a common folder") {
        fs::copy(theirs + "/.git", inner + "/.git", fs::copy_options::recursive);
        GitFixture::write(inner + "/.git/commondir", theirs + "/.git\n");
    }
    CHECK(daemon::run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "inner/.git"));
    // What is ignored does not matter.
    fs::create_directories(fixture.workspace() + "/build");
    fs::rename(inner, fixture.workspace() + "/build/inner");
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    CHECK(daemon::run_integrate_step(fixture.context()) == 0);
}

TEST_CASE("what git cannot add blocks at once") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    fixture.git(fixture.workspace(), {"init", "--quiet", "empty"});
    CHECK(daemon::run_integrate_step(fixture.context()) == 65);
    CHECK(contains(fixture.outcome().summary, "does not have a commit checked out"));
}

TEST_CASE("a folder that cannot be read is told, unless it is ignored") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/out/result", "result\n");
    GitFixture::write(fixture.workspace() + "/build/result", "ignored\n");
    for (const char* name : {"/out", "/build"}) {
        fs::permissions(fixture.workspace() + name, fs::perms::none);
    }
    // root reads everything, so it looks as somebody else for a moment.
    constexpr uid_t somebody = 4321;
    const bool is_root = ::geteuid() == 0;
    if (is_root) {
        fs::permissions(fixture.folder(), fs::perms{0755});
        REQUIRE(::lchown(fixture.workspace().c_str(), somebody, somebody) == 0);
        for (const auto& entry : fs::recursive_directory_iterator(fixture.folder())) {
            REQUIRE(::lchown(entry.path().c_str(), somebody, somebody) == 0);
        }
        REQUIRE(::seteuid(somebody) == 0);
    }
    auto git = daemon::open_plain(fixture.context().settings, fixture.workspace());
    const auto checked = git ? daemon::check_files(*git) : core::Result<void>{git.error()};
    if (is_root) {
        REQUIRE(::seteuid(0) == 0);
    } else {
        CHECK(daemon::run_integrate_step(fixture.context()) == 65);
        CHECK(daemon::run_discard_step(fixture.context()) == 1);
    }
    REQUIRE_FALSE(checked.has_value());
    CHECK(contains(checked.error().message, fixture.workspace() + "/out: cannot be read"));
    CHECK_FALSE(checked.error().is_passing());
    for (const char* name : {"/out", "/build"}) {
        fs::permissions(fixture.workspace() + name, fs::perms::owner_all);
    }
    CHECK(GitFixture::read(fixture.workspace() + "/out/result") == "result\n");
}

TEST_CASE("folders in which a worker has forbidden changes are in nobody's way") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string elsewhere = fixture.folder() + "/elsewhere";
    const std::string cache = fixture.workspace() + "/cache/module";
    fs::create_directories(elsewhere);
    GitFixture::write(cache + "/file", "work\n");
    fs::create_directory_symlink(elsewhere, cache + "/link");
    for (const std::string& folder : {elsewhere, cache, fixture.workspace() + "/cache"}) {
        fs::permissions(folder, fs::perms{0555});
    }
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fs::status(cache).permissions() == fs::perms{0755});
    CHECK(fs::status(fixture.workspace() + "/cache").permissions() == fs::perms{0755});
    CHECK(fs::status(elsewhere).permissions() == fs::perms{0555});
    REQUIRE(fixture.kept_refs().size() == 1);
}

TEST_CASE("a folder that is held follows no link") {
    const GitFixture fixture;
    GitFixture::write(fixture.folder() + "/elsewhere/file", "theirs\n");
    GitFixture::write(fixture.folder() + "/held/real/file", "ours\n");
    fs::create_directory_symlink(fixture.folder() + "/elsewhere", fixture.folder() + "/held/link");
    fs::create_symlink(fixture.folder() + "/elsewhere/file", fixture.folder() + "/held/filelink");
    const auto held = Folder::open(fixture.folder() + "/held");
    REQUIRE((held && *held));
    const Folder& folder = **held;
    CHECK_FALSE(folder.below("link").has_value());
    CHECK_FALSE(folder.below("real/../link").has_value());
    CHECK_FALSE(folder.below("../elsewhere").has_value());
    CHECK_FALSE(folder.make_below("link/deeper").has_value());
    CHECK_FALSE(folder.read("filelink").has_value());
    CHECK_FALSE(folder.place_of("link/file").has_value());
    CHECK(folder.write("filelink", "replaced\n").has_value());
    CHECK(GitFixture::read(fixture.folder() + "/elsewhere/file") == "theirs\n");
    CHECK(folder.read("filelink").value() == "replaced\n");
    CHECK(folder.make_below("new/deep").has_value());
    CHECK_FALSE(folder.below("missing").value().has_value());
    CHECK_FALSE(Folder::open(fixture.folder() + "/held/link").has_value());
}

TEST_CASE("without openat2 folders are held and trees removed as safely") {
    const GitFixture fixture;
    GitFixture::write(fixture.folder() + "/elsewhere/file", "theirs\n");
    GitFixture::write(fixture.folder() + "/held/real/deep/file", "ours\n");
    fs::create_directory_symlink(fixture.folder() + "/elsewhere", fixture.folder() + "/held/real/link");
    int refusal = ENOSYS;
    SUBCASE("as on an old kernel") {}
    SUBCASE("as in a sandbox") {
        refusal = EPERM;
    }
    const int status = tests::status_in_child([&] {
        tests::refuse_call(SYS_openat2, refusal);
        const auto held = Folder::open(fixture.folder() + "/held");
        const bool follows =
            (*held)->below("real/link").has_value() || (*held)->below("../elsewhere").has_value();
        const auto deep = (*held)->below("real/deep");
        const bool reaches = deep && *deep && (*deep)->read("file").value() == "ours\n";
        const bool removes = daemon::remove_tree(fixture.folder(), "held").has_value();
        return (follows ? 1 : 0) + (reaches ? 0 : 2) + (removes ? 0 : 4);
    });
    CHECK(status == 0);
    CHECK_FALSE(GitFixture::exists(fixture.folder() + "/held"));
    CHECK(GitFixture::read(fixture.folder() + "/elsewhere/file") == "theirs\n");
}
