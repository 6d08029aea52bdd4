// What happens to workers while their supervisor is dead, frozen, starting or replaced.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "daemon/store/run_directory.h"
#include "tests/support/project.h"
#include "tests/support/step_harness.h"

using namespace ralph::daemon;
using namespace ralph::tests;
using namespace std::chrono_literals;
using ralph::core::Lifecycle;
namespace core = ralph::core;
namespace fs = std::filesystem;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool sanitized = true;  // its shadow is no memory of ours, and it is many times slower
#else
constexpr bool sanitized = false;
#endif

const core::Run work_run{core::StepKind::work, 2, 1};

// Tells the ledger that it has begun, waits for the file `go`, tells the ledger, and ends as `end` says.
std::string waiting_worker(const Project& project, const std::string& end) {
    return "echo begin $RALPH_ATTEMPT >> '" + project.outside("ledger") + "'; while ! [ -e '" +
           project.outside("go") + "' ]; do sleep 0.02; done; echo end >> '" + project.outside("ledger") +
           "'; " + end;
}

// A project with one task, whose worker has begun.
struct Begun {
    explicit Begun(const std::string& end = "echo one > one.txt", bool copies = false) {
        programs = copies ? project.use_copies() : "";
        project.add("one", waiting_worker(project, end));
        project.commit_and_push();
        project.start({"run", "--parallel", "2"});
        REQUIRE(Project::eventually([&] { return !Project::read(project.outside("ledger")).empty(); }));
    }
    void let_go() const { Project::write(project.outside("go"), ""); }
    [[nodiscard]] std::string ledger() const { return Project::read(project.outside("ledger")); }
    [[nodiscard]] std::string run_directory() const { return project.paths().run("RQ-0001", work_run); }
    [[nodiscard]] RunView view() const { return *view_run(run_directory(), work_run); }
    // Until the shim has reported and is gone.
    void await_end() const {
        REQUIRE(Project::eventually([&] { return view().exit.has_value() && !view().shim_alive; }));
    }

    Project project;
    std::string programs;
};

void replace(const std::string& program) {
    fs::copy_file(program, program + ".new");
    fs::rename(program + ".new", program);
}

std::uintmax_t size_of(const std::string& path) {
    std::error_code missing;
    const auto size = fs::file_size(path, missing);
    return missing ? 0 : size;
}

}  // namespace

TEST_CASE("a worker that ends with status 7 while nobody supervises has failed with status 7") {
    Begun begun("exit 7");
    begun.project.crash();
    begun.let_go();
    begun.await_end();
    CHECK(begun.project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::failed);
    CHECK(begun.project.record("RQ-0001")->last_error->find("exited with status 7") != std::string::npos);
    CHECK(begun.ledger() == "begin 1\nend\n");
}

TEST_CASE("a worker that ends while its supervisor is frozen") {
    Begun begun;
    begun.project.freeze();
    begun.let_go();
    begun.await_end();
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::running);
    begun.project.signal(SIGCONT);
    CHECK(begun.project.wait() == 0);
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(begun.ledger() == "begin 1\nend\n");
}

TEST_CASE("a worker that ends while its supervisor is starting") {
    Begun begun;
    begun.project.crash();
    begun.project.start({"run", "--parallel", "2"});
    const std::string sign_of_life = "pid: " + std::to_string(begun.project.supervisor()) + "\n";
    REQUIRE(Project::eventually(
        [&] { return Project::read(begun.project.paths().supervisor_lock()).find(sign_of_life) == 0; }));
    begun.project.freeze();
    begun.let_go();
    begun.await_end();
    begun.project.signal(SIGCONT);
    CHECK(begun.project.wait() == 0);
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(begun.ledger() == "begin 1\nend\n");
}

