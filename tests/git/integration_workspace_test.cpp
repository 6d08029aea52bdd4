// What a gate does where it runs stays there, and what lands is what was judged on the target as it is.
#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/doctor/diagnosis.h"
#include "daemon/landing/integrate.h"
#include "tests/support/git_fixture.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;
namespace fs = std::filesystem;

namespace {

daemon::StepContext gated(const GitFixture& fixture, const std::string& script,
                          const std::string& task = "RQ-0001", std::vector<std::string> batch = {}) {
    auto context = fixture.context(task);
    context.settings.project.ci_gate.enabled = true;
    context.settings.project.ci_gate.argv = {"sh", "-c", script};
    context.batch = std::move(batch);
    return context;
}

std::string landed(const GitFixture& fixture, const std::string& task) {
    return fixture.remote_file(task + ".txt");
}

}  // namespace

TEST_CASE("what a gate sets in its folder's git ends with the gate" * doctest::test_suite("as-built")) {
    const GitFixture fixture;
    const std::string fake = fixture.folder() + "/fake.git";
    fixture.git(fixture.folder(), {"clone", "--quiet", "--bare", fixture.remote(), fake});
    const std::string before = fixture.git(fake, {"rev-parse", "main"});
    std::string script;
    SUBCASE("another address for the remote") {
        script = "git config url." + fake + ".insteadOf " + fixture.remote();
    }
    SUBCASE("another remote") {
        script = "git remote set-url origin " + fake + " && git config remote.origin.pushurl " + fake;
    }
    SUBCASE("hooks, as husky does") {
        script =
            "mkdir -p .husky && printf '#!/bin/sh\\nexit 1\\n' >.husky/commit-msg && cp .husky/commit-msg "
            ".husky/pre-push && cp .husky/commit-msg .husky/pre-rebase && chmod +x .husky/* && git config "
            "core.hooksPath .husky";
    }
    SUBCASE("hooks in its git folder") {
        script =
            "mkdir -p .git/hooks && for h in commit-msg pre-commit pre-push post-checkout; do printf "
            "'#!/bin/sh\\nexit 1\\n' >.git/hooks/$h; chmod +x .git/hooks/$h; done";
    }
    SUBCASE("a filter for all files") {
        script =
            "git config filter.x.clean 'tr a-z A-Z' && mkdir -p .git/info && echo '* filter=x' "
            ">.git/info/attributes";
    }
    SUBCASE("a working tree elsewhere") {
        script = "git config core.worktree " + fixture.folder() + "/elsewhere";
    }
    SUBCASE("the refs of the merge queue") {
        script =
            "for t in 1 2; do for r in work landing; do git update-ref refs/ralph/$r/RQ-000$t HEAD~1; done; "
            "done; git update-ref refs/remotes/origin/main HEAD";
    }
    SUBCASE("its common folder") {
        script = "echo '" + fixture.root() + "/.git' >.git/commondir";
    }
    SUBCASE("locks") {
        script = "touch .git/index.lock .git/HEAD.lock .git/config.lock";
    }
    SUBCASE("another commit, and files") {
        script =
            "git checkout -q --orphan other && echo x >other.txt && git add -A && git -c user.name=g -c "
            "user.email=g@localhost commit -qm other";
    }
    for (const char* const task : {"RQ-0001", "RQ-0002"}) {
        fixture.work(task);
        REQUIRE(run_integrate_step(gated(fixture, script, task)) == 0);
        CHECK(landed(fixture, task) == std::string("work of ") + task + "\n");
    }
    CHECK(fixture.remote_file("other.txt") == "(missing)");
    CHECK(fixture.git(fake, {"rev-parse", "main"}) == before);
    CHECK(!GitFixture::exists(fixture.folder() + "/elsewhere"));
    CHECK(!GitFixture::exists(fixture.integration() + "/.git"));
    CHECK(fixture.git(fixture.root(), {"status", "--porcelain", "--untracked-files=no"}).empty());
}

TEST_CASE("hooks of the repository judge no commit of the merge queue") {
    const GitFixture fixture;
    const std::string hooks = fixture.folder() + "/hooks";
    for (const char* const name : {"commit-msg", "pre-commit", "pre-rebase", "pre-merge-commit"}) {
        GitFixture::write_script(hooks + "/" + name, "exit 1");
    }
    fixture.work("RQ-0001");
    fixture.git(fixture.workspace(), {"add", "--all"});
    fixture.git(fixture.workspace(), {"commit", "--quiet", "-m", "By the worker"});
    fixture.push_by_colleague("b.txt", "b\n");
    fixture.git(fixture.root(), {"config", "core.hooksPath", hooks});
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(landed(fixture, "RQ-0001") == "work of RQ-0001\n");
}

