// The repository's own settings hold in its workspaces, and nothing that a worker has set.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>

#include "daemon/git/filter_programs.h"
#include "daemon/git/large_files.h"
#include "daemon/landing/integrate.h"
#include "daemon/os/program.h"
#include "daemon/steps/prepare.h"
#include "daemon/workspace/workspace_settings.h"
#include "tests/support/git_fixture.h"
#include "tests/support/refused_calls.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

std::string setting(const GitFixture& fixture, const std::string& key) {
    const auto value = daemon::Git(fixture.workspace()).line({"config", "--local", "--get-all", key});
    return value ? *value : "(not set)";
}

void set(const GitFixture& fixture, const std::string& key, const std::string& value) {
    fixture.git(fixture.root(), {"config", "--add", key, value});
}

}  // namespace

TEST_CASE("the repository's own settings are carried into a workspace by value") {
    const GitFixture fixture;
    const std::string odd = " a \"quoted\\ value\" # of;\ttwo\nlines ";
    set(fixture, "core.sshCommand", "ssh -i key");
    set(fixture, "credential.helper", "one");
    set(fixture, "credential.helper", "two");
    set(fixture, "filter.a.b\"c\\d.clean", odd);
    set(fixture, "merge.ours.driver", "true");
    set(fixture, "http.proxy", "http://localhost:1");
    GitFixture::write(fixture.folder() + "/more", "[user]\n\tsigningkey = 1234\n[commit]\n\tgpgsign\n");
    set(fixture, "include.path", fixture.folder() + "/more");
    // Holds where the repository is, and not where its workspaces are.
    GitFixture::write(fixture.folder() + "/for-this", "[user]\n\temail = this@example.org\n");
    fixture.git(fixture.folder(), {"config", "--global", "includeIf.gitdir:" + fixture.root() + "/.path",
                                   fixture.folder() + "/for-this"});
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(setting(fixture, "core.sshCommand") == "ssh -i key");
    CHECK(setting(fixture, "credential.helper") == "one\ntwo");
    CHECK(setting(fixture, "filter.a.b\"c\\d.clean") == odd);
    CHECK(setting(fixture, "merge.ours.driver") == "true");
    CHECK(setting(fixture, "http.proxy") == "http://localhost:1");
    CHECK(setting(fixture, "user.signingkey") == "1234");
    CHECK(fixture.git(fixture.workspace(), {"config", "--type=bool", "commit.gpgsign"}) == "true");
    CHECK(fixture.git(fixture.workspace(), {"config", "user.email"}) == "this@example.org");
    CHECK(setting(fixture, "user.name") == "(not set)");  // the user's own file says it everywhere
}

TEST_CASE("what would lead elsewhere is not carried") {
    const GitFixture fixture;
    fixture.git(fixture.root(), {"remote", "add", "other", "/nowhere"});
    for (const char* key : {"branch.other.remote", "submodule.x.url", "gc.pruneExpire", "maintenance.repo",
                            "receive.denyDeletes", "uploadpack.hideRefs", "core.splitIndex",
                            "core.sparseCheckout", "core.untrackedCache", "remote.pushDefault"}) {
        set(fixture, key, "false");
    }
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    for (const char* key :
         {"branch.other.remote", "submodule.x.url", "gc.pruneExpire", "maintenance.repo",
          "receive.denyDeletes", "uploadpack.hideRefs", "core.splitIndex", "core.sparseCheckout",
          "core.untrackedCache", "remote.pushDefault", "remote.other.url", "core.worktree"}) {
        CAPTURE(key);
        CHECK(setting(fixture, key) == "(not set)");
    }
}

TEST_CASE("what a worker sets is dropped before the next use") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    fixture.git(fixture.workspace(), {"config", "filter.evil.clean", "false"});
    fixture.git(fixture.workspace(), {"config", "url.evil:.insteadOf", fixture.remote()});
    fixture.git(fixture.workspace(), {"remote", "set-url", "origin", "/nowhere"});
    GitFixture::write(fixture.workspace() + "/.git/info/attributes", "* filter=evil\n");
    GitFixture::write(fixture.workspace() + "/.git/info/exclude", "work.txt\n");
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    CHECK(daemon::run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("work.txt") == "work\n");
    CHECK_FALSE(contains(GitFixture::read(fixture.workspace() + "/.git/config"), "evil"));
    CHECK(setting(fixture, "remote.origin.url") == fixture.remote());
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + "/.git/info/attributes"));
}

