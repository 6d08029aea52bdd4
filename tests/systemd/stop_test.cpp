// systemd sends one signal for all of them: restart, stop, the end of the machine. What becomes of the
// workers.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/systemd/service.h"

using namespace ralph::tests;
using ralph::core::Lifecycle;

namespace {

void set_stop_timeout(const Service& service, const std::string& timeout) {
    Project::write(service.project.paths().supervisor_config(),
                   R"({"stop_timeout": ")" + timeout + R"(", "worker": {"kill_grace": "300ms"}})");
}

// A line of shell that begins a process which has left its parent (twice) and its session, and does not
// listen.
std::string grandchild(const Service& service) {
    return "(setsid sh -c 'trap \"\" TERM; echo $$ > \"" + service.project.outside("grandchild") +
           "\"; while :; do sleep 1; done' &); trap '' TERM; while :; do sleep 1; done";
}

bool lives(const Service& service, const std::string& pid_file) {
    std::string pid = Project::read(service.project.outside(pid_file));
    REQUIRE(!pid.empty());
    pid.pop_back();
    return !service.box.read("/proc/" + pid + "/stat").empty();
}

}  // namespace

TEST_CASE("a restart leaves the workers running, and the next supervisor adopts them") {
    Service service(3);
    const std::string zero = service.add_worker("zero", "echo done > zero.txt");
    const std::string seven = service.add_worker("seven", "exit 7");
    const std::string late = service.add_worker("late", "exit 9");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto before = service.living();
    REQUIRE(before.size() == 3);
    for (const char* const verb : {"restart", "try-restart", "reload-or-restart"}) {
        CAPTURE(verb);
        const pid_t old = service.main_process();
        service.control(verb);
        REQUIRE(service.wait_until("ActiveState", "active"));
        CHECK((service.main_process() == old) == (std::string(verb) == "reload-or-restart"));
        CHECK(service.living() == before);
    }
    service.let_all_go();
    for (const std::string& task : {zero, seven, late}) {
        REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    }
    CHECK(service.project.record(zero)->lifecycle == Lifecycle::completed);
    CHECK(service.project.record(seven)->last_error->find("exited with status 7") != std::string::npos);
    CHECK(service.project.record(late)->last_error->find("exited with status 9") != std::string::npos);
    CHECK(service.beginnings().size() == 3);
}

TEST_CASE("a reload applies another number of workers and touches none") {
    Service service(2);
    for (const char* const name : {"one", "two", "three", "four"}) {
        service.add_worker(name, "exit 0");
    }
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.beginnings().size() == 2; }));
    const auto before = service.living();
    const pid_t main_process = service.main_process();
    service.set_workers(4);
    service.control("reload");
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    CHECK(service.property("ActiveState") == "active");
    CHECK(service.main_process() == main_process);
    const auto after = service.living();
    REQUIRE(after.size() == 4);
    for (const std::string& worker : before) {
        CHECK(std::find(after.begin(), after.end(), worker) != after.end());
    }
}

TEST_CASE("a stop drains, and then ends a worker that ignores SIGTERM, with its grandchild") {
    Service service(2);
    set_stop_timeout(service, "8s");
    service.drop_in("impatient", "[Service]\nTimeoutStopSec=4s\n");  // more time is asked for
    const std::string polite = service.add_worker("polite", "echo done > polite.txt");
    const std::string stubborn = service.add_worker("stubborn", grandchild(service));
    const std::string next = service.add_worker("next", "exit 0");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.beginnings().size() == 2; }));
    service.let_go("stubborn");
    REQUIRE(
        Project::eventually([&] { return !Project::read(service.project.outside("grandchild")).empty(); }));

    service.control("stop", {"--no-block"});
    REQUIRE(service.wait_until("ActiveState", "deactivating"));
    CHECK(lives(service, "grandchild"));
    service.let_go("polite");
    const bool is_inactive = service.wait_until("ActiveState", "inactive");
    CAPTURE(service.journal());
    REQUIRE(is_inactive);
    CHECK(service.project.record(polite)->lifecycle == Lifecycle::completed);
    CHECK_FALSE(lives(service, "grandchild"));
    CHECK(service.living().empty());
    CHECK_FALSE(service.project.record(next).has_value());
    CHECK(service.property("Result") == "success");

    // What was ended is not lost: the next start goes on with it.
    service.start();
    REQUIRE(Project::eventually([&] { return service.beginnings().size() == 4; }));
    CHECK(service.project.record(stubborn)->lifecycle == Lifecycle::running);
}

TEST_CASE("a machine that shuts down stops the workers in order, and they run again after it") {
    Service service(1);
    set_stop_timeout(service, "1h");
    service.set_workers(2);
    const std::string told = service.project.outside("told");
    const std::string task = service.add_worker(
        "worker", "if [ \"$RALPH_ATTEMPT\" = 1 ]; then sleep 1000 & trap \"echo told > '" + told +
                      "'; exit 0\" TERM; wait; fi; echo \"attempt $RALPH_ATTEMPT\" > done.txt");
    service.project.commit_and_push();
    service.control("enable");
    service.start();
    service.let_go("worker");
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    service.box.go_down(Box::Down::shutdown);
    CHECK(Project::read(told) == "told\n");
    CHECK(service.project.record(task)->lifecycle == Lifecycle::running);
    service.box.boot();
    REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    CHECK(service.project.git(service.project.remote(), {"show", "main:done.txt"}) == "attempt 2\n");
}

TEST_CASE("stop --now ends all workers at once") {
    Service service(2);
    set_stop_timeout(service, "1h");
    service.add_worker("one", grandchild(service));
    service.add_worker("two", "exit 0");
    service.project.commit_and_push();
    service.start();
    service.let_go("one");
    REQUIRE(
        Project::eventually([&] { return !Project::read(service.project.outside("grandchild")).empty(); }));
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    CHECK(service.project.ralph({"run", "parallel", "stop", "--now"}).status == 0);
    REQUIRE(Project::eventually([&] { return service.living().empty(); }));
    CHECK(Project::eventually([&] { return !lives(service, "grandchild"); }));
}