TEST_CASE("the merge queue believes nothing of a git folder that came with the repository") {
    const GitFixture fixture;
    const std::string lane = fixture.root() + "/.ralph/cache/parallel/lane.git";
    const std::string ran = fixture.folder() + "/ran";
    const std::string elsewhere = fixture.folder() + "/elsewhere.git";
    GitFixture::write_script(fixture.folder() + "/program", "touch '" + ran + "'\nexit 1");
    fixture.work("RQ-0001");
    fixture.git(fixture.root(), {"clone", "--quiet", "--bare", fixture.remote(), lane});
    fixture.git(fixture.root(), {"clone", "--quiet", "--bare", fixture.remote(), elsewhere});
    const std::string before = fixture.git(elsewhere, {"rev-parse", "main"});
    const std::string objects = fixture.git(elsewhere, {"count-objects"});
    SUBCASE("a program that watches files") {
        fixture.git(lane, {"config", "core.fsmonitor", fixture.folder() + "/program"});
    }
    SUBCASE("hooks, and a filter") {
        for (const char* hook : {"post-checkout", "pre-push", "reference-transaction", "post-index-change"}) {
            GitFixture::write_script(lane + "/hooks/" + std::string(hook), "touch '" + ran + "'");
        }
        fixture.git(lane, {"config", "filter.x.smudge", fixture.folder() + "/program"});
        GitFixture::write(lane + "/info/attributes", "* filter=x\n");
    }
    SUBCASE("refs that lie elsewhere") {
        fs::remove_all(lane + "/refs");
        fs::create_directory_symlink(elsewhere + "/refs", lane + "/refs");
    }
    SUBCASE("objects that lie elsewhere") {
        fs::remove_all(lane + "/objects");
        fs::create_directory_symlink(elsewhere + "/objects", lane + "/objects");
    }
    SUBCASE("a part of another repository") {
        GitFixture::write(lane + "/commondir", elsewhere + "\n");
    }
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(landed(fixture, "RQ-0001") == "work of RQ-0001\n");
    CHECK_FALSE(GitFixture::exists(ran));
    CHECK(fixture.git(elsewhere, {"for-each-ref", "--format=%(objectname) %(refname)"}) ==
          before + " refs/heads/main");
    CHECK(fixture.git(elsewhere, {"count-objects"}) == objects);
}

TEST_CASE("what the merge queue alone has outlasts a fault that is not the merge queue's") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    fixture.push_by_colleague("RQ-0001.txt", "theirs\n");
    REQUIRE(run_integrate_step(fixture.context()) == 66);
    fs::remove_all(fixture.workspace());
    fixture.work("RQ-0002");
    const std::string lane = fixture.root() + "/.ralph/cache/parallel/lane.git";
    const std::string work = fixture.in_merge_queue({"rev-parse", "refs/ralph/work/RQ-0001"});
    SUBCASE("an origin that is missing for a while") {
        fixture.git(fixture.root(), {"remote", "rename", "origin", "elsewhere"});
        CHECK(run_integrate_step(fixture.context("RQ-0002")) != 0);
        fixture.git(fixture.root(), {"remote", "rename", "elsewhere", "origin"});
        REQUIRE(run_integrate_step(fixture.context("RQ-0002")) == 0);
        REQUIRE(fixture.kept_refs().size() == 1);
        CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs()[0] + ":RQ-0001.txt"}) ==
              "work of RQ-0001");
    }
    SUBCASE("a git folder that is not plain is quarantined, not removed") {
        GitFixture::write(lane + "/commondir", fixture.remote() + "\n");
        REQUIRE(run_integrate_step(fixture.context("RQ-0002")) == 0);
        fs::remove(lane + ".broken/commondir");
        CHECK(fixture.git(lane + ".broken", {"rev-parse", "refs/ralph/work/RQ-0001"}) == work);
    }
    CHECK(landed(fixture, "RQ-0002") == "work of RQ-0002\n");
}

TEST_CASE("a gate finds a repository with the candidate and the target, and cannot push from it") {
    const GitFixture fixture;
    fixture.work("RQ-0001");
    const std::string seen = fixture.folder() + "/seen";
    const int code = run_integrate_step(gated(
        fixture,
        "test \"$(git rev-parse HEAD)\" = \"$RALPH_CANDIDATE_SHA\" && test \"$(git rev-parse origin/main)\" "
        "= \"$RALPH_BASE_SHA\" && git status --porcelain >'" +
            seen + "' && git show --stat >/dev/null && ! git push -q origin HEAD:main 2>>'" + seen + "'"));
    CHECK(code == 0);
    CHECK(landed(fixture, "RQ-0001") == "work of RQ-0001\n");
}

