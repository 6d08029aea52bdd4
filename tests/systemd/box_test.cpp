// The box itself: what it keeps apart, what it keeps, and that nothing is left of it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>

#include "daemon/os/identity.h"
#include "tests/support/project.h"
#include "tests/systemd/box.h"

using namespace ralph::tests;
using namespace ralph::daemon;
namespace fs = std::filesystem;

namespace {

FileDescriptor open_leader(pid_t pid) {
    const auto ticks = start_ticks(pid);
    REQUIRE(ticks.has_value());
    auto pidfd = open_process({pid, *ticks, boot_id()});
    REQUIRE(pidfd.has_value());
    return std::move(*pidfd);
}

bool is_over(const FileDescriptor& pidfd) {
    pollfd asked{pidfd.get(), POLLIN, 0};
    return ::poll(&asked, 1, 30'000) == 1;
}

// As a test that is in the middle of something; tells the number of the box's first process.
[[noreturn]] void hold_box(int channel) {
    try {
        const Box box({});
        static_cast<void>(
            box.run({"systemd-run", "sh", "-c", "trap '' TERM; setsid sleep 1000 & sleep 1000"}));
        const pid_t leader = box.leader();
        if (::write(channel, &leader, sizeof(leader)) == sizeof(leader)) {
            ::pause();
        }
    } catch (const std::exception&) {
    }
    ::_exit(1);  // who reads the channel sees its end
}

}  // namespace

TEST_CASE("two boxes at once: systemd, its journal, a disk and a boot of its own for each") {
    const TemporaryDirectory shared;
    Project::write(shared / "greeting", "hello");
    const Box one({{shared.path()}});
    auto two = std::make_unique<Box>(std::vector<Box::Share>{{shared.path(), "/var/lib/elsewhere", false}});
    CHECK(one.name() != two->name());
    for (const Box* box : {&one, const_cast<const Box*>(two.get())}) {
        CHECK(box->output_of({"systemctl", "is-system-running"}) == "running\n");
        CHECK(box->output_of({"cat", "/proc/1/comm"}) == "systemd\n");
        CHECK(!box->output_of({"journalctl", "--no-pager", "--boot", "--unit=init.scope"}).empty());
        CHECK(box->run({"sh", "-c", "echo to errors >&2; exit 7"}).status == 7);
        CHECK(box->run({"sh", "-c", "echo to errors >&2; exit 7"}).errors == "to errors\n");
        box->write("/etc/only-here", box->name());
        CHECK(box->read("/etc/only-here") == box->name());
    }
    CHECK_FALSE(fs::exists("/etc/only-here"));
    CHECK(one.read("/etc/machine-id") != two->read("/etc/machine-id"));
    CHECK(one.read("/proc/sys/kernel/random/boot_id") != two->read("/proc/sys/kernel/random/boot_id"));

    CHECK(two->read("/var/lib/elsewhere/greeting") == "hello");
    CHECK_FALSE(two->run({"touch", "/var/lib/elsewhere/more"}).succeeded());
    one.output_of({"sh", "-c", "echo from inside > " + shared.path() + "/answer"});
    CHECK(Project::read(shared / "answer") == "from inside\n");

    two.reset();
    CHECK(one.output_of({"systemctl", "is-system-running"}) == "running\n");
}

TEST_CASE("a box that goes down and comes up again has its disk, and another boot") {
    Box box({});
    box.write("/etc/systemd/system/mark.service",
              "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/touch /var/stopped-in-order\n"
              "[Install]\nWantedBy=multi-user.target\n");
    box.output_of({"systemctl", "enable", "--now", "mark.service"});
    const std::string first_boot = box.read("/proc/sys/kernel/random/boot_id");
    const std::string machine = box.read("/etc/machine-id");

    box.reboot(Box::Down::power_loss);
    CHECK_FALSE(fs::exists(box.on_disk("/var/stopped-in-order")));
    CHECK(box.read("/proc/sys/kernel/random/boot_id") != first_boot);
    CHECK(box.read("/etc/machine-id") == machine);
    CHECK(box.property("mark.service", "ActiveState") == "active");

    box.go_down(Box::Down::shutdown);
    CHECK_FALSE(box.is_up());
    CHECK(fs::exists(box.on_disk("/var/stopped-in-order")));
    CHECK_THROWS(static_cast<void>(box.run({"true"})));
}

TEST_CASE("a unit's property is waited for") {
    const TemporaryDirectory shared;
    const Box box({{shared.path()}});
    CHECK(box.property("waiting.service", "LoadState") == "not-found");
    box.output_of({"mkfifo", shared.path() + "/pipe"});
    box.output_of({"systemd-run", "--unit=waiting", "--remain-after-exit", "cat", shared.path() + "/pipe"});
    CHECK(box.property("waiting.service", "SubState") == "running");
    box.output_of({"systemd-run", "sh", "-c", "sleep 0.5; echo > " + shared.path() + "/pipe"});
    CHECK(box.wait_until("waiting.service", "SubState", "exited"));
    CHECK(box.property("waiting.service", "SubState") == "exited");
}

TEST_CASE("a box whose test is killed ends with it, whatever it was doing") {
    int channel[2];
    REQUIRE(::pipe2(channel, O_CLOEXEC) == 0);
    const pid_t test = ::fork();
    REQUIRE(test >= 0);
    if (test == 0) {
        hold_box(channel[1]);
    }
    const FileDescriptor ours(channel[0]);
    ::close(channel[1]);
    pid_t leader = -1;
    const bool is_told = ::read(channel[0], &leader, sizeof(leader)) == sizeof(leader);
    FileDescriptor pidfd;
    if (is_told) {
        pidfd = open_leader(leader);
    }
    ::kill(test, SIGKILL);  // our child, which nobody has waited for
    ::waitpid(test, nullptr, 0);
    REQUIRE(is_told);
    CHECK(is_over(pidfd));
}

TEST_CASE("a box that does not come up says why") {
    const TemporaryDirectory shared;
    CHECK_THROWS_WITH(Box({{shared / "missing"}}), doctest::Contains("missing"));
}
