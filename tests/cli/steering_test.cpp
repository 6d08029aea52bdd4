// What a person asks of a supervisor: pause, resume, workers, cancel, drain; and how scripts wait and people
// read along.
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::tests::Project;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string do_it(const Project& project, const std::vector<std::string>& arguments) {
    const auto end = project.ralph(arguments);
    CHECK_MESSAGE(end.succeeded(), end.errors);
    return end.output;
}

std::string until(const std::string& file) {
    return "until [ -e '" + file + "' ]; do sleep 0.05; done; ";
}

bool works(const Project& project, const std::string& id) {
    return has(project.ralph({"why", id}).output, "work, attempt");
}

bool is(const Project& project, const std::string& id, Lifecycle lifecycle) {
    const auto record = project.record(id);
    return record && record->lifecycle == lifecycle;
}

void append(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::app) << text;
}

}  // namespace

TEST_CASE("steering: a cancelled worker is ended, its work is kept, and a retry goes on with it") {
    Project project;
    const std::string go = project.outside("go");
    project.add("works", "echo half > half.txt; " + until(go) + "echo x > x");
    project.commit_and_push();
    project.start({"run", "--parallel", "1", "--continuous"});
    REQUIRE(Project::eventually([&] { return works(project, "RQ-0001"); }));
    CHECK(has(do_it(project, {"cancel", "RQ-0001"}), "its work is kept"));
    REQUIRE(Project::eventually([&] { return is(project, "RQ-0001", Lifecycle::failed); }));
    CHECK(project.record("RQ-0001")->last_error == "cancelled on request");
    CHECK(Project::read(project.workspaces() + "/RQ-0001/half.txt") == "half\n");
    REQUIRE(Project::eventually(
        [&] { return ralph::daemon::list_directory(project.paths().cancel_requests())->empty(); }));
    const auto again = project.ralph({"cancel", "RQ-0001"});
    CHECK(again.status == 1);
    CHECK(has(again.errors, "RQ-0001 is failed: nothing of it runs"));
    CHECK(has(project.ralph({"cancel", "RQ-0099"}).errors, "RQ-0099 has not begun"));
    Project::write(go, "");
    do_it(project, {"retry", "RQ-0001"});
    REQUIRE(Project::eventually([&] { return is(project, "RQ-0001", Lifecycle::completed); }));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("steering: what is asked for while nobody supervises is kept to by the next supervisor") {
    Project project;
    project.add("one", "echo x > x");
    project.commit_and_push();
    CHECK(has(do_it(project, {"pause", "--note", "an update"}), "paused since"));
    CHECK(has(do_it(project, {"workers", "3"}), "3 workers from now on"));
    CHECK(has(do_it(project, {"status"}), "! paused since"));
    project.start({"run", "--parallel", "1"});
    REQUIRE(Project::eventually([&] { return has(project.log(), "an update; no worker starts"); }));
    const std::string status = do_it(project, {"status"});
    CHECK(has(status, "ralph resume"));
    CHECK(has(do_it(project, {"why", "RQ-0001"}), "paused since"));
    CHECK(project.state().workers.empty());
    do_it(project, {"resume"});
    CHECK(project.wait() == 0);
    CHECK(has(project.log(), "3 workers from now on"));
    CHECK(project.ralph({"workers", "0"}).status == 2);
    CHECK(has(do_it(project, {"workers", "default"}), "as many workers as"));
    CHECK(Project::read(project.paths().steering()).empty());
}

TEST_CASE("steering: a file that cannot be understood pauses, says so, and resume makes it anew") {
    Project project;
    project.add("one", "echo x > x");
    project.commit_and_push();
    Project::write(project.paths().steering(), "{\"version\": 1, \"workers\": 0}");
    project.start({"run", "--parallel", "1"});
    REQUIRE(Project::eventually([&] { return has(project.ralph({"status"}).output, "steering.json"); }));
    CHECK(project.state().workers.empty());
    do_it(project, {"workers", "2"});  // says nothing about the pause
    CHECK(has(Project::read(project.paths().steering()), "\"pause\""));
    CHECK(project.state().workers.empty());
    do_it(project, {"resume"});
    CHECK(project.wait() == 0);
}

TEST_CASE("steering: a drain says for whom it waits, and how to end that") {
    Project project;
    const std::string go = project.outside("go");
    project.add("works", until(go) + "echo x > x");
    project.commit_and_push();
    project.start({"run", "--parallel", "1", "--continuous"});
    REQUIRE(Project::eventually([&] { return works(project, "RQ-0001"); }));
    const auto drained = project.ralph({"drain"});
    CHECK(drained.succeeded());
    CHECK(has(drained.errors, "it waits for RQ-0001 (work, attempt 1"));
    CHECK(has(drained.errors, "ralph drain --now"));
    Project::write(go, "");
    CHECK(project.wait() == 0);
}

TEST_CASE("steering: wait ends with the tasks, and says how") {
    Project project;
    const std::string go = project.outside("go");
    project.add("lands", until(go) + "echo x > x");
    project.add("fails", until(go) + "exit 3");
    project.commit_and_push();
    CHECK(has(project.ralph({"wait", "RQ-0099"}).errors, "there is no task RQ-0099"));
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return works(project, "RQ-0001") && works(project, "RQ-0002"); }));
    const auto late = project.ralph({"wait", "--timeout", "1ms"});
    CHECK(late.status == 6);
    CHECK(has(late.errors, "RQ-0001"));
    ralph::daemon::ProgramEnd both;
    ralph::daemon::ProgramEnd one;
    std::thread waits([&] { both = project.ralph({"wait", "RQ-0001", "RQ-0002"}); });
    std::thread waits_for_one([&] { one = project.ralph({"wait", "RQ-0001"}); });
    Project::write(go, "");
    waits.join();
    waits_for_one.join();
    CHECK(both.status == 3);
    CHECK(has(both.errors, "not landed: RQ-0002 (failed)"));
    CHECK(one.status == 0);
    CHECK(project.wait() == 3);
    CHECK(project.ralph({"wait"}).status == 0);  // nothing is open
}

