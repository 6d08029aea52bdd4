// The host goes down and comes up again on the same disk.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "daemon/store/run_directory.h"
#include "tests/systemd/service.h"

using namespace ralph::tests;
using ralph::core::Lifecycle;
using ralph::core::StepKind;
using namespace ralph::daemon;
namespace core = ralph::core;

namespace {

core::Run work_run(std::uint32_t number = 2, std::uint32_t attempt = 1) {
    return {StepKind::work, number, attempt};
}

RunView view(const Service& service, const std::string& task, const core::Run& run) {
    const auto found = view_run(service.project.paths().run(task, run), run);
    REQUIRE(found.has_value());
    return *found;
}

// A process of nobody's in the box with exactly that number, if it is free there. Nothing else may be started
// in the box meanwhile.
bool start_stranger(const Box& box, pid_t number) {
    // The kernel numbers the next process of a pid namespace after the last one. The file is not writable in
    // the box itself, so only the pid namespace is entered.
    ProgramRequest request;
    request.program = "nsenter";
    request.arguments = {
        "--target",
        std::to_string(box.leader()),
        "--pid",
        "--",
        "sh",
        "-c",
        fmt::format("echo {} > /proc/sys/kernel/ns_last_pid; sleep 1000 </dev/null >/dev/null 2>&1 &",
                    number - 1)};
    request.directory = "/";
    request.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    static_cast<void>(run_program(request));
    return box.read(fmt::format("/proc/{}/comm", number)) == "sleep\n";
}

}  // namespace

TEST_CASE(
    "power is lost: what ran runs again, what had ended keeps its status, what landed does not land twice") {
    Service service(4);
    const std::string runs = service.add_worker("runs", "echo \"attempt $RALPH_ATTEMPT\" > runs.txt");
    const std::string ended = service.add_worker("ended", "exit 7");
    const std::string landed = service.add_worker("landed", "echo landed > landed.txt");
    service.project.commit_and_push();
    service.control("enable");
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    service.let_go("landed");
    REQUIRE(Project::eventually([&] { return service.is_terminal(landed); }));
    // Ends unnoticed: the supervisor stands still from now on.
    service.control("kill", {"--kill-whom=main", "--signal=STOP"});
    service.let_go("ended");
    REQUIRE(Project::eventually([&] {
        const auto seen = view(service, ended, work_run());
        return seen.exit.has_value() && !seen.shim_alive;
    }));
    CHECK(service.project.record(ended)->lifecycle == Lifecycle::running);

    service.box.reboot(Box::Down::power_loss);
    REQUIRE(service.wait_until("ActiveState", "active"));  // it is enabled
    REQUIRE(Project::eventually([&] { return service.is_terminal(ended); }));
    CHECK(service.project.record(ended)->lifecycle == Lifecycle::failed);
    CHECK(service.project.record(ended)->last_error->find("exited with status 7") != std::string::npos);

    service.let_go("runs");
    REQUIRE(Project::eventually([&] { return service.is_terminal(runs); }));
    CHECK(service.project.record(runs)->lifecycle == Lifecycle::completed);
    CHECK(service.project.git(service.project.remote(), {"show", "main:runs.txt"}) == "attempt 2\n");
    CHECK(service.beginnings().size() == 4);
    const auto subjects = service.project.remote_subjects();
    for (const std::string& task : {runs, landed}) {
        CHECK(std::count(subjects.begin(), subjects.end(), "ralph: archive " + task + " queue bookkeeping") ==
              1);
    }
}

TEST_CASE("after a reboot nobody is taken for a worker because of its number") {
    Service service(2);
    const std::string task = service.add_worker("worker", "echo done > done.txt");
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto before = view(service, task, work_run());
    REQUIRE(before.shim.has_value());
    REQUIRE(before.worker.has_value());

    service.box.reboot(Box::Down::power_loss);
    REQUIRE(start_stranger(service.box, before.shim->pid));
    const std::string stranger = service.box.read(fmt::format("/proc/{}/stat", before.shim->pid));
    service.start();
    REQUIRE(Project::eventually([&] { return service.beginnings().size() == 2; }));
    CHECK(Project::read(service.project.paths().run(task, work_run(3, 2)) + "/spec.json")
              .find("\"attempt\": 2") != std::string::npos);
    CHECK(service.living().size() == 1);
    service.let_all_go();
    REQUIRE(Project::eventually([&] { return service.is_terminal(task); }));
    CHECK(service.project.record(task)->lifecycle == Lifecycle::completed);
    const std::string afterwards = service.box.read(fmt::format("/proc/{}/stat", before.shim->pid));
    CHECK(afterwards.substr(0, 10) == stranger.substr(0, 10));
}