TEST_CASE("a shim that is killed, and its worker with it: lost, run again twice, then failed, and never 0") {
    Project project;
    project.add("kills its shim",
                "echo begin $RALPH_ATTEMPT >> '" + project.outside("ledger") +
                    "'; echo half > $RALPH_RUN_DIR/outcome.json.new; kill -9 $PPID; sleep 1000");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "2"});
    CHECK(end.status == 3);
    CHECK(Project::read(project.outside("ledger")) == "begin 1\nbegin 2\nbegin 3\n");
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::failed);
    const std::string error = *project.record("RQ-0001")->last_error;
    CAPTURE(error);
    CHECK(error.find("the outcome of work is lost: its shim is gone without an exit record") !=
          std::string::npos);
    CHECK(error.find("status") == std::string::npos);
    CHECK(end.errors.find("restarted 2 times, giving up") != std::string::npos);
    CHECK(project.remote_done().empty());
    for (const auto& entry : fs::recursive_directory_iterator(project.paths().runs())) {
        CHECK(entry.path().extension() != ".new");
    }
}

TEST_CASE("the marker of a worker that was lost is not taken for that of the next one") {
    Project project;
    const std::string marker =
        R"({"task_id": "RQ-0001", "reason": "a conflict", "attempt": 1, "max_attempts": 1, "generated_at": ""})";
    project.add("blocks, then fails",
                "[ $RALPH_ATTEMPT = 1 ] || exit 7; mkdir -p .ralph/cache/parallel; echo '" + marker +
                    "' > .ralph/cache/parallel/blocked_push.json; kill -9 $PPID; sleep 1000");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::failed);
    CHECK(project.record("RQ-0001")->last_error->find("status 7") != std::string::npos);
}

TEST_CASE("a state of another boot is not adopted, nobody is signalled, and the work is done again") {
    Begun begun;
    begun.project.crash();
    const RunView view = begun.view();
    const auto shim = open_process(*view.shim);
    REQUIRE(shim.has_value());
    REQUIRE(signal_process(*shim, SIGKILL));
    REQUIRE(Project::eventually([&] { return !begun.view().shim_alive && is_over(view.worker->pid); }));
    // By chance, as it were, this very process has the number and the start time that were recorded.
    const std::string record = "{\"version\": 1, \"pid\": " + std::to_string(own_identity().pid) +
                               ", \"start_ticks\": " + std::to_string(own_identity().start_ticks) +
                               ", \"boot_id\": \"another boot\"}";
    Project::write(begun.run_directory() + "/shim.json", record);
    Project::write(begun.run_directory() + "/worker.json", record);
    begun.let_go();
    const auto end = begun.project.ralph({"run", "--parallel", "2"});
    CHECK(end.status == 0);
    CHECK(end.errors.find("is lost") != std::string::npos);
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(begun.ledger() == "begin 1\nbegin 2\nend\n");
}

TEST_CASE("the supervisor's lock is inherited by nobody") {
    Begun begun;
    begun.project.crash();
    CHECK(begun.view().shim_alive);
    {
        const auto lock = FileLock::acquire(begun.project.paths().supervisor_lock(), FileLock::Wait::no);
        REQUIRE(lock.has_value());
        CHECK(lock->has_value());
    }
    begun.project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually(
        [&] { return begun.project.log().find("goes on under its shim") != std::string::npos; }));
    begun.let_go();
    CHECK(begun.project.wait() == 0);
    CHECK(begun.ledger() == "begin 1\nend\n");
}

