// The merge queue with real git: many tasks that finish at once, red ones among them, others who push, and
// kills.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "daemon/landing/integrate.h"
#include "daemon/os/files.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/task_generator.h"

using namespace ralph;
using core::Lifecycle;
using tests::commit_file;
using tests::contains;
using tests::GitFixture;
using tests::Lines;
using tests::lines_of;
using tests::Project;
using tests::TaskGenerator;
namespace fs = std::filesystem;

TEST_CASE("sixteen tasks that finish at once land behind one run of the gate, with one push" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    crowd.add(16, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    crowd.watch_pushes();
    CHECK(crowd.run(16) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 16);
    REQUIRE(crowd.judged().size() == 1);
    CHECK(contains(crowd.judged()[0], "RQ-0001,RQ-0002,RQ-0003"));
    CHECK(crowd.pushes() == 1);
    crowd.check_history();
    const core::ParallelState state = crowd.project.state();
    for (const core::WorkerRecord& record : state.workers) {
        CHECK(record.push_attempts == 1);
    }
    // Nothing of what has landed is kept.
    CHECK(crowd.project.git(crowd.project.root(), {"for-each-ref", "refs/ralph/kept"}).empty());
    CHECK(crowd.project.remote_done().size() == 16);
}

TEST_CASE("three bad tasks among sixteen are found, and nobody else is blamed" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    crowd.add(16, [](int i) {
        const bool is_bad = i == 1 || i == 8 || i == 9;
        return commit_file(fmt::format("{}-{}", is_bad ? "bad" : "file", i), i);
    });
    crowd.watch_pushes();
    CHECK(crowd.run(16) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 13);
    for (const char* id : {"RQ-0001", "RQ-0008", "RQ-0009"}) {
        REQUIRE(crowd.project.record(id));
        CHECK(crowd.project.record(id)->lifecycle == Lifecycle::blocked_push);
    }
    CHECK(crowd.judged().size() <= 16);
    crowd.check_history();
}

TEST_CASE("who conflicts with another one of the batch is in nobody's way" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    crowd.add(6, [](int i) { return commit_file(i == 2 || i == 5 ? "same" : fmt::format("file-{}", i), i); });
    crowd.watch_pushes();
    CHECK(crowd.run(6) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 5);
    REQUIRE(crowd.project.record("RQ-0005"));
    CHECK(contains(crowd.project.record("RQ-0005")->last_error.value_or(""),
                   "conflict with origin/main in same"));
    CHECK(crowd.judged().size() == 1);
    crowd.check_history();
    // Where it is to be resolved, the target is known as it is.
    Project& project = crowd.project;
    const std::string workspace = project.workspaces() + "/RQ-0005";
    CHECK(project.git(workspace, {"rev-parse", "origin/main"}) ==
          project.git(project.remote(), {"rev-parse", "main"}));
    // Resolved by hand and retried, it lands without being worked on again.
    project.git(workspace, {"reset", "-q", "--hard", "origin/main"});
    Project::write(workspace + "/same", "both\n");
    project.git(workspace, {"commit", "-qam", "resolved"});
    CHECK(project.ralph({"run", "parallel", "retry", "--task", "RQ-0005"}).status == 0);
    CHECK(crowd.run(6) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 6);
    std::size_t works = 0;
    for (const auto& entry : fs::directory_iterator(project.paths().runs_of("RQ-0005"))) {
        works += entry.path().filename().string().ends_with("-work") ? 1 : 0;
    }
    CHECK(works == 1);
}

TEST_CASE("a worker that has merged the target keeps its merge, first in a batch or not") {
    TaskGenerator crowd;
    crowd.add(3, [](int i) {
        return i == 2 ? "git checkout -q -b side; echo side > side.txt; git add -A; git commit -qm side; git "
                        "checkout "
                        "-q main; " +
                            commit_file("main.txt", i) + "; git merge -q --no-edit side; git branch -qD side"
                      : commit_file(fmt::format("file-{}", i), i);
    });
    CHECK(crowd.run(3) == 0);
    CHECK(crowd.judged().size() == 1);
    crowd.check_history();
    const Lines subjects = crowd.project.remote_subjects();
    CHECK(std::count(subjects.begin(), subjects.end(), "Merge branch 'side'") == 1);
}

TEST_CASE("somebody else's pushes put a batch off, and it lands all the same" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string colleague = project.outside("colleague");
    project.git(project.root(), {"clone", "-q", project.remote(), colleague});
    // The colleague is faster three times: while the gate runs, something is pushed.
    Project::write(
        project.outside("gate"),
        "#!/bin/sh\necho \"$RALPH_CANDIDATE_SHA ${RALPH_BATCH:-tip}\" >> '" + project.outside("judged") +
            "'\n[ $(wc -l < '" + project.outside("judged") + "') -gt 3 ] || (cd '" + colleague +
            "' && git pull -q && git -c user.name=C -c user.email=c@example.org commit -q --allow-empty "
            "-m faster && git push -q origin HEAD:main)\n");
    crowd.add(8, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    CHECK(crowd.run(8) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 8);
    // An empty commit changes no file: what was green is green on top of it, too.
    CHECK(crowd.judged().size() <= 4);
    crowd.check_history();
    CHECK(project.record("RQ-0001")->push_attempts == 2);
    CHECK(project.record("RQ-0008")->push_attempts == 2);
}

TEST_CASE(
    "a target that itself fails the gate is nobody's fault, and the merge queue goes on when it is fixed" *
    doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(project.root() + "/bad-by-itself", "x");
    crowd.add(2, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return contains(project.log(), "itself fails the gate"); }));
    CHECK(contains(project.log(), "nothing is landed for 60 s"));
    CHECK(crowd.count(Lifecycle::integrating) == 2);
    CHECK(project.record("RQ-0001")->push_attempts == 0);
    // A new start looks at once, and what was no attempt is none after it either.
    project.crash();
    const auto integrations = [&] {
        std::size_t runs = 0;
        for (const char* id : {"RQ-0001", "RQ-0002"}) {
            for (const auto& entry : fs::directory_iterator(project.paths().runs_of(id))) {
                runs += entry.path().filename().string().ends_with("-integrate") &&
                                fs::exists(entry.path() / "exit.json")
                            ? 1
                            : 0;
            }
        }
        return runs;
    };
    const std::size_t before = integrations();
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return integrations() > before; }));
    project.crash();
    const std::string colleague = project.outside("colleague");
    project.git(project.root(), {"clone", "-q", project.remote(), colleague});
    project.git(colleague, {"rm", "-q", "bad-by-itself"});
    project.git(colleague,
                {"-c", "user.name=C", "-c", "user.email=c@example.org", "commit", "-qm", "Fix it"});
    project.git(colleague, {"push", "-q", "origin", "HEAD:main"});
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(crowd.count(Lifecycle::completed) == 2);
    CHECK(project.record("RQ-0001")->push_attempts == 1);
    CHECK(project.record("RQ-0002")->push_attempts == 1);
    crowd.check_history();
}

