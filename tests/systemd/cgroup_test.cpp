// What the unit delegates.
#include <doctest/doctest.h>

#include "daemon/store/run_directory.h"
#include "tests/systemd/service.h"

using namespace ralph::tests;
using namespace ralph::daemon;

TEST_CASE("each worker has a cgroup of its own below the unit's, which is gone after it") {
    Service service(2);
    const std::string task = service.add_worker("one", "exit 7");
    service.add_worker("two", "exit 0");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const ralph::core::Run run{ralph::core::StepKind::work, 2, 1};
    const auto record = Project::read(service.project.paths().run(task, run) + "/worker.json");
    const std::string key = "\"cgroup\": \"";
    CAPTURE(record);
    REQUIRE(record.find(key) != std::string::npos);
    // In JSON a backslash, of which the escaped name of the unit has some, is doubled.
    std::string cgroup = record.substr(record.find(key) + key.size());
    cgroup.resize(cgroup.find('"'));
    for (std::size_t at = cgroup.find("\\\\"); at != std::string::npos; at = cgroup.find("\\\\", at + 1)) {
        cgroup.erase(at, 1);
    }
    CHECK(cgroup.rfind("/sys/fs/cgroup" + service.property("ControlGroup") + "/", 0) == 0);
    std::string worker = service.beginnings().front();
    worker = worker.substr(worker.rfind(' ') + 1);
    CHECK(service.box.output_of({"cat", cgroup + "/cgroup.procs"}) == worker + "\n");
    service.let_all_go();
    REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    CHECK(service.box.read(cgroup + "/cgroup.events").empty());
}
