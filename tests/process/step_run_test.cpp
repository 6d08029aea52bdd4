// Real shims, real processes: what is reported is what happened, and nothing is left behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "daemon/os/spawn.h"
#include "daemon/store/run_directory.h"
#include "tests/support/refused_calls.h"
#include "tests/support/step_harness.h"
#include "tests/support/temporary_directory.h"

using namespace ralph::daemon;
using namespace std::chrono_literals;
namespace core = ralph::core;
using namespace ralph::tests;

TEST_CASE("output, folder, environment and standard input of a step") {
    Bench bench;
    const auto record = exit_of(
        bench.run(bench.shell("pwd; echo to-stderr >&2; cat; echo id=$RALPH_RUN_ID; ls /proc/self/fd")));
    CHECK(record.exited_with(0));
    const std::string log = bench.log();
    CHECK(log.find("==> RQ-0001 work run 1 attempt 1 ") == 0);
    CHECK(log.find(bench.folder().path() + "\n") != std::string::npos);
    CHECK(log.find("to-stderr\n") != std::string::npos);
    CHECK(log.find("id=bench") != std::string::npos);
    CHECK(log.substr(log.size() - 8) == "0\n1\n2\n3\n");  // 3 is ls reading the folder
}

TEST_CASE("a command that is not there") {
    Bench bench;
    Launch launch = bench.shell("");
    launch.spec.command = {"/no/such/program"};
    CHECK(exit_of(bench.run(launch)).exited_with(127));
    CHECK(bench.log().find("cannot execute /no/such/program") != std::string::npos);
    CHECK(describe(exit_of(bench.run(launch))) == "could not be executed: No such file or directory");
    Bench other;
    launch = other.shell("true");
    launch.spec.working_directory = "/no/such/folder";
    CHECK(exit_of(other.run(launch)).exited_with(126));
}