// The fourth: the run is the third one of the first task, and each one tries another of those that are left.
TEST_CASE("a task that fixes a red target lands, though others of its batch are bad" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(project.root() + "/bad-by-itself", "x");
    Project::write(
        project.root() + "/.ralph/supervisor.jsonc",
        "{\"integration\": {\"batch\": {\"min\": 5, \"wait\": \"1h\"}, \"remediate\": {\"max\": 0}}}\n");
    crowd.add(5, [](int i) {
        const std::string name = fmt::format("{}-{}", i % 2 == 0 ? "file" : "bad", i);
        return (i == 4 ? "git rm -q bad-by-itself; " : "") + commit_file(name, i);
    });
    CHECK(crowd.run(5) == 3);
    CHECK(project.record("RQ-0004")->lifecycle == Lifecycle::completed);
    CHECK(project.record("RQ-0002")->lifecycle == Lifecycle::completed);
    CHECK(crowd.count(Lifecycle::blocked_push) == 3);
    CHECK(!contains(project.log(), "itself fails the gate"));
    crowd.check_history();
}

TEST_CASE("several gates run in their order, each with a log of its own, until one is red") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string order = project.outside("order");
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"gates\": {\"lint\": {\"command\": [\"sh\", \"-c\", \"echo $RALPH_GATE >> '" + order +
                       "'; echo nothing to complain about\"]}, \"unit\": {\"command\": [\"sh\", \"-c\", "
                       "\"echo $RALPH_GATE >> '" +
                       order +
                       "'; test ! -e late-2 || { echo red for a reason; exit 3; }\"]}, "
                       "\"last\": {\"command\": [\"sh\", \"-c\", \"echo $RALPH_GATE >> '" +
                       order + "'\"]}}}\n");
    crowd.add(1, [](int i) { return commit_file("late-2", i); });
    CHECK(crowd.run(2) == 3);
    CHECK(Project::read(order) == "lint\nunit\nlint\nunit\nlast\n");  // the candidate, then the tip
    const std::string error = project.record("RQ-0001")->last_error.value_or("");
    CHECK(contains(error, "red for a reason; see " + project.paths().gate_logs() + "/unit-"));
    std::size_t logs = 0;
    for (const auto& entry : fs::directory_iterator(project.paths().gate_logs())) {
        const std::string name = entry.path().filename().string();
        logs += name.rfind("lint-", 0) == 0 && Project::read(entry.path()) == "nothing to complain about\n"
                    ? 1
                    : 0;
    }
    CHECK(logs == 2);
}

