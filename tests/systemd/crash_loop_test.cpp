// A service that cannot run.
#include <doctest/doctest.h>

#include "tests/systemd/service.h"

using namespace ralph::tests;
using ralph::core::Lifecycle;

TEST_CASE("a crash loop gives up, leaves the workers alone, and reset-failed leads out of it") {
    Service service(2);
    const std::string task = service.add_worker("worker", "exit 7");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto before = service.living();
    const std::string config = Project::read(service.project.paths().config());

    Project::write(service.project.paths().config(), "this is no setting");
    service.kill_main_process();
    REQUIRE(service.wait_until("ActiveState", "failed"));
    CHECK(service.property("Result") == "exit-code");
    CHECK(std::stoi(service.property("NRestarts")) > 2);  // one mistake is no loop
    CHECK(service.journal().find("Start request repeated too quickly") != std::string::npos);
    CHECK(service.living() == before);

    Project::write(service.project.paths().config(), config);
    CHECK_THROWS(service.control("start"));
    service.control("reset-failed");
    service.start();
    CHECK(service.living() == before);
    service.let_all_go();
    REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    CHECK(service.project.record(task)->last_error->find("exited with status 7") != std::string::npos);
}

TEST_CASE("wrong usage is not tried again") {
    Service service(2);
    service.drop_in("usage",
                    "[Service]\nExecStart=\nExecStart=" + service.program() + " run --no-such-option\n");
    static_cast<void>(service.box.run({"systemctl", "start", service.unit()}));
    REQUIRE(service.wait_until("ActiveState", "failed"));
    CHECK(service.property("ExecMainStatus") == "2");
    CHECK(service.property("NRestarts") == "0");
}