TEST_CASE("files beside the settings are carried, keys as private ones") {
    const GitFixture fixture;
    GitFixture::write(fixture.root() + "/.git/git-crypt/keys/default", "key\n");
    GitFixture::write(fixture.root() + "/.git/info/attributes", "*.bin -diff\n");
    GitFixture::write(fixture.root() + "/.git/info/exclude", "*.scratch\n");
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    const std::string git = fixture.workspace() + "/.git";
    CHECK(GitFixture::read(git + "/git-crypt/keys/default") == "key\n");
    CHECK((fs::status(git + "/git-crypt/keys/default").permissions() & fs::perms{0077}) == fs::perms::none);
    CHECK(GitFixture::read(git + "/info/attributes") == "*.bin -diff\n");
    CHECK(contains(GitFixture::read(git + "/info/exclude"), "*.scratch\n# ralph: begin"));
    fs::remove_all(git + "/git-crypt");
    fs::create_directory_symlink(fixture.folder(), git + "/git-crypt");  // nothing is written through it
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK_FALSE(GitFixture::exists(fixture.folder() + "/keys"));
}

TEST_CASE("large files that git lfs has in the repository are there in a workspace") {
    const GitFixture fixture;
    const std::string objects = "/.git/lfs/objects";
    GitFixture::write(fixture.root() + objects + "/ab/cd/abcd", "large\n");
    GitFixture::write(fixture.folder() + "/elsewhere", "theirs\n");
    fs::create_symlink(fixture.folder() + "/elsewhere", fixture.root() + objects + "/ab/link");
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + objects + "/ab/cd/abcd") == "large\n");
    CHECK_FALSE(GitFixture::exists(fixture.workspace() + objects + "/ab/link"));
}

TEST_CASE("a large file of a worker goes on only if it is what it is called") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    const std::string made = fixture.workspace() + "/.git/lfs/objects/";
    const std::string lane = fixture.root() + "/.ralph/cache/parallel/lane.git/lfs/objects/";
    // By the SHA-256 of "large\n".
    const std::string good = "9b/fc/9bfce334a37bd1bc1d36b0370195b31fe9a9389dd43d0873891a3544ef1140a1";
    const std::string forged = "ab/cd/abcd000000000000000000000000000000000000000000000000000000000000";
    for (const std::string& file : {good, forged}) {
        GitFixture::write(made + file, "large\n");
    }
    GitFixture::write(made + "ab/ce/" + good.substr(6), "large\n");  // where no filter looks for it
    GitFixture::write(made + "ab/cd/abcd", "large\n");
    {
        const auto path = daemon::our_variable("PATH");
        GitFixture::write_script(fixture.folder() + "/bin/sha256sum", "kill -9 $$");
        ::setenv("PATH", (fixture.folder() + "/bin:" + path).c_str(), 1);
        CHECK(run_integrate_step(fixture.context()) == 69);  // nobody's failure
        ::setenv("PATH", path.c_str(), 1);
    }
    GitFixture::write(lane + good + ".unproven", "forged\n");  // as a kill leaves it
    REQUIRE(run_integrate_step(fixture.context()) == 0);
    CHECK(GitFixture::read(lane + good) == "large\n");
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(lane)) {
        files += entry.is_regular_file() ? 1 : 0;
    }
    CHECK(files == 1);
    // What is there is not replaced, nor looked at again.
    GitFixture::write(lane + good, "as it was\n");
    fixture.work("RQ-0002");
    GitFixture::write(fixture.workspace("RQ-0002") + "/.git/lfs/objects/" + good, "large\n");
    REQUIRE(run_integrate_step(fixture.context("RQ-0002")) == 0);
    CHECK(GitFixture::read(lane + good) == "as it was\n");
}

TEST_CASE("a large file of a worker that cannot be copied now is not left out") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    GitFixture::write(fixture.workspace() + "/.git/lfs/objects/ab/cd/abcd" + std::string(60, '0'), "large\n");
    const daemon::Git workspace(fixture.workspace(), fixture.workspace() + "/.git");
    const daemon::Git lane = fixture.lane();
    const int status = tests::status_in_child([&] {
        tests::refuse_call(SYS_fchmod, ENOSPC);
        const auto brought = daemon::bring_large_files(workspace, daemon::LargeFilesOf::worker, lane);
        return !brought && brought.error().is_passing() ? 0 : 1;
    });
    CHECK(status == 0);
}

TEST_CASE("an address is rewritten once") {
    const GitFixture fixture;
    const std::string root = fixture.folder() + "/";
    SUBCASE("for all repositories") {
        fixture.git(root, {"config", "--global", "url." + root + "remote.insteadOf", root + "rem"});
    }
    SUBCASE("for this one") {
        set(fixture, "url." + root + "remote.insteadOf", root + "rem");
    }
    fixture.git(fixture.root(), {"config", "remote.origin.url", root + "rem.git"});
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.outcome().note.empty());
    CHECK(setting(fixture, "remote.origin.url") == root + "rem.git");
    CHECK(fixture.git(fixture.workspace(), {"remote", "get-url", "origin"}) == fixture.remote());
}