TEST_CASE("steering: a shell in a workspace, and a task that is to be the next") {
    Project project;
    project.add("fails", "echo half > half.txt; exit 3");
    project.add("second", "true");
    project.add("third", "true");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "1", "--max-tasks", "1"}).status == 3);
    CHECK(has(do_it(project, {"kept", "list"}), "RQ-0001 (failed): " + project.workspaces() + "/RQ-0001"));
    project.add_to_environment({"SHELL=/bin/ls"});
    CHECK(has(do_it(project, {"shell", "RQ-0001"}), "half.txt\n"));
    CHECK(has(project.ralph({"shell", "RQ-0002"}).errors, "RQ-0002 has no workspace now"));
    CHECK(project.ralph({"shell", "../x"}).status == 1);
    do_it(project, {"task", "schedule", "RQ-0003", "2099-01-01T00:00:00Z"});
    do_it(project, {"task", "start-now", "RQ-0003"});
    CHECK(do_it(project, {"queue", "next"}) == "RQ-0003\n");
    CHECK(do_it(project, {"queue", "list"}).find("RQ-0003") <
          do_it(project, {"queue", "list"}).find("RQ-0002"));
}

TEST_CASE("logs: begin and end of each step, and how the task fared") {
    const Project project;
    project.add("prints", "echo hello; printf '\\033[2J'; echo x > x");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "1"}).status == 0);
    const std::string all = do_it(project, {"logs", "RQ-0001"});
    for (const char* const part :
         {"==> RQ-0001 prepare run 1 attempt 1 ", "==> RQ-0001 work run 2 exited with status 0 after ",
          "MiB\n", "\nhello\n", "==> RQ-0001 integrate run 3 exited with status 0",
          "==> RQ-0001 completed"}) {
        CAPTURE(part);
        CHECK(has(all, part));
    }
    CHECK_FALSE(has(all, "\033"));
    const std::string work = do_it(project, {"logs", "RQ-0001", "--step", "work"});
    CHECK(has(work, "\nhello\n"));
    CHECK_FALSE(has(work, " prepare run"));
    CHECK(do_it(project, {"logs", "RQ-0001", "--attempt", "2"}).empty());
    const std::string tail = do_it(project, {"logs", "RQ-0001", "--tail", "1"});
    CHECK(std::count(tail.begin(), tail.end(), '\n') == 1);
    CHECK(all.ends_with(tail));
    CHECK(has(project.ralph({"logs", "RQ-0099"}).errors, "RQ-0099 has written nothing yet"));
    CHECK(project.ralph({"logs", "../state"}).status == 1);
    CHECK(project.ralph({"logs"}).status == 1);
    append(project.paths().log("RQ-0002"), "a line\nhalf a line");
    CHECK(do_it(project, {"logs", "RQ-0002"}) == "a line\nhalf a line\n");
    std::filesystem::create_directory(project.paths().log("RQ-0003") + ".1");  // read(2) says EISDIR of it
    append(project.paths().log("RQ-0003"), "a line\n");
    CHECK(do_it(project, {"logs", "RQ-0003"}) == "a line\n");  // what is no file is none
}

TEST_CASE("logs: -f shows what comes, also after the log was begun anew") {
    Project project;
    const std::string log = project.paths().log("RQ-0001");
    Project::write(log, "first\n");
    const bool all = [] {
        bool found = false;
        SUBCASE("of one task") {}
        SUBCASE("of all") {
            found = true;
        }
        return found;
    }();
    project.start(all ? std::vector<std::string>{"logs", "--all", "-f"}
                      : std::vector<std::string>{"logs", "RQ-0001", "-f"});
    const std::string prefix = all ? "RQ-0001 | " : "";
    // Until it watches, what is written counts as old to one that shows only what is new.
    int written = 0;
    REQUIRE(Project::eventually([&] {
        append(log, "line " + std::to_string(++written) + "\n");
        return has(project.output(), prefix + "line ");
    }));
    append(log, "half a ");
    append(log, "line\n");
    REQUIRE(Project::eventually([&] { return has(project.output(), prefix + "half a line\n"); }));
    std::filesystem::rename(log, log + ".1");
    append(log, "anew\n");
    REQUIRE(Project::eventually([&] { return has(project.output(), prefix + "anew\n"); }));
    CHECK(has(project.output(), "first\n") == !all);
    project.signal(SIGINT);
    CHECK(project.wait() == 128 + SIGINT);
}