TEST_CASE("status shows the merge queue: who is in the batch, which gate runs since when, and who waits" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string open = project.outside("open");
    Project::write(project.outside("gate"), "#!/bin/sh\necho x >> '" + project.outside("judged") +
                                                "'\nuntil [ -e '" + open + "' ]; do sleep 0.05; done\n");
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"integration\": {\"batch\": {\"max\": 2}}}\n");
    crowd.add(3, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    project.start({"run", "--parallel", "3"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.outside("judged")); }));
    REQUIRE(Project::eventually([&] { return crowd.count(Lifecycle::integrating) == 3; }));
    const auto text = project.ralph({"run", "parallel", "status"});
    CHECK(contains(text.output, "\nMerge queue:\n  batch: RQ-000"));
    CHECK(contains(text.output, "\n  gate ci runs since 20"));
    CHECK(contains(text.output, "\n  waiting: RQ-000"));
    const auto json = project.ralph({"run", "parallel", "status", "--json"});
    CHECK(contains(json.output, "\"doing\": \"gating\""));
    CHECK(contains(json.output, "\"gate\": \"ci\""));
    Project::write(open, "");
    CHECK(project.wait() == 0);
    CHECK(!contains(project.ralph({"run", "parallel", "status"}).output, "Merge queue:"));
}

// Wherever the run of a batch is killed, it is run again; and what has been found green is not judged again.
TEST_CASE("a batch whose run is killed at any of its phases lands once" * doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string killed = project.outside("killed");
    const std::string kill_step =
        "step=$PPID; until tr '\\0' ' ' < /proc/$step/cmdline | grep -q 'ralph step integrate'; do "
        "step=$(cut -d ' ' -f 4 "
        "/proc/$step/stat); done; kill -9 $step; sleep 5\n";
    std::size_t most_runs = 0;
    SUBCASE("while the gate runs") {
        Project::write(project.outside("gate"), "#!/bin/sh\necho \"$RALPH_CANDIDATE_SHA $RALPH_BATCH\" >> '" +
                                                    project.outside("judged") + "'\nmkdir '" + killed +
                                                    "' 2>/dev/null || exit 0\n" + kill_step);
        most_runs = 2;
    }
    SUBCASE("while two gates run") {
        Project::write(project.root() + "/.ralph/supervisor.jsonc",
                       "{\"integration\": {\"batch\": {\"max\": 3, \"min\": 5, \"wait\": \"1h\"}, "
                       "\"parallel_gates\": 2}}\n");
        crowd.set_gate("mkdir '" + killed + "' 2>/dev/null || exit 0; until [ $(wc -l < '" +
                       project.outside("judged") + "') -ge 2 ]; do sleep 0.05; done; " + kill_step);
        most_runs = 4;
    }
    SUBCASE("before the push") {
        const std::string hook = project.root() + "/.git/hooks/pre-push";
        Project::write(hook, "#!/bin/sh\ngrep -q . '" + project.outside("judged") + "' || exit 0\nmkdir '" +
                                 killed + "' 2>/dev/null || exit 0\n" + kill_step);
        fs::permissions(hook, fs::perms::owner_all);
        most_runs = 1;
    }
    SUBCASE("after the push, before its answer") {
        const std::string hook = project.remote() + "/hooks/post-receive";
        Project::write(hook, "#!/bin/sh\ngrep -q . '" + project.outside("judged") + "' || exit 0\nmkdir '" +
                                 killed + "' 2>/dev/null || exit 0\n" + kill_step);
        fs::permissions(hook, fs::perms::owner_all);
        most_runs = 1;
    }
    crowd.add(5, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    CHECK(crowd.run(5) == 0);
    CHECK(fs::exists(killed));
    CHECK(crowd.count(Lifecycle::completed) == 5);
    CHECK(crowd.judged().size() <= most_runs);
    crowd.check_history();
    CHECK(project.remote_done().size() == 5);
}

TEST_CASE("records that the doctor makes anew know of a batch: nothing lands or runs twice" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    crowd.add(4, [](int i) { return commit_file(i == 3 ? "bad-3" : fmt::format("file-{}", i), i); });
    crowd.watch_pushes();
    CHECK(crowd.run(4) == 3);
    const Lines before = project.remote_subjects();
    for (const std::string& state : {project.paths().state(), project.paths().previous_state()}) {
        Project::write(state, "{ broken");
    }
    CHECK(project.ralph({"run", "--parallel", "4"}).status == 1);
    CHECK(project.ralph({"doctor", "--fix"}).status != 1);
    CHECK(crowd.run(4) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 3);
    CHECK(project.record("RQ-0003")->lifecycle == Lifecycle::blocked_push);
    CHECK(project.remote_subjects() == before);
    CHECK(project.git(project.root(), {"status", "--porcelain"}).empty());
}

// A scripted agent, which does what the handoff packet is for.
TEST_CASE("conflicting pairs are fixed by an agent, which is told what is wrong" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string agent = project.outside("agent");
    const std::string seen = project.outside("seen");
    Project::write(
        agent, "#!/bin/sh\ncat \"$RALPH_HANDOFF\" >> '" + seen +
                   "'\ngit rebase -q origin/main >/dev/null 2>&1\ngit show origin/main:same > same\n"
                   "echo \"$RALPH_TASK_ID\" >> same\ngit add -A\nGIT_EDITOR=true git rebase --continue\n");
    fs::permissions(agent, fs::perms::owner_all);
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"integration\": {\"remediate\": {\"command\": [\"" + agent + "\"], \"max\": 3}}}\n");
    crowd.add(4, [](int i) { return commit_file(i % 2 == 0 ? "same" : fmt::format("file-{}", i), i); });
    crowd.watch_pushes();
    CHECK(crowd.run(4) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 4);
    crowd.check_history();
    CHECK(project.git(project.remote(), {"show", "main:same"}) == "2\nRQ-0004\n");
    const std::string told = Project::read(seen);
    CHECK(contains(told, "\"task_id\": \"RQ-0004\""));
    CHECK(contains(told, "\"conflict_files\": [\n    \"same\"\n  ]"));
    CHECK(contains(told, "\"target_branch\": \"main\""));
    CHECK(contains(told, "\"queue_done_rules\""));
    CHECK(!contains(told, "ci_context"));
    const core::WorkerRecord record = *project.record("RQ-0004");
    CHECK(record.push_attempts == 2);
    CHECK(!record.last_error);
}

