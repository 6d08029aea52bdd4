// Numbers of processes are used again. Whoever has the number of a shim or worker that is gone is neither
// adopted nor signalled.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <filesystem>

#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "daemon/os/program.h"
#include "tests/support/step_harness.h"

using namespace ralph::daemon;
using namespace ralph::tests;
using namespace std::chrono_literals;
namespace core = ralph::core;
namespace fs = std::filesystem;

namespace {

constexpr const char* last_pid_file = "/proc/sys/kernel/ns_last_pid";

// A child that sleeps under a number of our choice. Only in a pid namespace where nobody else starts
// anything.
class Namesake {
  public:
    Namesake(pid_t wanted, const std::string& program, std::uint64_t not_started_at) {
        for (int i = 0; i < 1000 && pid_ < 0; ++i) {
            const FileDescriptor last(::open(last_pid_file, O_WRONLY | O_CLOEXEC));
            const std::string text = std::to_string(wanted - 1);
            REQUIRE(::write(last.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
            const pid_t pid = ::fork();
            REQUIRE(pid >= 0);
            if (pid == 0) {
                const char* const arguments[] = {program.c_str(), "1000", nullptr};
                const char* const environment[] = {nullptr};
                ::execve(program.c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
                ::_exit(127);
            }
            // Within one tick of the clock there would be no difference to see.
            if (pid == wanted && start_ticks(pid) != not_started_at) {
                pid_ = pid;
            } else {
                end(pid);
            }
        }
        REQUIRE(pid_ == wanted);
    }
    ~Namesake() { end(pid_); }
    Namesake(const Namesake&) = delete;
    Namesake& operator=(const Namesake&) = delete;

    [[nodiscard]] bool lives() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

  private:
    static void end(pid_t pid) {
        ::kill(pid, SIGKILL);  // our own child, which nobody else reaps
        ::waitpid(pid, nullptr, 0);
    }
    pid_t pid_ = -1;
};

// The lock of the run, as if a shim that nothing is known of held it.
class HeldLock {
  public:
    explicit HeldLock(const std::string& run_directory)
        : file_(::open((run_directory + "/lock").c_str(), O_RDWR | O_CLOEXEC)) {
        struct flock whole {};
        whole.l_type = F_WRLCK;
        whole.l_whence = SEEK_SET;
        REQUIRE(::fcntl(file_.get(), F_OFD_SETLK, &whole) == 0);
    }
    void let_go() { file_.reset(); }

  private:
    FileDescriptor file_;
};

// Asks the run to be adopted and ended while the lock is held, and again when it is free.
void check_left_alone(Bench& bench) {
    HeldLock lock(bench.run_directory());
    boost::asio::steady_timer timer(bench.context(), 200ms);
    const auto end = bench.adopt([&](StepRun& run) {
        run.end();
        timer.async_wait([&](const boost::system::error_code&) { lock.let_go(); });
    });
    CHECK(std::holds_alternative<core::LostRun>(end));
    CHECK(std::holds_alternative<core::LostRun>(bench.adopt()));
}

void run_with_namesakes(const std::string& program, Bench& bench) {
    bench.launch_and_leave(bench.shell("exec sleep 1000"));
    REQUIRE(eventually([&] { return bench.view().worker.has_value(); }));
    const core::ProcessIdentity shim = *bench.view().shim;
    const core::ProcessIdentity worker = *bench.view().worker;
    const auto pidfd = open_process(shim);
    REQUIRE(pidfd.has_value());
    REQUIRE(signal_process(*pidfd, SIGKILL));
    REQUIRE(::waitpid(shim.pid, nullptr, 0) == shim.pid);
    REQUIRE(::waitpid(worker.pid, nullptr, 0) == worker.pid);  // we are the init of this namespace
    const Namesake instead_of_shim(shim.pid, program, shim.start_ticks);
    const Namesake instead_of_worker(worker.pid, program, worker.start_ticks);
    check_left_alone(bench);
    CHECK(instead_of_shim.lives());
    CHECK(instead_of_worker.lives());
}

}  // namespace

// Run by the test below, as the first process of a pid namespace.
TEST_CASE("in a pid namespace: numbers that were given away again" * doctest::skip()) {
    REQUIRE(::getpid() == 1);
    SUBCASE("to a stranger") {
        Bench bench;
        run_with_namesakes("/bin/sleep", bench);
    }
    SUBCASE("to processes of the same name") {
        Bench bench;
        const std::string program = bench.folder() / "ralph-shim";
        fs::copy_file("/bin/sleep", program);
        run_with_namesakes(program, bench);
    }
}

TEST_CASE("a number that was given to somebody else is neither adopted nor signalled") {
    if (::geteuid() != 0 || ::access("/usr/bin/unshare", X_OK) != 0 || ::access(last_pid_file, W_OK) != 0) {
        MESSAGE("not tested here: needs root, unshare and " << std::string(last_pid_file));
        return;
    }
    ProgramRequest request;
    request.program = "/usr/bin/unshare";
    request.arguments = {"--pid", "--fork", "--mount-proc", "--kill-child", "true"};
    request.environment = {"PATH=/usr/bin:/bin"};
    request.directory = "/";
    request.timeout = 60s;
    auto end = run_program(request);
    if (!end || !end->succeeded()) {
        MESSAGE("not tested here: no pid namespace can be made");
        return;
    }
    request.arguments.back() = fs::read_symlink("/proc/self/exe").string();
    request.arguments.insert(request.arguments.end(), {"--no-skip", "-tc=in a pid namespace*"});
    end = run_program(request);
    REQUIRE(end.has_value());
    CAPTURE(end->output);
    CHECK(end->succeeded());
    CHECK(end->output.find("1 passed") != std::string::npos);
}

TEST_CASE("a record of another boot names nobody, even if number and start time are right") {
    Bench bench;
    bench.launch_and_leave(bench.shell("exec sleep 1000"));
    REQUIRE(eventually([&] { return bench.view().worker.has_value(); }));
    const core::ProcessIdentity shim = *bench.view().shim;
    auto pidfd = open_process(shim);
    REQUIRE(pidfd.has_value());
    REQUIRE(signal_process(*pidfd, SIGKILL));
    REQUIRE(::waitpid(shim.pid, nullptr, 0) == shim.pid);
    const pid_t stranger = ::fork();
    REQUIRE(stranger >= 0);
    if (stranger == 0) {
        ::execle("/bin/sleep", "sleep", "1000", nullptr, static_cast<char**>(nullptr));
        ::_exit(127);
    }
    const std::string record = "{\"version\": 1, \"pid\": " + std::to_string(stranger) +
                               ", \"start_ticks\": " + std::to_string(start_ticks(stranger).value()) +
                               ", \"boot_id\": \"another boot\"}";
    bench.write_record("shim.json", record);
    bench.write_record("worker.json", record);
    check_left_alone(bench);
    CHECK(::waitpid(stranger, nullptr, WNOHANG) == 0);
    ::kill(stranger, SIGKILL);
    ::waitpid(stranger, nullptr, 0);
}

TEST_CASE("a process that is dead and not reaped yet counts as gone") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::_exit(0);
    }
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    CHECK(::kill(child, 0) == 0);  // its number is still taken
    CHECK(!process_exists(child));
    CHECK(process_exists(::getpid()));
    REQUIRE(::waitpid(child, nullptr, 0) == child);
}
