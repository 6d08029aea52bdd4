// Nothing that is kept is removed because a clock was wrong for once.
#include "daemon/steps/expiry.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/clock.h"
#include "daemon/steps/kept_refs.h"
#include "daemon/steps/set_aside.h"
#include "daemon/store/files.h"
#include "tests/support/git_fixture.h"
#include "tests/support/temporary_directory.h"

using namespace ralph;
using daemon::ExpiryLook;
using std::chrono::hours;
using tests::GitFixture;

namespace {

constexpr core::Milliseconds two_weeks = hours{24 * 14};

bool look(const daemon::Paths& paths, core::Instant now, core::Milliseconds retention,
          const char* name = "one") {
    ExpiryLook expiry(paths, "kept", now, retention);
    const bool confirmed = expiry.is_confirmed(name);
    REQUIRE(expiry.write().has_value());
    return confirmed;
}

}  // namespace

TEST_CASE("what seems expired is confirmed by a second look, a day later or after a shorter retention") {
    const tests::TemporaryDirectory folder;
    const daemon::Paths paths{folder / "repo"};
    const core::Instant now = daemon::wall_clock();
    CHECK_FALSE(look(paths, now, two_weeks));
    CHECK_FALSE(look(paths, now + hours{23}, two_weeks));
    CHECK(look(paths, now + hours{24}, two_weeks));
    CHECK(look(paths, now + std::chrono::seconds{1}, std::chrono::seconds{1}));
    CHECK_FALSE(look(paths, now + hours{24}, two_weeks, "another"));
    CHECK_FALSE(look(paths, now + hours{48}, two_weeks));  // forgotten by the look that did not find it
}

TEST_CASE("a note from a time to come, and notes that cannot be read, count for nothing") {
    const tests::TemporaryDirectory folder;
    const daemon::Paths paths{folder / "repo"};
    const core::Instant now = daemon::wall_clock();
    CHECK_FALSE(look(paths, now + hours{24 * 400}, two_weeks));
    CHECK_FALSE(look(paths, now, two_weeks));
    CHECK_FALSE(look(paths, now + hours{23}, two_weeks));
    CHECK(look(paths, now + hours{24}, two_weeks));
    for (const char* text : {"", "{", "[]", R"({"seen": {"one": "yesterday"}})", R"({"seen": 3})"}) {
        GitFixture::write(paths.parallel() + "/expired-kept.json", text);
        CHECK_FALSE(look(paths, now + hours{48}, two_weeks));
    }
}

TEST_CASE("a clock that is a month ahead for one landing costs nothing that is kept") {
    const GitFixture fixture;
    const auto settings = fixture.context().settings;
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0008/1", "HEAD"});
    const std::string aside = fixture.workspaces() + "/.RQ-0009.broken-1";
    GitFixture::write(aside + "/work", "somebody's\n");
    const core::Instant now = daemon::wall_clock();
    const auto prune = [&](core::Instant when) {
        const auto kept = daemon::prune_kept_work(settings, when);
        const auto set_aside = daemon::prune_set_aside(settings, when);
        REQUIRE(kept.has_value());
        REQUIRE(set_aside.has_value());
        CHECK(kept->removed.empty());
        CHECK(set_aside->removed.empty());
        return kept->noted.size() + set_aside->noted.size();
    };
    CHECK(prune(now + hours{24 * 30}) == 2);
    CHECK(prune(now + hours{24 * 30 + 1}) == 2);
    CHECK(prune(now) == 0);
    CHECK(prune(now + hours{24 * 32}) == 2);  // that was forgotten
    CHECK(fixture.kept_refs("RQ-0008").size() == 1);
    CHECK(GitFixture::exists(aside));
}

TEST_CASE("a note says nothing of what is kept later under the same name") {
    const GitFixture fixture;
    const auto settings = fixture.context().settings;
    const auto commit = [&](const std::string& message) {
        return *daemon::Git(fixture.root())
                    .with_environment("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
                    .line({"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message});
    };
    const core::Instant now = daemon::wall_clock();
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0007/1", commit("one")});
    CHECK(daemon::prune_kept_work(settings, now)->noted.size() == 1);
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0007/1", commit("two")});
    CHECK(daemon::prune_kept_work(settings, now + hours{25})->removed.empty());
    CHECK(daemon::prune_kept_work(settings, now + hours{50})->removed.size() == 1);
    CHECK(fixture.kept_refs("RQ-0007").empty());
}
