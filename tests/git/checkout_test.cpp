// The user's checkout on its way from one commit to another, cut off; `ralph-crash --role checkout` does the
// same at every system call that writes.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/git/checkout.h"
#include "daemon/landing/integrate.h"
#include "daemon/os/clock.h"
#include "daemon/os/program.h"
#include "daemon/steps/prepare.h"
#include "daemon/store/queue_files.h"
#include "tests/support/disk.h"
#include "tests/support/git_fixture.h"
#include "tests/support/git_wrapper.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

using namespace ralph;
using daemon::FileLock;
using tests::contains;
using tests::GitFixture;
using tests::GitWrapper;
namespace fs = std::filesystem;

namespace {

const std::string moving = "*\"read-tree -m -u \"[!-]*";

// What there is to bring forward: a file that is changed, one that becomes executable, one that is new, one
// that goes, a link, a file in the place of a folder and the
// other way round; and a task that is archived.
void push_changes(const GitFixture& fixture) {
    const std::string& root = fixture.root();
    GitFixture::write(root + "/keep.txt", "theirs\n");
    GitFixture::write(root + "/gone.txt", "gone\n");
    GitFixture::write(root + "/run.sh", "run\n");
    GitFixture::write(root + "/place/file", "file\n");
    GitFixture::write(root + "/turned", "a file\n");
    fs::create_symlink("a.txt", root + "/link");
    fixture.commit_and_push(root, "More to begin with");
    const std::string& colleague = fixture.colleague();
    fixture.git(colleague, {"pull", "--quiet", "--ff-only", "origin", "main"});
    GitFixture::write(colleague + "/a.txt", std::string(100'000, 'a') + "\n");
    GitFixture::write(colleague + "/new.txt", "new\n");
    fs::remove(colleague + "/gone.txt");
    fs::permissions(colleague + "/run.sh", fs::perms::owner_all);
    fs::remove_all(colleague + "/place");
    GitFixture::write(colleague + "/place", "no folder\n");
    fs::remove(colleague + "/turned");
    GitFixture::write(colleague + "/turned/file", "in a folder\n");
    fs::remove(colleague + "/link");
    fs::create_symlink("new.txt", colleague + "/link");
    core::TaskFile queue = fixture.remote_tasks(".ralph/queue.jsonc");
    core::TaskFile done;
    REQUIRE(core::archive_finished_task(queue, done, "RQ-0001", daemon::wall_clock()).has_value());
    GitFixture::write(colleague + "/.ralph/queue.jsonc", core::task_file_text(queue));
    GitFixture::write(colleague + "/.ralph/done.jsonc", core::task_file_text(done));
    fixture.commit_and_push(colleague, "Landed");
}

daemon::CheckoutEnd bring(const GitFixture& fixture) {
    return daemon::bring_checkout_forward(fixture.context().settings, "main");
}
daemon::CheckoutEnd fix(const GitFixture& fixture) {
    return daemon::fix_checkout(fixture.context().settings, FileLock::Wait::no);
}
std::string marker(const GitFixture& fixture) {
    return fixture.context().settings.paths.checkout_move();
}

std::string tip(const GitFixture& fixture) {
    return fixture.git(fixture.remote(), {"rev-parse", "main"});
}

// At the tip, every file as it is there by its content, `status` apart; nothing of ours left.
void expect_whole(const GitFixture& fixture, const std::string& status) {
    CHECK(fixture.git(fixture.root(), {"rev-parse", "HEAD"}) == tip(fixture));
    CHECK(fixture.git(fixture.root(), {"symbolic-ref", "HEAD"}) == "refs/heads/main");
    CHECK(fixture.git(fixture.root(), {"status", "--porcelain"}) == status);
    fs::remove(fixture.root() + "/.git/index");  // believe nothing that it says
    fixture.git(fixture.root(), {"read-tree", "HEAD"});
    CHECK(fixture.git(fixture.root(), {"status", "--porcelain"}) == status);
    CHECK_FALSE(GitFixture::exists(marker(fixture)));
    for (const auto& entry : fs::recursive_directory_iterator(fixture.root() + "/.git")) {
        const std::string name = entry.path().filename().string();
        CHECK_MESSAGE((name.rfind("ralph-", 0) != 0 && entry.path().extension() != ".lock"), name);
    }
}

// As a git leaves it that is killed while it writes files.
void tear(const GitFixture& fixture, const std::string& script) {
    const GitWrapper wrapper(fixture, moving, "cd '" + fixture.root() + "'\n" + script + "\nkill -9 $$");
    const auto end = bring(fixture);
    CHECK(end.try_again);
    CHECK_MESSAGE(contains(end.note, "half-way"), end.note);
    REQUIRE(GitFixture::exists(marker(fixture)));
}

const std::string half =
    "printf aaa > a.txt; \"$git\" show origin/main:new.txt > new.txt; rm gone.txt; "
    "\"$git\" show origin/main:.ralph/queue.jsonc > .ralph/queue.jsonc";

}  // namespace

TEST_CASE("a checkout whose git was killed is brought to its end, and the user's own change stays" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    push_changes(fixture);
    std::string script;
    SUBCASE("before it changed anything") {}
    SUBCASE("in the middle of a file") {
        script = half;
    }
    SUBCASE("between two files") {
        script = "rm a.txt run.sh; rm -r place; echo 'no folder' > place";
    }
    SUBCASE("with an empty file, and a link that points on") {
        script = ": > new.txt; ln -sf new.txt link; chmod +x run.sh";
    }
    SUBCASE("between a file and the folder in its place") {
        script = "rm turned; mkdir turned";
    }
    SUBCASE("after a file became a folder") {
        script = "rm turned; mkdir turned; \"$git\" show origin/main:turned/file > turned/file";
    }
    SUBCASE("after the last file") {
        script = "\"$git\" read-tree -m -u HEAD origin/main";
    }
    tear(fixture, script);
    GitFixture::write(fixture.root() + "/keep.txt", "mine\n");
    GitFixture::write(fixture.root() + "/untracked.txt", "mine\n");
    const auto end = fix(fixture);
    CHECK_MESSAGE(end.note.empty(), end.note);
    CHECK(GitFixture::read(fixture.root() + "/keep.txt") == "mine\n");
    expect_whole(fixture, " M keep.txt\n?? untracked.txt");
}

TEST_CASE("a commit that carries a supervisor's own places is not brought forward over them") {
    const GitFixture fixture;
    const std::string before = fixture.git(fixture.root(), {"rev-parse", "HEAD"});
    const std::string state = fixture.root() + "/.ralph/cache/parallel/state.json";
    std::string path;
    SUBCASE("a state") {
        path = ".ralph/cache/parallel/state.json";
    }
    SUBCASE("a file in the place of all of it") {
        path = ".ralph/cache";
    }
    SUBCASE("a file in the place of the logs") {
        path = ".ralph/logs";
    }
    SUBCASE("a permission") {
        path = ".ralph/trust.jsonc";
    }
    GitFixture::write(fixture.colleague() + "/" + path, "theirs");
    fixture.git(fixture.colleague(), {"add", "-f", path});
    fixture.commit_and_push(fixture.colleague(), "theirs");
    fixture.git(fixture.root(), {"fetch", "--quiet", "origin"});
    GitFixture::write(state, "ours");
    const auto refused = bring(fixture);
    CHECK_FALSE(refused.try_again);
    CHECK_MESSAGE(contains(refused.note, "a supervisor's own"), refused.note);
    CHECK(GitFixture::read(state) == "ours");
    CHECK(fixture.git(fixture.root(), {"rev-parse", "HEAD"}) == before);
    // As it says.
    fixture.git(fixture.colleague(), {"rm", "-r", "--quiet", "--cached", path});
    fs::remove(fixture.colleague() + "/" + path);
    fixture.commit_and_push(fixture.colleague(), "taken off");
    fixture.git(fixture.root(), {"fetch", "--quiet", "origin"});
    CHECK(bring(fixture).note.empty());
    CHECK(GitFixture::read(state) == "ours");
    CHECK(fixture.git(fixture.root(), {"rev-parse", "HEAD"}) == tip(fixture));
}

TEST_CASE("a git that is killed before the move leaves the checkout where it was, to be tried again") {
    const GitFixture fixture;
    push_changes(fixture);
    std::string pattern;
    SUBCASE("looking at the index") {
        pattern = "*update-index*";
    }
    SUBCASE("trying") {
        pattern = "*--dry-run*";
    }
    SUBCASE("fetching") {
        pattern = "*fetch*";
    }
    {
        const GitWrapper wrapper(fixture, pattern,
                                 ": > '" + fixture.root() + "/.git/ralph-checkout-index.lock'; kill -9 $$");
        CHECK(contains(bring(fixture).note, "was not brought forward"));
        CHECK(fixture.git(fixture.root(), {"status", "--porcelain"}).empty());
    }
    CHECK(bring(fixture).note.empty());
    expect_whole(fixture, "");
}

TEST_CASE("what the user changed in a file of a move that was cut off is kept and named") {
    const GitFixture fixture;
    push_changes(fixture);
    tear(fixture, half);
    GitFixture::write(fixture.root() + "/a.txt", "mine\n");
    for (int i = 0; i < 2; ++i) {
        const auto end = i == 0 ? fix(fixture) : bring(fixture);
        CHECK_FALSE(end.try_again);
        CHECK_MESSAGE(contains(end.note, "a.txt was changed in the middle of it"), end.note);
        CHECK(contains(end.note, "restore --source=" + tip(fixture).substr(0, 12) + " -- a.txt"));
        CHECK(GitFixture::read(fixture.root() + "/a.txt") == "mine\n");
        CHECK_FALSE(GitFixture::exists(fixture.root() + "/.git/index.lock"));
    }
    // Queue and done fit each other nevertheless, so that work goes on.
    CHECK(daemon::load_queue(fixture.context().settings).has_value());
    CHECK(GitFixture::exists(fixture.root() + "/.ralph/done.jsonc"));
    fixture.git(fixture.root(), {"restore", "--source=" + tip(fixture), "--", "a.txt"});
    CHECK(fix(fixture).note.empty());
    expect_whole(fixture, "");
}

TEST_CASE("a move that was cut off before it began is given up for a change of the user's") {
    const GitFixture fixture;
    push_changes(fixture);
    tear(fixture, "");
    GitFixture::write(fixture.root() + "/a.txt", "mine\n");
    CHECK(contains(fix(fixture).note, "it has uncommitted changes in a.txt"));
    CHECK(GitFixture::read(fixture.root() + "/a.txt") == "mine\n");
    CHECK_FALSE(GitFixture::exists(marker(fixture)));
}

TEST_CASE("a checkout that somebody has moved meanwhile is theirs") {
    const GitFixture fixture;
    push_changes(fixture);
    tear(fixture, half);
    fs::remove(fixture.root() + "/.git/index.lock");
    fixture.git(fixture.root(), {"reset", "--quiet", "--hard", "HEAD^"});
    CHECK(contains(fix(fixture).note, "somebody has moved it meanwhile"));
    CHECK_FALSE(GitFixture::exists(marker(fixture)));
    CHECK(fixture.git(fixture.root(), {"status", "--porcelain", "--untracked-files=no"}).empty());
}

TEST_CASE("the lock of another git is respected, before a move and after one that was cut off") {
    const GitFixture fixture;
    push_changes(fixture);
    const std::string lock = fixture.root() + "/.git/index.lock";
    std::string before;
    SUBCASE("before") {
        before = fixture.git(fixture.root(), {"rev-parse", "HEAD"});
    }
    SUBCASE("after") {
        tear(fixture, half);
    }
    GitFixture::write(lock, "");
    const std::string text = GitFixture::read(fixture.root() + "/a.txt");
    const auto end = bring(fixture);
    CHECK_FALSE(end.try_again);
    CHECK_MESSAGE(contains(end.note, "another git is at work in it"), end.note);
    CHECK(contains(end.note, "rm " + lock));
    CHECK(GitFixture::exists(lock));
    CHECK(GitFixture::read(fixture.root() + "/a.txt") == text);
    CHECK(GitFixture::exists(marker(fixture)) == before.empty());
    fs::remove(lock);
    CHECK(bring(fixture).note.empty());
    expect_whole(fixture, "");
}

TEST_CASE("the doctor tells of a checkout that stands half-way, and fixes it") {
    const GitFixture fixture;
    push_changes(fixture);
    tear(fixture, half);
    const auto find = [&]() -> std::vector<daemon::Finding> {
        std::vector<daemon::Finding> found = daemon::diagnose(fixture.root(), daemon::wall_clock()).findings;
        std::erase_if(found, [](const auto& each) { return each.kind != "checkout_halfway"; });
        return found;
    };
    const auto found = find();
    REQUIRE(found.size() == 1);
    CHECK(found.front().fix().has_value());
    CHECK(find().empty());
    expect_whole(fixture, "");
}

TEST_CASE("locks that a killed process of ours left are cleared, those of others are not") {
    const GitFixture fixture;
    const std::string folder = fixture.root() + "/.git/";
    GitFixture::write(folder + "ralph-lock.index", "ours\n");
    fs::create_hard_link(folder + "ralph-lock.index", folder + "index.lock");
    GitFixture::write(folder + "ralph-lock.refs:heads:main", "ours\n");
    GitFixture::write(folder + "refs/heads/main.lock", "ours\n");  // the same text, another file
    CHECK(fix(fixture).note.empty());
    CHECK_FALSE(GitFixture::exists(folder + "index.lock"));
    CHECK(GitFixture::exists(folder + "refs/heads/main.lock"));
    CHECK_FALSE(GitFixture::exists(folder + "ralph-lock.index"));
}

TEST_CASE("a git that changes the checkout holds the repository's lock itself") {
    const GitFixture fixture;
    push_changes(fixture);
    // Asked of the lock as if the one who started this git were gone: by its own descriptors.
    const GitWrapper wrapper(
        fixture, moving,
        "ls -l /proc/$$/fd | grep -q repository.lock && echo held > '" + fixture.folder() + "/held'");
    CHECK(bring(fixture).note.empty());
    CHECK(GitFixture::read(fixture.folder() + "/held") == "held\n");
}

TEST_CASE("a full disk in the middle of a move is waited out") {
    const tests::TemporaryDirectory place;
    std::string why;
    const auto disk = tests::Disk::mount(place.path(), 24, why);
    if (!disk) {
        MESSAGE("not tested, since no disk can be mounted: " << why);
        return;
    }
    const tests::TemporaryPlace temporary(place.path());
    const GitFixture fixture;
    push_changes(fixture);
    fixture.push_by_colleague("much.txt", std::string(3U << 20U, 'm'));
    {
        const GitWrapper wrapper(fixture, moving,
                                 "dd if=/dev/zero of='" + place.path() + "/ballast' bs=4096 2>/dev/null");
        const auto end = bring(fixture);
        CHECK(end.try_again);
        CHECK_MESSAGE(contains(end.note, "half-way"), end.note);
    }
    for (int i = 0; i < 2; ++i) {
        disk->fill();
        CHECK(fix(fixture).try_again);
        CHECK(GitFixture::exists(marker(fixture)));
    }
    disk->empty();
    const auto end = fix(fixture);
    CHECK_MESSAGE(end.note.empty(), end.note);
    expect_whole(fixture, "");
}

TEST_CASE("a landing whose checkout stands half-way is tried again, but never blocked for it") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    daemon::StepContext context = fixture.context();
    {
        const GitWrapper wrapper(fixture, moving, "kill -9 $$");
        CHECK(run_integrate_step(context) == 75);
        CHECK(contains(fixture.outcome().summary, "RQ-0001 has landed on origin/main, but the checkout"));
        context.integration = context.max_integrations;
        CHECK(run_integrate_step(context) == 0);
    }
    CHECK(run_integrate_step(context) == 0);
    expect_whole(fixture, "");
}

TEST_CASE("a git that is killed or has no room is no broken workspace and no blocked task" *
          doctest::test_suite("as-built")) {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    const auto attempt = [&](const std::string& pattern, const std::string& script, auto step,
                             int expected = 69) {
        const GitWrapper wrapper(fixture, pattern, script);
        CHECK_MESSAGE(step(fixture.context()) == expected, fixture.outcome().summary);
    };
    const std::string full = "echo 'fatal: write error: No space left on device' >&2; exit 128";
    SUBCASE("prepare: keeping, killed") {
        attempt("*write-tree*", "kill -9 $$", daemon::run_prepare_step);
    }
    SUBCASE("prepare: keeping, full") {
        attempt("*write-tree*", full, daemon::run_prepare_step);
    }
    SUBCASE("prepare: looking") {
        attempt("*HEAD^{tree}*", "kill -9 $$", daemon::run_prepare_step);
    }
    SUBCASE("integrate: looking") {
        attempt("*status*", "kill -9 $$", daemon::run_integrate_step);
    }
    SUBCASE("integrate: taking over, the other side killed") {
        attempt("*refs/ralph/incoming*",
                "printf 'Killed\\nfatal: unable to write request to remote: Broken pipe\\n' >&2; exit 128",
                daemon::run_integrate_step);
    }
    SUBCASE("integrate: bookkeeping") {
        attempt("*ls-tree*", "kill -9 $$", daemon::run_integrate_step);
    }
    SUBCASE("integrate: push") {
        attempt("*\"push --porcelain\"*",
                "echo 'error: remote unpack failed: unpack-objects abnormal exit' >&2; exit 1",
                daemon::run_integrate_step, 75);  // it may be too large for the remote: that counts
    }
    CHECK(GitFixture::read(fixture.workspace() + "/work.txt") == "work\n");
    for (const auto& entry : fs::directory_iterator(fixture.workspaces())) {
        CHECK_FALSE(contains(entry.path().string(), ".broken-"));
    }
    CHECK(run_integrate_step(fixture.context()) == 0);
}
