// Five seconds: the first screen of `ralph status` names what is the matter and what to type, `ralph why`
// says the same of a task, and the doctor agrees.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/project.h"

using ralph::tests::Project;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string status(const Project& project) {
    const auto end = project.ralph({"status"});
    CHECK(end.succeeded());
    return end.output;
}

// What `ralph status` says in the end.
bool comes_to_say(const Project& project, const std::string& part) {
    const bool said = Project::eventually([&] { return has(status(project), part); });
    CHECK_MESSAGE(said, (part + " is not in:\n" + status(project)));
    return said;
}

std::string doctor(const Project& project) {
    const auto end = project.ralph({"doctor"});
    CHECK(end.status == 4);
    return end.output;
}

std::string why(const Project& project, const std::string& task_id) {
    return project.ralph({"why", task_id}).output;
}

}  // namespace

TEST_CASE("status: what works, what waits and for what, and what stops it all") {
    Project project;
    const std::string go = project.outside("go");
    project.add("works long", "touch '" + project.outside("works") + "'; until [ -e '" + go +
                                  "' ]; do sleep 0.05; done; echo x > x");
    project.add("comes after it", "true", {"RQ-0001"});
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] {
        return !Project::read(project.outside("works")).empty() ||
               ::access(project.outside("works").c_str(), F_OK) == 0;
    }));
    CHECK(comes_to_say(project, "RQ-0001 works long: work, attempt 1, for "));
    CHECK(comes_to_say(
        project, "RQ-0002 comes after it: waits: until RQ-0001 (running) is done, which it depends on"));
    CHECK(has(why(project, "RQ-0002"), "waits: until RQ-0001 (running) is done"));

    project.add("nobody has pushed it", "true");
    CHECK(comes_to_say(project,
                       "RQ-0003 nobody has pushed it: waits: RQ-0003 is not in .ralph/queue.jsonc on "
                       "origin/main; commit and push the queue"));
    CHECK(has(why(project, "RQ-0003"), "Next: git pull --rebase && git push"));

    const std::string queue = Project::read(project.root() + "/.ralph/queue.jsonc");
    Project::write(project.root() + "/.ralph/queue.jsonc", "{\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n}\n");
    CHECK(comes_to_say(project, "! the queue cannot be used: "));
    CHECK(has(status(project), "/.ralph/queue.jsonc:2: git's conflict markers are in the file"));
    CHECK(has(status(project), "Next: ralph queue validate"));
    CHECK(has(doctor(project), "git's conflict markers are in the file"));
    Project::write(project.root() + "/.ralph/queue.jsonc", queue);
    CHECK(Project::eventually([&] { return !has(status(project), "! the queue cannot be used"); }));

    project.signal(SIGTERM);
    CHECK(comes_to_say(project, "It is draining: no new task starts."));
    CHECK(comes_to_say(project, "RQ-0001 works long: work, attempt 1, for "));
    Project::write(go, "");
    CHECK(project.wait() == 128 + SIGTERM);
    CHECK(has(why(project, "RQ-0002"), "waits: no supervisor runs"));
    CHECK(has(why(project, "RQ-0002"), "Next: ralph run --parallel"));
    CHECK(has(why(project, "RQ-0001"), "has landed"));
    CHECK(project.ralph({"why", "RQ-0099"}).status == 1);
}

TEST_CASE("status: a target that is red by itself, and a remote that cannot be reached") {
    Project project;
    Project::write(project.paths().config(),
                   R"({"version": 2, "agent": {"ci_gate": {"enabled": true, "argv": ["false"]}}})");
    project.add("good work", "echo x > x");
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--continuous"});
    CHECK(comes_to_say(project, "! nothing lands: the target itself fails the gate, since "));
    CHECK(comes_to_say(project, "RQ-0001 good work: waits: to land: the target itself fails the gate"));
    CHECK(has(doctor(project), "the target itself fails the gate"));
    const std::string document = project.ralph({"status", "--json"}).output;
    CHECK(has(document, "\"kind\": \"target_red\""));
    CHECK(has(document, "\"task_id\": \"RQ-0001\""));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);

    project.git(project.root(), {"remote", "set-url", "origin", project.outside("gone.git")});
    project.start({"run", "--parallel", "2", "--continuous"});
    CHECK(comes_to_say(project, "! nothing starts or lands until this is over: "));
    CHECK(has(doctor(project), "nothing starts or lands until this is over"));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("status: without a supervisor, and with nothing to do") {
    const Project project;
    CHECK(has(status(project), "Not started"));
    project.add("a task", "exit 3");
    project.commit_and_push();
    CHECK(has(why(project, "RQ-0001"), "waits: no supervisor runs"));
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(has(status(project), "Some tasks failed"));
    CHECK(has(why(project, "RQ-0001"), "has failed: work exited with status 3"));
    CHECK(has(why(project, "RQ-0001"), "Next: ralph run parallel retry --task RQ-0001"));
    CHECK(has(project.ralph({"why", "RQ-0001", "--json"}).output, "\"place\": \"ended\""));
}

