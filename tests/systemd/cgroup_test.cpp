// What the unit delegates.
#include <doctest/doctest.h>

#include <algorithm>

#include "daemon/store/run_directory.h"
#include "tests/systemd/service.h"

using namespace ralph::tests;
using namespace ralph::daemon;

namespace {

std::string cgroup_of_unit(const Service& service) {
    return "/sys/fs/cgroup" + service.property("ControlGroup");
}

// That the first work step of the task has recorded.
std::string cgroup_of_worker(const Service& service, const std::string& task) {
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
    return cgroup;
}

bool tell(const Service& service, const std::string& path, const std::string& text) {
    return service.box.run({"sh", "-c", "echo \"$0\" > \"$1\"", text, path}).succeeded();
}

// Enables a controller in all that is above the unit's cgroup, as systemd does for those that it knows.
bool delegate(const Service& service, const std::string& controller) {
    const std::string unit = cgroup_of_unit(service);
    if (!service.box.delegate(controller)) {
        return false;
    }
    for (std::size_t slash = unit.find('/', std::string("/sys/fs/cgroup").size()); slash != std::string::npos;
         slash = unit.find('/', slash + 1)) {
        if (!tell(service, unit.substr(0, slash) + "/cgroup.subtree_control", "+" + controller)) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST_CASE("each worker has a cgroup of its own below the unit's, which is gone after it") {
    Service service(2);
    const std::string task = service.add_worker("one", "exit 7");
    service.add_worker("two", "exit 0");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const std::string unit = cgroup_of_unit(service);
    const std::string cgroup = cgroup_of_worker(service, task);
    CHECK(cgroup.rfind(unit + "/ralph-", 0) == 0);
    CHECK(cgroup.find('/', unit.size() + 1) == std::string::npos);
    std::string worker = service.beginnings().front();
    worker = worker.substr(worker.rfind(' ') + 1);
    CHECK(service.box.output_of({"cat", cgroup + "/cgroup.procs"}) == worker + "\n");
    CHECK(service.box.output_of({"cat", unit + "/cgroup.procs"}).empty());
    CHECK(("\n" + service.box.output_of({"cat", unit + "/supervisor/cgroup.procs"}))
              .find("\n" + service.property("MainPID") + "\n") != std::string::npos);
    service.let_all_go();
    REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    CHECK(service.box.read(cgroup + "/cgroup.events").empty());
}

// systemd 252 puts a main process into the unit's own cgroup, and the kernel lets no process in there while
// controllers are enabled for what is below it.
TEST_CASE("controllers that are enabled for living workers are released before the next main process") {
    Service service(2);
    service.add_worker("one", "exit 0");
    service.project.commit_and_push();
    SUBCASE("as root") {}
    SUBCASE("as another user, to whom systemd does not give the cgroup that it runs ExecStopPost= in") {
        service.drop_in("user", "[Service]\nUser=daemon\n");
        service.box.output_of({"chown", "-R", "daemon:daemon", service.project.folder().path()});
    }
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const std::string control = cgroup_of_unit(service) + "/cgroup.subtree_control";
    if (!delegate(service, "hugetlb")) {
        MESSAGE("not tested here: the controller hugetlb cannot be delegated");
        return;
    }
    REQUIRE(tell(service, control, "+hugetlb"));
    const auto living = service.living();
    for (const bool killed : {true, false}) {
        CAPTURE(killed);
        REQUIRE(tell(service, control, "+hugetlb"));
        const pid_t old = service.main_process();
        if (killed) {
            service.kill_main_process();
        } else {
            service.control("restart");
        }
        static_cast<void>(service.next_main_process(old));
        REQUIRE(service.wait_until("ActiveState", "active"));
        CHECK(service.box.output_of({"cat", control}).find("hugetlb") == std::string::npos);
    }
    CHECK(service.living() == living);
    CHECK(service.journal().find("status=219") == std::string::npos);
}

TEST_CASE(
    "limits of workers: those that can be had hold, also after a restart; the others are told in one line") {
    Service service(2);
    Project::write(service.project.paths().supervisor_config(),
                   R"({"limits": {"memory": "64MiB", "cpu": 0.5, "tasks": 100, "io_weight": 50}})");
    for (const char* controller : {"memory", "cpu", "pids", "io"}) {
        static_cast<void>(service.box.delegate(controller));  // where cgroup v1 does not have it
    }
    service.box.output_of({"systemctl", "daemon-reexec"});  // looks again at what there is
    const std::string task = service.add_worker("one", "exit 0");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const std::string cgroup = cgroup_of_worker(service, task);
    std::string available =
        " " + service.box.output_of({"cat", cgroup_of_unit(service) + "/cgroup.controllers"}) + " ";
    std::replace(available.begin(), available.end(), '\n', ' ');
    struct Limit {
        std::string setting, controller, file, value;
    };
    const std::vector<Limit> limits{{"limits.memory", "memory", "memory.max", "67108864\n"},
                                    {"limits.cpu", "cpu", "cpu.max", "50000 100000\n"},
                                    {"limits.tasks", "pids", "pids.max", "100\n"},
                                    {"limits.io_weight", "io", "io.weight", "default 50\n"}};
    for (const char* when : {"at the start", "after a restart"}) {
        CAPTURE(when);
        const std::string pid = service.property("MainPID");
        service.box.output_of({"journalctl", "--sync"});
        for (const Limit& limit : limits) {
            CAPTURE(limit.setting);
            const bool is_delegated = available.find(" " + limit.controller + " ") != std::string::npos;
            const std::string told =
                service.box.output_of({"journalctl", "--no-pager", "--output=cat", "_PID=" + pid});
            CHECK((told.find(limit.setting + " (the controller " + limit.controller + " is not delegated)") !=
                   std::string::npos) != is_delegated);
            if (is_delegated) {
                CHECK(service.box.output_of({"cat", cgroup + "/" + limit.file}) == limit.value);
            } else if (std::string_view(when) == "at the start") {
                MESSAGE("not tested here, the controller is not there: " << limit.setting);
            }
        }
        service.control("restart");
        static_cast<void>(service.next_main_process(static_cast<pid_t>(std::stol(pid))));
        REQUIRE(service.wait_until("ActiveState", "active"));
    }
}