TEST_CASE("what could not be executed for a while has never begun") {
    const auto never_begun = [](const Bench& bench, const core::RunEnd& end) {
        CHECK(std::holds_alternative<core::StartFailed>(end));
        const auto history = read_history(bench.paths(), "RQ-0001", "/nowhere", OrphanPolicy::keep);
        REQUIRE(history.has_value());
        CHECK(history->work_attempts == 0);
        CHECK_FALSE(history->counts.worked);
        REQUIRE((history->newest && history->newest->end));
        CHECK(std::holds_alternative<core::StartFailed>(*history->newest->end));
    };
    Bench missing;  // our own program, as in an upgrade
    Launch launch = missing.shell("");
    launch.spec.command = {missing.folder().path() + "/ralph", "step", "work"};
    never_begun(missing, missing.run(launch));
    Bench busy;  // anybody's, while it is written
    launch = busy.shell("");
    const std::string program = busy.folder().path() + "/program";
    const FileDescriptor writer(::open(program.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    REQUIRE(::write(writer.get(), "#!/bin/sh\n", 10) == 10);
    launch.spec.command = {program};
    never_begun(busy, busy.run(launch));
}

namespace {

// For as long as it lives, this process may have so many descriptors more than it has.
class FewDescriptors {
  public:
    explicit FewDescriptors(rlim_t more) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const FileDescriptor next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        rlimit few = before_;
        few.rlim_cur = static_cast<rlim_t>(next.get()) + more;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("few descriptors are enough for a step, and some are left for whoever watches it") {
    Bench bench;
    {
        const FewDescriptors few(30);
        CHECK(exit_of(bench.run(bench.shell("echo ran"))).exited_with(0));
    }
    Bench other;
    const FewDescriptors too_few(9);
    const auto end = other.run(other.shell("echo ran"));
    const auto* const start_failed = std::get_if<core::StartFailed>(&end);
    REQUIRE(start_failed != nullptr);
    CHECK(start_failed->reason.find("Too many open files") != std::string::npos);
}

TEST_CASE("a step has the limit of descriptors that ralph was started with") {
    Bench bench;
    Launch launch = bench.shell("echo limit=$(ulimit -Sn)");
    launch.descriptors = 77;
    CHECK(exit_of(bench.run(launch)).exited_with(0));
    CHECK(bench.log().find("limit=77\n") != std::string::npos);
}

TEST_CASE("what was used is measured") {
    Bench bench;
    const auto record = exit_of(bench.run(bench.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")));
    CHECK(record.user_cpu_microseconds > 0);
    CHECK(record.peak_memory_kib > 100);
    CHECK(record.started_at < record.ended_at);
}

TEST_CASE("the whole tree ends with the step: background, new session, double fork") {
    Bench bench;
    const auto record = exit_of(
        bench.run(bench.shell("sleep 1000 & echo $! > background; setsid sleep 1000 & echo $! > session; "
                              "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; exec sleep 1000' &) & "
                              "setsid sh -c 'sh -c \"echo \\$\\$ > deep; sleep 1000; true\"; true' & "
                              "while ! [ -s daemon ] || ! [ -s deep ]; do sleep 0.01; done; exit 5")));
    CHECK(record.exited_with(5));
    for (const char* name : {"background", "session", "daemon", "deep"}) {
        CHECK(is_over(pid_in(bench.file(name))));
    }
}

TEST_CASE("a step that runs out of time is asked first and killed then") {
    Bench polite;
    const auto asked =
        exit_of(polite.run(polite.shell("trap 'exit 3' TERM; while :; do sleep 0.01; done", 200ms)));
    CHECK(asked.timed_out);
    CHECK(asked.exited_with(3));
    Bench stubborn;
    const auto killed = exit_of(stubborn.run(stubborn.shell(
        "trap '' TERM; (trap '' TERM; echo $$ > child; while :; do sleep 0.1; done) & while :; "
        "do sleep 0.1; done",
        200ms)));
    CHECK(killed.timed_out);
    CHECK(killed.kind == core::ExitRecord::Kind::signalled);
    CHECK(killed.value == SIGKILL);
}

TEST_CASE(
    "a step that is silent for too long is ended, however long it has run before, and one that talks is "
    "not") {
    Bench bench;
    auto silent = bench.shell("for i in 1 2 3; do echo $i; sleep 0.1; done; exec sleep 1000");
    silent.silence = core::Milliseconds{700};
    CHECK(exit_of(bench.run(std::move(silent))).timed_out);
    CHECK(bench.log().find("3\n") != std::string::npos);
    Bench other;
    auto talks = other.shell("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done");
    talks.silence = core::Milliseconds{1500};
    CHECK(exit_of(other.run(std::move(talks))).exited_with(0));
}

TEST_CASE("a step that is told to end") {
    Bench bench;
    const auto record = exit_of(bench.run(bench.shell("sleep 1000"), [&](StepRun& run) {
        REQUIRE(eventually([&] { return bench.view().worker_started; }));
        run.end();
    }));
    CHECK(record.stopped);
    CHECK(record.kind == core::ExitRecord::Kind::signalled);
    CHECK(record.value == SIGTERM);
}

TEST_CASE("a run outlives its supervisor and is adopted with its true status") {
    Bench bench;
    bench.launch_and_leave(bench.shell("while ! [ -e go ]; do sleep 0.01; done; exit 42"));
    CHECK(bench.view().shim_alive);
    std::ofstream(bench.folder() / "go") << "";
    CHECK(exit_of(bench.adopt()).exited_with(42));
    CHECK(!bench.view().shim_alive);
}

TEST_CASE("a run that ended while nobody watched keeps its status") {
    Bench bench;
    bench.launch_and_leave(bench.shell("exit 7"));
    REQUIRE(eventually([&] { return !bench.view().shim_alive; }));
    CHECK(exit_of(bench.adopt()).exited_with(7));
}

TEST_CASE("a killed shim leaves a lost run, and its tree is ended") {
    Bench bench;
    const auto end =
        bench.run(bench.shell("(setsid sleep 1000 & echo $! > grandchild) & sleep 1000"), [&](StepRun&) {
            REQUIRE(
                eventually([&] { return !bench.file("grandchild").empty() && bench.view().worker_started; }));
            const auto shim = open_process(*bench.view().shim);
            REQUIRE(shim.has_value());
            CHECK(signal_process(*shim, SIGKILL));
        });
    CHECK(std::holds_alternative<core::LostRun>(end));
    CHECK(eventually([&] { return is_over(pid_in(bench.file("grandchild"))); }));
}

TEST_CASE("a shim whose supervisor dies before the go byte starts nothing") {
    Bench bench;
    const Launch launch = bench.shell("echo started > started");
    REQUIRE(make_run_directory(bench.paths(), launch.spec).has_value());
    REQUIRE(make_directories(bench.paths().logs()).has_value());
    std::array<int, 2> sockets{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    FileDescriptor ours(sockets[0]);
    FileDescriptor theirs(sockets[1]);
    const FileDescriptor run(::open(bench.paths().run("RQ-0001", bench_run).c_str(), O_RDONLY | O_CLOEXEC));
    const FileDescriptor log(::open(bench.paths().logs().c_str(), O_RDONLY | O_CLOEXEC));
    SpawnRequest request;
    request.program = launch.shim;
    request.arguments = {"--log", "RQ-0001.log", "--cwd", bench.folder().path(),
                         "--",    "sh",          "-c",    launch.spec.command.back()};
    request.environment = launch.environment;
    request.descriptors = {{run.get(), 3}, {theirs.get(), 4}, {log.get(), 5}};
    auto shim = spawn(request);
    REQUIRE(shim.has_value());
    theirs.reset();
    char byte = 0;
    REQUIRE(::recv(ours.get(), &byte, 1, 0) == 1);
    CHECK(byte == 'R');
    CHECK(bench.view().shim_alive);
    CHECK(bench.view().shim->pid == shim->pid);
    SUBCASE("end of file") {
        ours.reset();
    }
    SUBCASE("another byte") {
        REQUIRE(::send(ours.get(), "X", 1, MSG_NOSIGNAL) == 1);
    }
    SUBCASE("told to end") {
        REQUIRE(signal_process(shim->pidfd, SIGTERM));
    }
    SUBCASE("the signal of one that adopts it comes before go, which counts all the same") {
        REQUIRE(signal_process(shim->pidfd, SIGUSR1));
        REQUIRE(::send(ours.get(), "G", 1, MSG_NOSIGNAL) == 1);
        REQUIRE(::waitpid(shim->pid, nullptr, 0) == shim->pid);
        CHECK(bench.view().exit.has_value());
        CHECK(bench.file("started") == "started\n");
        return;
    }
    REQUIRE(::waitpid(shim->pid, nullptr, 0) == shim->pid);
    CHECK(!bench.view().shim_alive);
    CHECK(!bench.view().exit.has_value());
    CHECK(std::holds_alternative<core::StartFailed>(*end_of(bench.view(), OrphanPolicy::keep)));
    CHECK(bench.file("started").empty());
}

TEST_CASE("a shim that cannot be started is reported, and nothing ran") {
    Bench bench;
    Launch launch = bench.shell("echo started > started");
    launch.shim = "/no/such/shim";
    CHECK(std::holds_alternative<core::StartFailed>(bench.run(launch)));
    CHECK(bench.file("started").empty());
}

TEST_CASE("a step for which there is no process is reported, and nothing ran") {
    const auto run = [](void (*refuse)()) {
        return status_in_child([refuse] {
            Bench bench;
            const Launch launch = bench.shell("echo started > started");
            refuse();
            const bool start_failed = std::holds_alternative<core::StartFailed>(bench.run(launch));
            return (start_failed ? 0 : 1) + (bench.file("started").empty() ? 0 : 2);
        });
    };
    CHECK(run([] {}) == 3);
    CHECK(run(refuse_processes) == 0);  // for its shim
    CHECK(run(refuse_forks) == 0);      // for itself
}

TEST_CASE("a worker whose record is torn has begun all the same") {
    Bench bench;
    static_cast<void>(bench.run(bench.shell("exit 7")));
    std::ofstream(bench.view().directory + "/worker.json") << "{";
    const auto history = read_history(bench.paths(), "RQ-0001", "/nowhere", OrphanPolicy::keep);
    REQUIRE(history.has_value());
    CHECK(history->work_attempts == 1);
}

TEST_CASE("the log is rotated at its limit and keeps the end") {
    Bench bench;
    const auto record = exit_of(bench.run(
        bench.shell("i=0; while [ $i -lt 400 ]; do printf '%01023d\\n' $i; i=$((i+1)); done; echo the-end",
                    0ms, 100'000)));
    CHECK(record.exited_with(0));
    CHECK(bench.log().size() <= 100'000 + 65'536);
    CHECK(bench.log().find("the-end\n") != std::string::npos);
    CHECK(std::filesystem::exists(bench.paths().log("RQ-0001") + ".1"));
}

TEST_CASE("no descriptor of ours reaches a child") {
    const TemporaryDirectory folder;
    const FileDescriptor leaky(::open(folder.path().c_str(), O_RDONLY));  // not close-on-exec
    REQUIRE(leaky);
    SpawnRequest request;
    request.program = "/bin/sh";
    request.arguments = {"-c", "ls /proc/self/fd > '" + folder.path() + "/fds'"};
    auto child = spawn(request);
    REQUIRE(child.has_value());
    REQUIRE(::waitpid(child->pid, nullptr, 0) == child->pid);
    CHECK(**read_file(folder / "fds") == "0\n1\n2\n3\n");
}

TEST_CASE("a process is who it is by its start time and boot, not by its number") {
    const core::ProcessIdentity self = own_identity();
    CHECK(open_process(self).has_value());
    core::ProcessIdentity other = self;
    other.start_ticks += 1;
    CHECK(!open_process(other).has_value());
    other = self;
    other.boot_id = "another boot";
    CHECK(!open_process(other).has_value());
    other.pid = 0;
    CHECK(!open_process(other).has_value());
}