TEST_CASE("work that is red alone is fixed by an agent, and one that cannot is blocked with its workspace" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string agent = project.outside("agent");
    Project::write(
        agent,
        "#!/bin/sh\ngrep -q '\"last_output\": \"bad-' \"$RALPH_HANDOFF\" || exit 9\n[ $RALPH_TASK_ID = "
        "RQ-0002 ] || exit 4\ngit rm -q bad-*\ngit commit -qm fixed\n");
    fs::permissions(agent, fs::perms::owner_all);
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"integration\": {\"remediate\": {\"command\": [\"" + agent + "\"]}}}\n");
    crowd.add(4, [](int i) {
        return commit_file(i == 2 || i == 3 ? fmt::format("bad-{}", i) : fmt::format("file-{}", i), i);
    });
    crowd.watch_pushes();
    CHECK(crowd.run(4) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 3);
    const core::WorkerRecord blocked = *project.record("RQ-0003");
    CHECK(blocked.lifecycle == Lifecycle::blocked_push);
    CHECK(contains(blocked.last_error.value_or(""), "remediate exited with status 4; before that: gate `"));
    CHECK(fs::exists(project.workspaces() + "/RQ-0003/bad-3"));
    crowd.check_history();
}

TEST_CASE("an agent that leaves the conflict unresolved has fixed nothing" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string agent = project.outside("agent");
    Project::write(agent, "#!/bin/sh\ngit merge -q origin/main >/dev/null 2>&1\nexit 0\n");
    fs::permissions(agent, fs::perms::owner_all);
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"integration\": {\"remediate\": {\"command\": [\"" + agent + "\"], \"max\": 2}}}\n");
    crowd.add(2, [](int i) { return commit_file("same", i); });
    CHECK(crowd.run(2) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 1);
    CHECK(crowd.count(Lifecycle::blocked_push) == 1);
    const Lines subjects = project.remote_subjects();
    CHECK(std::count_if(subjects.begin(), subjects.end(),
                        [](const std::string& each) { return each.rfind("work ", 0) == 0; }) == 1);
}

