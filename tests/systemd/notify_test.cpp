// What the service tells systemd: that it is ready, what it does, and that it is alive.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/systemd/frozen_thread.h"
#include "tests/systemd/service.h"

using namespace ralph::tests;
namespace fs = std::filesystem;

TEST_CASE("the unit is active from READY=1 on, when the supervisor holds its lock, and not before") {
    Service service(2);
    // The main process is a shell that becomes the supervisor when it is told to.
    service.hold_before_start();
    service.control("start", {"--no-block"});
    REQUIRE(
        service.box.wait_until(service.unit(), "MainPID", [](const std::string& pid) { return pid != "0"; }));
    CHECK(service.property("ActiveState") == "activating");
    service.let_go("start");
    REQUIRE(service.wait_until("ActiveState", "active"));
    CHECK(service.project.ralph({"run", "--parallel", "2"}).status == 1);
}

TEST_CASE("the status text counts what runs, lands, is queued and waits to land") {
    Service service(2);
    const std::string script = service.project.outside("wait-at-gate");
    Project::write(script, "#!/bin/sh\nread -r line < '" + service.make_gate("gate") + "'\n");
    fs::permissions(script, fs::perms::owner_all);
    Project::write(service.project.paths().config(),
                   R"({"version": 2, "parallel": {"workers": 2}, "agent": {"ci_gate": {"enabled": true, )"
                   R"("argv": [")" +
                       script + R"("]}}})");
    for (const char* const name : {"one", "two", "three", "four"}) {
        service.add_worker(name, std::string("echo done > ") + name + ".txt");
    }
    service.project.commit_and_push();
    service.start();
    CHECK(service.wait_until("StatusText", "2 running, 0 integrating, 2 queued; merge queue 0"));
    service.let_go("one");
    CHECK(service.wait_until("StatusText", "2 running, 1 integrating, 1 queued; merge queue 0"));
    service.let_go("two");
    CHECK(service.wait_until("StatusText", "2 running, 1 integrating, 0 queued; merge queue 1"));
    service.let_all_go();
    service.let_go("gate");
    CHECK(service.wait_until("StatusText", "0 running, 0 integrating, 0 queued; merge queue 0"));
}

TEST_CASE("a loop that is stuck misses its watchdog and is restarted, and workers do not notice") {
    Service service(2);
    service.drop_in("watchdog", "[Service]\nWatchdogSec=1\n");
    service.add_worker("one", "exit 0");
    service.add_worker("two", "exit 7");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto before = service.living();
    const pid_t stuck = service.main_process();
    {
        // The thread of the loop alone: all others go on.
        FrozenThread loop(service.box.number_outside(stuck));
        REQUIRE(service.wait_until("Result", "watchdog"));
        loop.let_die();
    }
    CHECK(service.next_main_process(stuck) != stuck);
    REQUIRE(service.wait_until("ActiveState", "active"));
    CHECK(service.property("NRestarts") == "1");
    CHECK(service.living() == before);
}
