// Workers that do what agents do: change remotes, use branches of their own, nest repositories, leave things
// behind.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "daemon/store/block_marker.h"
#include "tests/support/project.h"
#include "tests/support/refused_calls.h"
#include "tests/support/temporary_directory.h"

using ralph::core::Lifecycle;
using ralph::tests::Project;
namespace fs = std::filesystem;

TEST_CASE("a worker that points origin elsewhere lands on the real one all the same") {
    Project project;
    project.git(project.folder().path(),
                {"clone", "-q", "--bare", project.remote(), project.outside("other.git")});
    project.add("one", "git remote set-url origin '" + project.outside("other.git") +
                           "'; git remote set-url --push origin '" + project.outside("other.git") +
                           "'; echo x > x.txt");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(project.git(project.remote(), {"show", "main:x.txt"}) == "x\n");
}

TEST_CASE("commits on a side branch are not left behind silently") {
    Project project;
    const std::string id = project.add(
        "one",
        "git checkout -q -b feature; echo f > f.txt; git add f.txt; git commit -qm f; git checkout -q main");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(project.record(id)->lifecycle == Lifecycle::blocked_push);
    CHECK(project.record(id)->last_error->find("feature") != std::string::npos);
    CHECK(Project::read(project.workspaces() + "/" + id + "/.git/refs/heads/feature").size() == 41);
}

TEST_CASE("work on a branch of its own that stays checked out lands") {
    Project project;
    project.add("one", "git checkout -q -b feature; echo f > f.txt; git add f.txt; git commit -qm f");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(project.git(project.remote(), {"show", "main:f.txt"}) == "f\n");
}

TEST_CASE("a marker is neither written nor removed behind a link of the worker's") {
    Project project;
    const std::string elsewhere = project.outside("elsewhere");
    const std::string theirs = elsewhere + "/cache/parallel/blocked_push.json";
    fs::create_directories(elsewhere + "/cache/parallel");
    Project::write(theirs, "theirs");
    const std::string id =
        project.add("links", "rm -rf .ralph; ln -s '" + elsewhere +
                                 "' .ralph; git init -q sub && cd sub && echo x > f && git add f && "
                                 "git -c user.name=a -c user.email=b commit -qm x");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(project.record(id)->lifecycle == Lifecycle::blocked_push);
    CHECK(Project::read(theirs) == "theirs");
    CHECK(project.ralph({"run", "parallel", "retry", "--task", id}).status == 0);
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(Project::read(theirs) == "theirs");
}

TEST_CASE("a folder of the marker's that cannot be entered holds no marker") {
    const ralph::tests::TemporaryDirectory folder;
    const std::string workspace = folder / "workspace";
    const std::string place = workspace + "/.ralph/cache/parallel";
    fs::create_directories(place);
    fs::permissions(place, fs::perms{0600});
    const int status = ralph::tests::status_in_child([&] {
        if (::geteuid() == 0) {  // root enters everything
            for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
                static_cast<void>(::lchown(entry.path().c_str(), 4321, 4321));
            }
            fs::permissions(folder.path(), fs::perms{0755});
            static_cast<void>(::lchown(workspace.c_str(), 4321, 4321));
            static_cast<void>(::seteuid(4321));
        }
        const auto read = ralph::daemon::read_marker(ralph::daemon::Paths{workspace});
        const auto removed = ralph::daemon::remove_marker(ralph::daemon::Paths{workspace});
        return (read && !*read ? 0 : 1) + (removed ? 0 : 2);
    });
    CHECK(status == 0);
}

TEST_CASE("what a worker leaves in the place of a marker is an ordinary failure, and holds nobody up") {
    Project project;
    const std::string place = ".ralph/cache/parallel/blocked_push.json";
    const std::string make_folder = "mkdir -p .ralph/cache/parallel; rm -rf " + place + "; ";
    const std::vector<std::string> workers{
        project.add("a folder", make_folder + "mkdir " + place + "; exit 7"),
        project.add("a pipe", make_folder + "mkfifo " + place + "; exit 7"),
        project.add("a link", make_folder + "ln -s /proc/self/mem " + place + "; exit 7"),
        project.add("a long file", make_folder + "head -c 2000000 /dev/zero > " + place + "; exit 7"),
        project.add("lost, with a folder", "[ $RALPH_ATTEMPT = 1 ] || exit 7; " + make_folder + "mkdir " +
                                               place + "; kill -9 $PPID; sleep 1000")};
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "5"}).status == 3);
    for (const std::string& id : workers) {
        CAPTURE(id);
        CHECK(project.record(id)->lifecycle == Lifecycle::failed);
        CHECK(project.record(id)->last_error->find("status 7") != std::string::npos);
    }
}

