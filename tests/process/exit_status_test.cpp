// How a step ended arrives as it was: every status, every signal, for want of memory, and on a full disk.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "tests/support/kernel.h"
#include "tests/support/project.h"
#include "tests/support/step_harness.h"

using namespace ralph::daemon;
using namespace ralph::tests;
using namespace std::chrono_literals;
namespace core = ralph::core;
namespace fs = std::filesystem;

namespace {

// Signals whose default is to end a process with a memory dump.
const std::set<int> dumping{SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                            SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};

std::vector<int> fatal_signals() {
    const std::set<int> others{SIGSTOP, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGWINCH, SIGURG};
    std::vector<int> signals{SIGRTMIN + 6};
    for (int signal = 1; signal < 32; ++signal) {
        if (others.count(signal) == 0) {
            signals.push_back(signal);
        }
    }
    return signals;
}

bool has_dump(const std::string& folder) {
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().filename().string().rfind("core", 0) == 0) {
            return true;
        }
    }
    return false;
}

// Sees what happens to the names in a folder.
class FolderWatch {
  public:
    explicit FolderWatch(const std::string& folder) : inotify_(::inotify_init1(IN_CLOEXEC)) {
        REQUIRE(::inotify_add_watch(inotify_.get(), folder.c_str(), IN_DELETE) >= 0);
    }
    // Returns once `name` has been removed.
    void await_removal(const std::string& name) const {
        alignas(inotify_event) std::array<char, 4096> buffer{};
        while (true) {
            pollfd change{inotify_.get(), POLLIN, 0};
            REQUIRE(::poll(&change, 1, 30'000) == 1);
            const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
            REQUIRE(got > 0);
            for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
                const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
                if (event->len > 0 && name == event->name) {
                    return;
                }
                at += sizeof(inotify_event) + event->len;
            }
        }
    }

  private:
    FileDescriptor inotify_;
};

}  // namespace

TEST_CASE("every exit status from 0 to 255 arrives as it was" * doctest::test_suite("as-built")) {
    Bench bench;
    std::vector<Launch> launches;
    for (int status = 0; status < 256; ++status) {
        launches.push_back(bench.shell("exit " + std::to_string(status)));
    }
    const auto ends = bench.run_all(launches);
    for (unsigned status = 0; status < 256; ++status) {
        const auto record = exit_of(ends[status]);
        CAPTURE(status);
        CHECK(record.exited_with(status));
        CHECK(!record.core_dumped);
        CHECK(!record.stopped);
        CHECK(!record.timed_out);
        CHECK(!record.out_of_memory);
    }
}

TEST_CASE("every fatal signal arrives as that signal, with a dump where there is one") {
    Bench bench;
    std::vector<Launch> launches;
    const std::vector<int> signals = fatal_signals();
    for (const char* limit : {"0", "unlimited"}) {
        for (const int signal : signals) {
            const std::string folder = bench.folder() / (std::to_string(signal) + "-" + limit);
            fs::create_directory(folder);
            launches.push_back(bench.shell(std::string("ulimit -c ") + limit + "; kill -" +
                                           std::to_string(signal) + " $$; exit 3"));
            launches.back().spec.working_directory = folder;
        }
    }
    // A pattern that leads elsewhere leaves no file to compare with.
    const auto pattern = read_file("/proc/sys/kernel/core_pattern", 4096);
    const bool here = pattern && *pattern && (*pattern)->rfind("core", 0) == 0;
    const auto ends = bench.run_all(launches);
    for (std::size_t i = 0; i < launches.size(); ++i) {
        const int signal = signals[i % signals.size()];
        const bool without_dump = i < signals.size() || dumping.count(signal) == 0;
        const auto record = exit_of(ends[i]);
        CAPTURE(signal);
        CHECK(record.kind == core::ExitRecord::Kind::signalled);
        CHECK(record.value == static_cast<unsigned>(signal));
        CHECK(!record.out_of_memory);
        if (without_dump) {
            CHECK(!record.core_dumped);
        } else if (here) {
            CHECK(record.core_dumped == has_dump(launches[i].spec.working_directory));
        }
    }
}