TEST_CASE("status: a worker that writes nothing, and a dependency that never ends") {
    Project project;
    const std::string go = project.outside("go");
    project.add("hangs", "until [ -e '" + go + "' ]; do sleep 0.05; done; exit 3");
    project.add("fails", "exit 3");
    project.add("waits for ever", "true", {"RQ-0002"});
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--continuous"});
    CHECK(comes_to_say(project, "RQ-0001 hangs: work, attempt 1, for "));
    CHECK(comes_to_say(project, "RQ-0003 waits for ever: waits: until RQ-0002 (failed) is done"));
    CHECK(has(why(project, "RQ-0003"), "Next: ralph run parallel retry --task RQ-0002"));
    CHECK(project.ralph({"status", "--exit-code"}).status == 4);
    CHECK_FALSE(has(status(project), "has written nothing"));
    // As after some time: it began, and its log was written, long ago.
    const std::string live = Project::read(project.paths().live_view());
    const std::size_t since = live.find("\"since\": \"20");
    REQUIRE(since != std::string::npos);
    Project::write(project.paths().live_view(), std::string(live).replace(since + 10, 4, "2001"));
    const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    REQUIRE(::utimensat(AT_FDCWD, project.paths().log("RQ-0001").c_str(), long_ago, 0) == 0);
    const std::string told = status(project);
    CHECK(has(told, "! RQ-0001 has written nothing for "));
    CHECK(has(told, "`ralph cancel RQ-0001` ends it"));
    CHECK(has(told, "Next: ralph logs RQ-0001 -f"));
    CHECK(has(doctor(project), "RQ-0001 has written nothing for "));
    Project::write(go, "");
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("status: a full disk, a lock of somebody else, and a supervisor that keeps dying") {
    Project project;
    project.add("one", "echo x > x");
    Project::write(project.paths().supervisor_config(), "{\"limits\": {\"host\": {\"disk\": \"900TiB\"}}}\n");
    project.commit_and_push();
    std::filesystem::create_directories(project.paths().queue_lock());
    const std::string owner = project.paths().queue_lock() + "/owner";
    Project::write(owner,
                   "pid: " + std::to_string(::getpid()) +
                       "\nstarted_at: 2026-01-01T00:00:00Z\ncommand: ralph run loop\nlabel: run loop\n");
    CHECK(comes_to_say(project,
                       "! process " + std::to_string(::getpid()) + " (run loop) holds the queue's lock"));
    CHECK(has(project.ralph({"doctor"}).output, "The queue is locked"));
    std::filesystem::remove_all(project.paths().queue_lock());
    project.start({"run", "--parallel", "2", "--continuous"});
    CHECK(comes_to_say(project, "! no worker starts until this is over: disk: "));
    CHECK(has(doctor(project), "no worker starts until this is over: disk: "));
    // What the last one said of itself is still there: whether the next one has come so far, its log tells.
    const auto lives = [&project] {
        std::size_t found = 0;
        const std::string log = project.log();
        for (std::size_t at = 0; (at = log.find("no worker starts until", at)) != std::string::npos; ++at) {
            ++found;
        }
        return found;
    };
    for (std::size_t i = 1; i <= 3; ++i) {
        CHECK_FALSE(has(status(project), "has died"));
        project.crash();
        project.start({"run", "--parallel", "2", "--continuous"});
        REQUIRE(Project::eventually([&] { return lives() > i; }));
    }
    CHECK(has(status(project), "! the supervisor has died and was started again 3 times in 10 minutes"));
    CHECK(has(doctor(project), "the supervisor has died and was started again 3 times"));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}