TEST_CASE("a gate that removes its folder is its candidate's fault, and the others land" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    std::string harm;
    SUBCASE("the folder") {
        harm = "rm -rf \"$RALPH_WORKSPACE\"";
    }
    SUBCASE("its git folder") {
        harm = "rm -rf .git";
    }
    SUBCASE("the folder, with a link in its place") {
        harm = "rm -rf \"$RALPH_WORKSPACE\" && ln -s " + fixture.folder() + "/elsewhere \"$RALPH_WORKSPACE\"";
    }
    SUBCASE("all workspaces") {
        harm = "rm -rf '" + fixture.workspaces() + "'";
    }
    fs::create_directories(fixture.folder() + "/elsewhere");
    GitFixture::write(fixture.folder() + "/elsewhere/mine.txt", "mine\n");
    fixture.work("RQ-0001");
    fixture.work("RQ-0002", "bad.txt");
    CHECK(run_integrate_step(
              gated(fixture, "[ ! -e bad.txt ] || { " + harm + "; exit 0; }", "RQ-0001", {"RQ-0002"})) == 0);
    CHECK(landed(fixture, "RQ-0001") == "work of RQ-0001\n");
    CHECK(fixture.remote_file("bad.txt") == "(missing)");
    REQUIRE(fixture.outcome().batch.size() == 1);
    CHECK(fixture.outcome().batch[0].code == 66);
    CHECK(contains(fixture.outcome().batch[0].summary, "removed the"));
    CHECK(GitFixture::read(fixture.folder() + "/elsewhere/mine.txt") == "mine\n");
    // Nothing of it is lost.
    if (!GitFixture::exists(fixture.workspace("RQ-0002"))) {
        REQUIRE(fixture.kept_refs("RQ-0002").size() == 1);
        CHECK(fixture.git(fixture.root(), {"show", fixture.kept_refs("RQ-0002")[0] + ":bad.txt"}) ==
              "work of RQ-0002");
    }
}

TEST_CASE("what was taken off the target while the gate ran does not come back") {
    const GitFixture fixture;
    const std::string good = fixture.git(fixture.root(), {"rev-parse", "origin/main"});
    fixture.push_by_colleague("secret.txt", "a password\n");
    fixture.work("RQ-0001");
    const std::string rewind = "git -C '" + fixture.remote() + "' update-ref refs/heads/main " + good;
    CHECK(run_integrate_step(gated(fixture, rewind)) == 75);
    CHECK(fixture.git(fixture.remote(), {"rev-parse", "main"}) == good);
    CHECK(contains(fixture.outcome().note, "origin/main was rewritten by force"));
    // Until somebody has seen it.
    const auto finding = [&fixture] {
        daemon::Diagnosis diagnosis = daemon::diagnose(fixture.root(), core::Instant{});
        std::erase_if(diagnosis.findings,
                      [](const daemon::Finding& each) { return each.kind != "target_rewritten"; });
        return diagnosis.findings;
    };
    REQUIRE(finding().size() == 1);
    CHECK(contains(finding()[0].meaning, "1 of its commits were taken off"));
    CHECK(finding()[0].fix().has_value());
    CHECK(finding().empty());
    CHECK(run_integrate_step(gated(fixture, "true")) == 0);
    CHECK(fixture.remote_file("secret.txt") == "(missing)");
    CHECK(landed(fixture, "RQ-0001") == "work of RQ-0001\n");
}

TEST_CASE(
    "a worker that has pushed by itself what makes the target red is blamed for it, and the others wait") {
    const GitFixture fixture;
    fixture.work("RQ-0001", "red.txt");
    fixture.work("RQ-0002");
    const std::string workspace = fixture.workspace();
    fixture.git(workspace, {"add", "--all"});
    fixture.git(workspace, {"commit", "--quiet", "-m", "Red"});
    fixture.git(fixture.remote(), {"fetch", "--quiet", workspace, "HEAD:main"});  // as a push of it does
    const std::string red = fixture.git(workspace, {"rev-parse", "HEAD"});
    auto context = gated(fixture, "test ! -e red.txt", "RQ-0002", {"RQ-0001"});
    context.settings.supervisor.worker.may_push = true;
    CHECK(run_integrate_step(context) == 75);
    CHECK(fixture.outcome().target_is_red);
    REQUIRE(fixture.outcome().batch.size() == 1);
    CHECK(fixture.outcome().batch[0].code == 66);
    CHECK(contains(fixture.outcome().batch[0].summary, "red since " + red.substr(0, 12)));
    CHECK(contains(fixture.outcome().batch[0].summary, "the worker of RQ-0001 has pushed by itself"));
}