TEST_CASE("a push that the remote refuses because of one task blocks that one alone" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    const std::string hook = crowd.project.remote() + "/hooks/pre-receive";
    crowd.add(5, [](int i) { return commit_file(i == 4 ? "secret" : fmt::format("file-{}", i), i); });
    Project::write(
        hook,
        "#!/bin/sh\nread old new ref\n! git diff --name-only $old $new | grep -q secret || { echo 'no "
        "secrets here' >&2; exit 1; }\n");
    fs::permissions(hook, fs::perms::owner_all);
    CHECK(crowd.run(5) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 4);
    CHECK(contains(crowd.project.record("RQ-0004")->last_error.value_or(""), "no secrets here"));
    crowd.check_history();
}

TEST_CASE("a push that does not even reach the remote blocks all, behind one run of the gate" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    crowd.add(4, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    project.git(project.root(), {"config", "remote.origin.pushurl", project.outside("nowhere")});
    CHECK(crowd.run(4) == 3);
    CHECK(crowd.count(Lifecycle::blocked_push) == 4);
    CHECK(crowd.judged().size() == 1);
    CHECK(contains(project.record("RQ-0004")->last_error.value_or(""),
                   "does not appear to be a git repository"));
}

TEST_CASE("a task that breaks the gate's own program is red, and nobody else is blocked by it" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(project.root() + "/ci.sh", "#!/bin/sh\necho x >> '" + project.outside("judged") + "'\n");
    fs::permissions(project.root() + "/ci.sh", fs::perms::owner_all);
    Project::write(
        project.root() + "/.ralph/config.jsonc",
        "{\"version\": 2, \"agent\": {\"ci_gate\": {\"enabled\": true, \"argv\": [\"./ci.sh\"]}}}\n");
    crowd.add(4, [](int i) {
        return i == 2 ? "chmod -x ci.sh; git commit -qam broken" : commit_file(fmt::format("file-{}", i), i);
    });
    CHECK(crowd.run(4) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 3);
    CHECK(contains(project.record("RQ-0002")->last_error.value_or(""), "ci.sh: Permission denied"));
}

TEST_CASE("a gate that leaves HEAD elsewhere changes nothing in what is judged next and pushed") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(
        project.root() + "/.ralph/supervisor.jsonc",
        "{\"gates\": {\"wild\": {\"command\": [\"sh\", \"-c\", \"git branch -f tmp; mkdir -p nested && git "
        "init "
        "-q nested; touch nested/x; git -c user.name=G -c user.email=g@example.org commit -qm wild "
        "--allow-empty; touch .git/index.lock\"]}, \"after\": {\"command\": [\"sh\", \"-c\", \"test $(git "
        "rev-parse HEAD) = $RALPH_CANDIDATE_SHA && test ! -e nested\"]}}}\n");
    crowd.add(2, [](int i) { return commit_file(fmt::format("file-{}", i), i); });
    CHECK(crowd.run(2) == 0);
    const Lines subjects = project.remote_subjects();
    CHECK(std::count(subjects.begin(), subjects.end(), "wild") == 0);
}

// Also where the supervisor could not know that another one is alive.
TEST_CASE("one integrate step at a time: another one waits for its end") {
    const GitFixture fixture;
    REQUIRE(run_prepare_step(fixture.context()) == 0);
    GitFixture::write(fixture.workspace() + "/work.txt", "work\n");
    const daemon::StepContext context = fixture.context();
    const std::string path = context.settings.paths.integrate_lock();
    REQUIRE(daemon::make_directories(context.settings.paths.parallel()).has_value());
    auto lock = daemon::FileLock::acquire(path, daemon::FileLock::Wait::no);
    REQUIRE((lock && *lock));
    auto code = std::async(std::launch::async, [&context] { return run_integrate_step(context); });
    const auto has_ended = [&code] {
        return code.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
    };
    struct stat file {};
    REQUIRE(::stat(path.c_str(), &file) == 0);
    const std::string inode = ":" + std::to_string(file.st_ino) + " ";
    CHECK(Project::eventually([&] {
        bool is_waited_for = false;
        for (const std::string& line : lines_of(GitFixture::read("/proc/locks"))) {
            is_waited_for = is_waited_for || (contains(line, "-> FLOCK") && contains(line, inode));
        }
        return is_waited_for || has_ended();
    }));
    CHECK(!has_ended());
    CHECK(fixture.remote_subjects() == Lines{"Begin"});
    lock->reset();
    CHECK(code.get() == 0);
    CHECK(fixture.remote_file("work.txt") == "work\n");
}