TEST_CASE("a worker cannot push by itself, unless it may") {
    const GitFixture fixture;
    auto context = fixture.context();
    const std::string before = fixture.git(fixture.remote(), {"rev-parse", "main"});
    SUBCASE("by default") {
        REQUIRE(daemon::run_prepare_step(context) == 0);
        fixture.git(fixture.workspace(), {"commit", "--quiet", "--allow-empty", "-m", "x"});
        for (const std::string& to :
             {std::string("origin"), fixture.remote(), "file://" + fixture.remote()}) {
            CAPTURE(to);
            const auto pushed = daemon::Git(fixture.workspace()).expect({"push", to, "HEAD:main"});
            REQUIRE_FALSE(pushed.has_value());
            CHECK(contains(pushed.error().message, "ralph pushes for you"));
        }
        CHECK(fixture.git(fixture.remote(), {"rev-parse", "main"}) == before);
        fixture.git(fixture.workspace(), {"fetch", "--quiet", "origin"});
    }
    SUBCASE("with worker.may_push") {
        context.settings.supervisor.worker.may_push = true;
        REQUIRE(daemon::run_prepare_step(context) == 0);
        fixture.git(fixture.workspace(), {"commit", "--quiet", "--allow-empty", "-m", "x"});
        fixture.git(fixture.workspace(), {"push", "--quiet", "origin", "HEAD:main"});
        CHECK(fixture.git(fixture.remote(), {"rev-parse", "main"}) != before);
    }
}

TEST_CASE("the merge queue has the address to which the repository itself pushes") {
    const GitFixture fixture;
    set(fixture, "remote.origin.pushurl", "../pushed.git");
    const auto text =
        daemon::workspace_settings(fixture.context().settings, {daemon::Purpose::landing, "main"});
    REQUIRE(text.has_value());
    CHECK(contains(*text, "pushurl = \"" + fixture.folder() + "/pushed.git\""));
    CHECK_FALSE(contains(*text, "no-push"));
}

TEST_CASE("a workspace fetches what the repository fetches, and the target") {
    const GitFixture fixture;
    fixture.git(fixture.colleague(),
                {"push", "--quiet", "origin", "HEAD:refs/heads/huge", "HEAD:refs/heads/own"});
    fixture.git(fixture.root(), {"config", "--unset-all", "remote.origin.fetch"});
    set(fixture, "remote.origin.fetch", "+refs/heads/own:refs/remotes/origin/own");
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.git(fixture.workspace(), {"for-each-ref", "--format=%(refname)", "refs/remotes"}) ==
          "refs/remotes/origin/main\nrefs/remotes/origin/own");
}

TEST_CASE("git is free to forbid the transport of files to all but ralph's own folders") {
    const GitFixture fixture;
    REQUIRE(daemon::run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    fixture.git(fixture.folder(), {"config", "--global", "protocol.file.allow", "never"});
    // The remote is a file here, too, so it cannot be asked; what is known of it must do.
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(fixture.kept_refs().size() == 1);
    CHECK(contains(fixture.outcome().note, "as it was last known"));
    fs::remove_all(fixture.workspace());
    CHECK(daemon::run_prepare_step(fixture.context()) == 0);
    CHECK(GitFixture::read(fixture.workspace() + "/work.txt") == "work\n");
}

TEST_CASE("prepare waits for a remote that is not reached while nothing is known of the target") {
    const GitFixture fixture;
    fixture.git(fixture.root(), {"update-ref", "-d", "refs/remotes/origin/main"});
    fs::rename(fixture.remote(), fixture.remote() + ".away");
    CHECK(daemon::run_prepare_step(fixture.context()) == 69);
    CHECK(contains(fixture.outcome().summary, "cannot be reached"));
    CHECK_FALSE(GitFixture::exists(fixture.workspace()));
}

TEST_CASE("a filter whose program is missing is found where files go through it") {
    const GitFixture fixture;
    set(fixture, "filter.crypt.clean", "no-such-program --clean %f");
    set(fixture, "filter.unused.clean", "no-such-program");
    set(fixture, "filter.there.clean", "cat");
    set(fixture, "filter.shell.clean", "X=1 no-such-program");
    CHECK(daemon::missing_filters(fixture.root()).value().empty());
    GitFixture::write(fixture.root() + "/.gitattributes", "a.txt filter=there\nsecret/** filter=crypt\n");
    fs::create_directories(fixture.root() + "/secret");
    CHECK(daemon::missing_filters(fixture.root()).value().empty());
    GitFixture::write(fixture.root() + "/secret/key", "key\n");
    fixture.git(fixture.root(), {"-c", "filter.crypt.clean=cat", "add", "--all"});
    const auto missing = daemon::missing_filters(fixture.root()).value();
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].driver == "crypt");
    CHECK(missing[0].setting == "filter.crypt.clean");
    CHECK(missing[0].program == "no-such-program");
}
