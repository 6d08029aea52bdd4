// Nothing that is kept is removed because a clock was wrong for once: the files (the rule is in tests/unit).
#include "daemon/store/expiry_notes.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/quarantine.h"
#include "tests/support/git_fixture.h"
#include "tests/support/temporary_directory.h"

using namespace ralph;
using daemon::Kept;
using std::chrono::hours;
using tests::GitFixture;

namespace {

std::string file_of(Kept kind) {
    return kind == Kept::records ? "expired-records.json"
           : kind == Kept::refs  ? "expired-kept.json"
                                 : "expired-set-aside.json";
}

core::Moment later(core::Milliseconds time) {
    const core::Moment now = daemon::present_moment();
    return {now.monotonic + time, now.wall + time};
}

}  // namespace

TEST_CASE("notes of what seems expired are there for the next process, and those that are torn are none") {
    const tests::TemporaryDirectory folder;
    const daemon::Paths paths{folder / "repo"};
    const core::Moment now = daemon::present_moment();
    const core::ExpiryNotes notes{{"RQ-0001 then", now.monotonic - hours{3}}};
    for (const Kept kind : {Kept::records, Kept::refs, Kept::workspaces}) {
        CHECK(daemon::load_expiry_notes(paths, kind, now).empty());
        REQUIRE(daemon::save_expiry_notes(paths, kind, notes, now).has_value());
        CHECK(daemon::load_expiry_notes(paths, kind, later(hours{1})) == notes);
        const std::string text = GitFixture::read(folder / "repo/.ralph/cache/parallel/" + file_of(kind));
        GitFixture::write(folder / "repo/.ralph/cache/parallel/" + file_of(kind),
                          text.substr(0, text.size() / 2));
        CHECK(daemon::load_expiry_notes(paths, kind, now).empty());
    }
}

TEST_CASE("a clock that is a month ahead for one landing costs nothing that is kept") {
    const GitFixture fixture;
    const auto settings = fixture.context().settings;
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0008/1", "HEAD"});
    const std::string aside = fixture.workspaces() + "/.RQ-0009.broken-1";
    GitFixture::write(aside + "/work", "somebody's\n");
    const core::Moment now = daemon::present_moment();
    const auto prune = [&](core::Milliseconds error) {
        const core::Moment when{now.monotonic, now.wall + error};
        const auto kept = daemon::prune_kept_work(settings, when);
        const auto set_aside = daemon::prune_quarantined(settings, when);
        REQUIRE(kept.has_value());
        REQUIRE(set_aside.has_value());
        CHECK(kept->removed.empty());
        CHECK(set_aside->removed.empty());
        return kept->noted.size() + set_aside->noted.size();
    };
    CHECK(prune(hours{24 * 30}) == 2);
    CHECK(prune(hours{24 * 31 + 1}) == 2);
    CHECK(prune(hours{0}) == 0);
    CHECK(prune(hours{24 * 32}) == 2);  // that was forgotten
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
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0007/1", commit("one")});
    CHECK(daemon::prune_kept_work(settings, later(hours{0}))->noted.size() == 1);
    fixture.git(fixture.root(), {"update-ref", "refs/ralph/kept/RQ-0007/1", commit("two")});
    CHECK(daemon::prune_kept_work(settings, later(hours{25}))->removed.empty());
    CHECK(daemon::prune_kept_work(settings, later(hours{50}))->removed.size() == 1);
    CHECK(fixture.kept_refs("RQ-0007").empty());
}