TEST_CASE("a worker that the kernel kills for want of memory: the record says so, and the shim survives") {
    const TestCgroup cgroup(TestCgroup::Hierarchy::legacy_memory);
    if (!cgroup.refusal().empty() || !cgroup.write("memory.limit_in_bytes", "48M")) {
        MESSAGE("not tested here: no memory limit can be set: " << cgroup.refusal());
        return;
    }
    static_cast<void>(cgroup.write("memory.memsw.limit_in_bytes", "48M"));
    Bench bench;
    SUBCASE("killed by the kernel") {
        Launch launch = bench.shell("x=0123456789abcdef; while :; do x=$x$x; done");
        launch.shim = bench.shim_after(cgroup.enter());
        const auto record = exit_of(bench.run(launch));
        CHECK(record.kind == core::ExitRecord::Kind::signalled);
        CHECK(record.value == SIGKILL);
        CHECK(record.out_of_memory);
        CHECK(describe(record) == "was killed by the kernel: out of memory");
    }
    SUBCASE("killed by somebody else") {
        Launch launch = bench.shell("kill -9 $$");
        launch.shim = bench.shim_after(cgroup.enter());
        CHECK(!exit_of(bench.run(launch)).out_of_memory);
    }
    SUBCASE("killed by us, after the kernel had killed something of it") {
        Launch launch = bench.shell(
            "trap '' TERM; sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; while :; do sleep 1; done",
            2s);
        launch.shim = bench.shim_after(cgroup.enter());
        const auto record = exit_of(bench.run(launch));
        CHECK(record.timed_out);
        CHECK(record.value == SIGKILL);
        CHECK(!record.out_of_memory);
    }
}

TEST_CASE("a task whose worker was killed for want of memory says so") {
    const TestCgroup cgroup(TestCgroup::Hierarchy::legacy_memory);
    if (!cgroup.refusal().empty() || !cgroup.write("memory.limit_in_bytes", "128M")) {
        MESSAGE("not tested here: no memory limit can be set: " << cgroup.refusal());
        return;
    }
    static_cast<void>(cgroup.write("memory.memsw.limit_in_bytes", "128M"));
    Project project;
    const std::string shim = project.use_copies() + "/ralph-shim";
    fs::rename(shim, shim + "-itself");
    Project::write(shim, "#!/bin/sh\n" + cgroup.enter() + "\nexec '" + shim + "-itself' \"$@\"\n");
    fs::permissions(shim, fs::perms::owner_all);
    project.add("greedy", "x=0123456789abcdef; while :; do x=$x$x; done");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(project.record("RQ-0001")->lifecycle == core::Lifecycle::failed);
    CHECK(*project.record("RQ-0001")->last_error == "work was killed by the kernel: out of memory");
}

TEST_CASE("the shim is the last to be killed for want of memory, and the step is as it would be without it") {
    Bench bench;
    Launch launch =
        bench.shell("cat /proc/$PPID/oom_score_adj > shim-score; cat /proc/self/oom_score_adj > step-score");
    launch.shim =
        bench.shim_after("cd '" + bench.folder().path() + "'; " +
                         "sh -c 'echo -900 > /proc/self/oom_score_adj && touch privileged' 2> errors; "
                         "echo 300 > /proc/self/oom_score_adj");
    REQUIRE(exit_of(bench.run(launch)).exited_with(0));
    CHECK(bench.file("step-score") == "300\n");
    const bool privileged = fs::exists(bench.folder() / "privileged");
    CHECK(bench.file("shim-score") == (privileged ? "-900\n" : "0\n"));
}

TEST_CASE("a full disk does not stop the report") {
    const TemporaryDirectory folder;
    const SmallDisk disk(folder / "disk", "256k");
    if (!disk.refusal().empty()) {
        MESSAGE("not tested here: " << disk.refusal());
        return;
    }
    Bench bench(300ms, folder / "disk");
    Launch launch =
        bench.shell("cat /dev/zero > \"$DISK/fill\"; echo full; echo x > \"$DISK/more\" && exit 1; exit 7");
    launch.environment.push_back("DISK=" + (folder / "disk"));
    const auto record = exit_of(bench.run(launch));
    CHECK(record.exited_with(7));
    CHECK(bench.record("exit.json").find("\"value\": 7") != std::string::npos);
    CHECK(!fs::exists(bench.run_directory() + "/exit.json.reserved"));
}

TEST_CASE("where nothing can be written, the report waits for space, and the lock is held until then") {
    const TemporaryDirectory folder;
    const std::string disk_path = folder / "disk";
    const SmallDisk disk(disk_path, "256k");
    if (!disk.refusal().empty()) {
        MESSAGE("not tested here: " << disk.refusal());
        return;
    }
    Bench bench(300ms, disk_path);
    // The reserved space is taken away and kept in use.
    Launch launch = bench.shell(
        "ln \"$RUN/exit.json.reserved\" \"$DISK/taken\"; rm \"$RUN/exit.json.reserved\"; "
        "cat /dev/zero > \"$DISK/fill\"; while ! [ -e go ]; do sleep 0.01; done; exit 7");
    launch.environment.push_back("DISK=" + disk_path);
    launch.environment.push_back("RUN=" + bench.run_directory());
    bench.launch_and_leave(launch);
    const FolderWatch watch(bench.run_directory());
    REQUIRE(write_file_durably(bench.folder() / "go", "").has_value());
    watch.await_removal("exit.json.new");  // tried, without success
    CHECK(bench.view().shim_alive);
    CHECK(bench.record("exit.json").empty());
    fs::remove(disk_path + "/fill");
    CHECK(exit_of(bench.adopt()).exited_with(7));
    CHECK(!bench.view().shim_alive);
}