TEST_CASE("the programs are replaced while they run: what runs goes on, what is new starts, and is adopted" *
          doctest::test_suite("as-built")) {
    Begun begun("echo one > one.txt", true);
    const std::string next = begun.project.add("two", "echo two > two.txt", {"RQ-0001"});
    begun.project.commit_and_push();
    replace(begun.programs + "/ralph");
    replace(begun.programs + "/ralph-shim");
    SUBCASE("the old supervisor goes on") {}
    SUBCASE("a new one adopts") {
        begun.project.crash();
        begun.project.start({"run", "--parallel", "2"});
        REQUIRE(Project::eventually(
            [&] { return begun.project.log().find("goes on under its shim") != std::string::npos; }));
    }
    begun.let_go();
    CHECK(begun.project.wait() == 0);
    CHECK(begun.project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(begun.project.record(next)->lifecycle == Lifecycle::completed);
    CHECK(begun.ledger() == "begin 1\nend\n");
}

TEST_CASE("much output while nobody supervises: the worker is not held up, and nothing is lost") {
    constexpr std::uintmax_t bytes = 20'000'000;
    Bench bench;
    bench.launch_and_leave(bench.shell("while ! [ -e go ]; do sleep 0.01; done; head -c " +
                                           std::to_string(bytes) + " /dev/zero | tr '\\0' x; exit 4",
                                       0ms, 64 << 20));
    REQUIRE(write_file_durably(bench.folder() / "go", "").has_value());
    REQUIRE(eventually([&] { return bench.view().exit.has_value() && !bench.view().shim_alive; }));
    CHECK(exit_of(bench.adopt()).exited_with(4));
    const std::string log = bench.log();
    CHECK(log.size() - (log.find('\n') + 1) == bytes);
    CHECK(log.find_first_not_of('x', log.find('\n') + 1) == std::string::npos);
}

TEST_CASE("a line without end: the log keeps its limit, the shim its size, and the status is true" *
          doctest::test_suite("as-built")) {
    constexpr long long limit = 1 << 20;
    const std::string bytes = sanitized ? "67108864" : "1073741824";
    Bench bench;
    const auto record = exit_of(bench.run(bench.shell("head -c " + bytes +
                                                          " /dev/zero | tr '\\0' x; grep VmHWM "
                                                          "/proc/$PPID/status > peak; echo the-end; exit 9",
                                                      0ms, limit)));
    CHECK(record.exited_with(9));
    CHECK(bench.log().find("the-end\n") != std::string::npos);
    CHECK(size_of(bench.paths().log("RQ-0001")) <= static_cast<std::uintmax_t>(limit));
    CHECK(size_of(bench.paths().log("RQ-0001") + ".1") <= static_cast<std::uintmax_t>(limit));
    CHECK(!fs::exists(bench.paths().log("RQ-0001") + ".2"));
    const std::string peak = bench.file("peak");
    REQUIRE(peak.find("VmHWM:") == 0);
    if (!sanitized) {
        CHECK(std::stol(peak.substr(6)) < 16 * 1024);
    }
}

// A power failure took the record, and the run directory of its discard step is behind: its shim is gone, and
// what it had started lives.
TEST_CASE("what is left of a discard step is ended before its run is forgotten") {
    Project project;
    const core::Run discard{core::StepKind::discard, 4, 1};
    const std::string directory = project.paths().run("RQ-0001", discard);
    core::RunSpec spec;
    spec.task_id = "RQ-0001";
    spec.run = discard;
    spec.run_id = "0123456789abcdef0123456789abcdef";
    spec.command = {"ralph", "step", "discard"};
    fs::create_directories(directory);
    const std::string mark = "RALPH_RUN_ID=" + spec.run_id;
    const pid_t left = ::fork();
    REQUIRE(left >= 0);
    if (left == 0) {
        ::execle("/bin/sleep", "sleep", "1000", nullptr,
                 std::array{mark.c_str(), static_cast<const char*>(nullptr)}.data());
        ::_exit(127);
    }
    REQUIRE(Project::eventually([&] {
        return Project::read("/proc/" + std::to_string(left) + "/environ").find(mark) != std::string::npos;
    }));
    const auto record = [](pid_t pid, std::uint64_t ticks) {
        return "{\"version\": 1, \"pid\": " + std::to_string(pid) +
               ", \"start_ticks\": " + std::to_string(ticks) + ", \"boot_id\": \"" + boot_id() + "\"}";
    };
    Project::write(directory + "/spec.json", core::run_spec_text(spec));
    Project::write(directory + "/lock", "");
    Project::write(directory + "/shim.json", record(left, 1));  // another process that had the number before
    Project::write(directory + "/worker.json", record(left, start_ticks(left).value()));

    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    int status = 0;
    const bool is_gone = ::waitpid(left, &status, WNOHANG) == left;
    if (!is_gone) {
        ::kill(left, SIGKILL);
        ::waitpid(left, nullptr, 0);
    }
    CHECK(is_gone);
    CHECK(WIFSIGNALED(status));
    CHECK_FALSE(fs::exists(directory));
}