TEST_CASE("a repository within the workspace is not lost with it") {
    Project project;
    const std::string id = project.add("one",
                                       "git init -q sub && cd sub && echo important > f && git add f && git "
                                       "-c user.name=a -c user.email=b commit -qm x");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(project.record(id)->lifecycle == Lifecycle::blocked_push);
    CHECK(project.record(id)->last_error->find("sub is a git repository of its own") != std::string::npos);
    CHECK(Project::read(project.workspaces() + "/" + id + "/sub/f") == "important\n");
}

TEST_CASE("commits that were removed from the target by force do not come back with the work") {
    Project project;
    std::string work;
    bool lands = true;
    SUBCASE("plain work") {
        work = "echo x > x.txt";
    }
    // It can be moved only by a rebase, which would lose what nothing but the merge holds.
    SUBCASE("work with a merge") {
        lands = false;
        work =
            "git checkout -qb side; git commit -q --allow-empty -m a; git checkout -q -; "
            "git merge -q --no-ff --no-commit side; echo x > x.txt; git add x.txt; git commit -qm merge";
    }
    project.add("one", work + "; while ! [ -e '" + project.outside("go") + "' ]; do sleep 0.02; done");
    // Who is to fix it is told why, and fixes nothing.
    const std::string agent = project.outside("agent");
    Project::write(agent, "#!/bin/sh\ncp \"$RALPH_HANDOFF\" '" + project.outside("handoff") + "'\n");
    fs::permissions(agent, fs::perms::owner_all);
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   "{\"integration\": {\"remediate\": {\"command\": [\"" + agent + "\"]}}}\n");
    project.commit_and_push("queue");
    Project::write(project.root() + "/secret.txt", "secret\n");
    project.commit_and_push("secret");
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.workspaces() + "/RQ-0001/x.txt"); }));
    project.git(project.root(), {"push", "-q", "--force", "origin", "HEAD~1:main"});
    Project::write(project.outside("go"), "");
    CHECK(project.wait() == (lands ? 0 : 3));
    const auto subjects = project.remote_subjects();
    CHECK(std::count(subjects.begin(), subjects.end(), "secret") == 0);
    if (lands) {
        CHECK(project.git(project.remote(), {"show", "main:x.txt"}) == "x\n");
    } else {
        CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::blocked_push);
        CHECK(project.record("RQ-0001")->last_error->find("was rewritten below the work") !=
              std::string::npos);
        CHECK(Project::read(project.workspaces() + "/RQ-0001/x.txt") == "x\n");
        CHECK(Project::read(project.outside("handoff")).find("was rewritten below the work") !=
              std::string::npos);
    }
}

TEST_CASE("a command that is too long for the system fails once, not for ever") {
    Project project;
    const std::string id = project.add("one", "true # " + std::string(110'000, 'x'));
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel"});
    CHECK(end.status == 1);
    CHECK(end.errors.find(id) != std::string::npos);
    CHECK(end.errors.find("longer than") != std::string::npos);
}

TEST_CASE("a new task of a continuous run is waited for until it is pushed") {
    Project project;
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.paths().queue_lock()); }));
    project.add("later", "echo later > later.txt");
    REQUIRE(Project::eventually([&] { return project.log().find("RQ-0001 waits: ") != std::string::npos; }));
    project.commit_and_push();
    CHECK(Project::eventually([&] {
        return project.record("RQ-0001") && project.record("RQ-0001")->lifecycle == Lifecycle::completed;
    }));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("a worker that removes its run directory is lost, and the run ends") {
    Project project;
    Project::write(project.root() + "/.ralph/supervisor.jsonc", "{\"max_restarts\": 0}");
    const std::string id = project.add("one", "rm -rf \"$RALPH_RUN_DIR\"; echo x > x.txt");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel"});
    CAPTURE(end.errors);
    CHECK(end.status == 3);
    CHECK(project.record(id)->lifecycle == Lifecycle::failed);
}

TEST_CASE("a stop that is asked for while a killed sharer's file lies in the queue lock") {
    Project project;
    Project::write(project.paths().queue_lock() + "/owner_task_4194304_0", "pid: 4194304\nlabel: task\n");
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(!fs::exists(project.paths().queue_lock()));
}
