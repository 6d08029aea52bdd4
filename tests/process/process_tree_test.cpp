// A step's processes end with it, wherever they have gone; in a cgroup of their own where one is delegated.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "daemon/os/cgroup.h"
#include "daemon/os/files.h"
#include "daemon/os/identity.h"
#include "daemon/os/spawn.h"
#include "daemon/supervisor/cgroup_layout.h"
#include "tests/support/kernel.h"
#include "tests/support/step_harness.h"

using namespace ralph::daemon;
using namespace ralph::tests;
using namespace std::chrono_literals;
namespace core = ralph::core;
namespace fs = std::filesystem;

namespace {

// Shell lines that start a process which has left everything behind by which it could be known: its parent
// (twice), its session, its environment; it does not listen, either. Its number is in the file `runaway`.
const std::string start_runaway =
    "sh -c 'env -i setsid /bin/sh -c \"trap \\\"\\\" TERM HUP INT; echo \\$\\$ > runaway; "
    "exec /bin/sleep 1000\" &' & while ! [ -s runaway ]; do sleep 0.01; done; ";

// Of this test; nobody of ours has any business with it.
class Stranger {
  public:
    explicit Stranger(const std::string& script = "exec sleep 1000") {
        SpawnRequest request;
        request.program = "/bin/sh";
        request.arguments = {"-c", script};
        request.environment = {"PATH=/usr/bin:/bin"};
        auto child = spawn(request);
        REQUIRE(child.has_value());
        child_ = std::move(*child);
    }
    ~Stranger() {
        if (child_.pid > 0) {
            signal_process(child_.pidfd, SIGKILL);
            ::waitpid(child_.pid, nullptr, 0);
        }
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    [[nodiscard]] pid_t pid() const { return child_.pid; }
    [[nodiscard]] bool lives() const { return ::waitpid(child_.pid, nullptr, WNOHANG) == 0; }
    // The wait status, once it has ended.
    int wait() {
        pollfd over{child_.pidfd.get(), POLLIN, 0};
        REQUIRE(::poll(&over, 1, 30'000) == 1);
        int status = 0;
        REQUIRE(::waitpid(std::exchange(child_.pid, -1), &status, 0) > 0);
        return status;
    }

  private:
    Child child_;
};

// A cgroup as systemd delegates one to a unit; a bench in it.
struct DelegatedBench {
    TestCgroup unit{TestCgroup::Hierarchy::unified};
    Bench bench;

    // Whether such a thing can be made here; says why not.
    [[nodiscard]] bool possible() const {
        if (!unit.refusal().empty() || !unit.mark("user.delegate", "1")) {
            MESSAGE("not tested here: no cgroup can be delegated: " << unit.refusal());
            return false;
        }
        return true;
    }
    [[nodiscard]] Launch shell(const std::string& script) {
        Launch launch = bench.shell(script);
        launch.shim = bench.shim_after(unit.enter());
        return launch;
    }
    [[nodiscard]] std::string cgroup_of(const Launch& launch) const {
        return unit.path() + "/ralph-" + launch.spec.run_id;
    }
};

void kill_shim(const Bench& bench) {
    const auto shim = open_process(*bench.view().shim);
    REQUIRE(shim.has_value());
    REQUIRE(signal_process(*shim, SIGKILL));
}

std::string with_other_boot(const std::string& document) {
    return std::string(document).replace(document.find(boot_id()), boot_id().size(), "another boot");
}

}  // namespace

TEST_CASE("what leaves parent, session and environment behind ends with its step all the same") {
    Bench bench;
    CHECK(exit_of(bench.run(bench.shell(start_runaway + "exit 5"))).exited_with(5));
    CHECK(is_over(pid_in(bench.file("runaway"))));
}

TEST_CASE("a runaway is ended when its step runs out of time") {
    Bench bench;
    const auto record = exit_of(bench.run(bench.shell(start_runaway + "sleep 1000", 500ms)));
    CHECK(record.timed_out);
    CHECK(is_over(pid_in(bench.file("runaway"))));
}

TEST_CASE(
    "delegated: the step has a cgroup of its own, recorded, and gone after the step with all below it") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    Launch launch = delegated.shell(
        "cp \"$RUN/worker.json\" .; d=$(find \"$UNIT\" -name \"ralph-$RALPH_RUN_ID\"); "
        "mkdir -p \"$d/inner/most\"; sleep 1000 & echo $! > \"$d/inner/most/cgroup.procs\"; echo $d > path; "
        "while ! [ -s go ]; do sleep 0.01; done; exit 5");
    launch.environment.push_back("RUN=" + delegated.bench.run_directory());
    launch.environment.push_back("UNIT=" + delegated.unit.path());
    // Not a child of the shim: only its cgroup says that it is part of the step. So large that it takes the
    // kernel a while to end it.
    Stranger moved_in("x=0123456789abcdef; n=0; while [ $n -lt 24 ]; do x=$x$x; n=$((n+1)); done; echo > '" +
                      delegated.bench.folder().path() + "/large'; while :; do sleep 1; done");
    REQUIRE(eventually([&] { return !delegated.bench.file("large").empty(); }));
    const auto record = exit_of(delegated.bench.run(launch, [&](StepRun&) {
        REQUIRE(eventually([&] { return !delegated.bench.file("path").empty(); }));
        REQUIRE(append_file(delegated.cgroup_of(launch) + "/cgroup.procs", std::to_string(moved_in.pid()))
                    .has_value());
        REQUIRE(write_file_durably(delegated.bench.folder() / "go", "go").has_value());
    }));
    CHECK(record.exited_with(5));
    CHECK(delegated.bench.file("path") == delegated.cgroup_of(launch) + "\n");
    CHECK(delegated.bench.file("worker.json").find("\"cgroup\": \"" + delegated.cgroup_of(launch) + "\"") !=
          std::string::npos);
    const int status = moved_in.wait();
    CHECK(WIFSIGNALED(status));
    CHECK(!fs::exists(delegated.cgroup_of(launch)));
}

TEST_CASE(
    "delegated: a runaway whose shim was killed is ended, and its cgroup is removed, before the run is "
    "lost") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    const Launch launch = delegated.shell(start_runaway + "sleep 1000");
    const auto end = delegated.bench.run(launch, [&](StepRun&) {
        REQUIRE(eventually([&] { return !delegated.bench.file("runaway").empty(); }));
        CHECK(fs::exists(delegated.cgroup_of(launch)));
        kill_shim(delegated.bench);
    });
    REQUIRE(std::holds_alternative<core::LostRun>(end));
    CHECK(std::get<core::LostRun>(end).reason == "its shim is gone without an exit record");
    CHECK(is_over(pid_in(delegated.bench.file("runaway"))));
    CHECK(!fs::exists(delegated.cgroup_of(launch)));
}

TEST_CASE("a cgroup of a start that was not finished is removed") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    const Launch launch = delegated.bench.shell("true");
    REQUIRE(make_run_directory(delegated.bench.paths(), launch.spec).has_value());
    REQUIRE(fs::create_directory(delegated.cgroup_of(launch)));
    delegated.bench.write_record("shim.json", R"({"version": 1, "pid": 1, "start_ticks": 1, "boot_id": ")" +
                                                  boot_id() + R"(", "cgroup": ")" +
                                                  delegated.cgroup_of(launch) + "\"}");
    CHECK(std::holds_alternative<core::StartFailed>(*end_of(delegated.bench.view(), OrphanPolicy::kill)));
    CHECK(!fs::exists(delegated.cgroup_of(launch)));
}

TEST_CASE("only the cgroup that was recorded for exactly this run in this boot is ended") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    Stranger stranger;
    const std::string cgroup = delegated.unit.path() + "/ralph-abc";
    REQUIRE(fs::create_directory(cgroup));
    REQUIRE(append_file(cgroup + "/cgroup.procs", std::to_string(stranger.pid())).has_value());
    for (const std::string& path :
         {cgroup + "/", cgroup + "/.",
          delegated.unit.path() + "/../" + fs::path(delegated.unit.path()).filename().string() + "/ralph-abc",
          delegated.unit.path(), delegated.unit.path() + "/ralph-xyz", cgroup.substr(1), std::string()}) {
        CAPTURE(path);
        CHECK(end_orphaned_cgroup(path, "abc", 1000).has_value());
        CHECK(stranger.lives());
    }
    CHECK(end_orphaned_cgroup(cgroup, "abcd", 1000).has_value());
    CHECK(end_orphaned_cgroup(cgroup, "ab", 1000).has_value());
    CHECK(end_orphaned_cgroup(delegated.unit.path() + "/ralph-", "", 1000).has_value());
    CHECK(stranger.lives());
    CHECK(fs::exists(cgroup));
    SUBCASE("of another boot") {
        Launch launch = delegated.bench.shell("true");
        launch.spec.run_id = "abc";
        REQUIRE(make_run_directory(delegated.bench.paths(), launch.spec).has_value());
        const std::string record = R"({"version": 1, "pid": 1, "start_ticks": 1, "boot_id": ")" + boot_id() +
                                   R"(", "cgroup": ")" + cgroup + "\"}";
        delegated.bench.write_record("worker.json", with_other_boot(record));
        CHECK(std::holds_alternative<core::LostRun>(*end_of(delegated.bench.view(), OrphanPolicy::kill)));
        CHECK(stranger.lives());
        delegated.bench.write_record("worker.json", record);
        CHECK(std::holds_alternative<core::LostRun>(*end_of(delegated.bench.view(), OrphanPolicy::kill)));
        CHECK(WIFSIGNALED(stranger.wait()));
    }
    SUBCASE("in no cgroup file system") {
        const std::string folder = delegated.bench.folder() / "ralph-abc";
        fs::create_directory(folder);
        for (const char* name : {"cgroup.kill", "cgroup.events"}) {
            REQUIRE(write_file_durably(folder + "/" + name, "populated 0\n").has_value());
        }
        CHECK(end_orphaned_cgroup(folder, "abc", 1000).has_value());
        CHECK(delegated.bench.file("ralph-abc/cgroup.kill") == "populated 0\n");
    }
    SUBCASE("itself") {
        CHECK(end_orphaned_cgroup(cgroup, "abc", 5000).has_value());
        CHECK(WIFSIGNALED(stranger.wait()));
        CHECK(!fs::exists(cgroup));
    }
}

TEST_CASE("no cgroup is made where none is delegated to us") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    Launch launch = delegated.bench.shell("cp \"$RUN/worker.json\" .");
    launch.environment.push_back("RUN=" + delegated.bench.run_directory());
    std::optional<TestCgroup> inner;
    SUBCASE("not delegated") {
        REQUIRE(delegated.unit.mark("user.delegate", "0"));
        launch.shim = delegated.bench.shim_after(delegated.unit.enter());
    }
    SUBCASE("delegated to the manager of our unit, not to our unit") {
        inner.emplace(TestCgroup::Hierarchy::unified, delegated.unit.path());
        REQUIRE(inner->mark("user.invocation_id", "0123"));
        launch.shim = delegated.bench.shim_after(inner->enter());
    }
    SUBCASE("no run id") {
        launch.shim = delegated.bench.shim_after(delegated.unit.enter() + "; RALPH_RUN_ID=");
    }
    SUBCASE("a run id that is none") {
        launch.shim = delegated.bench.shim_after(delegated.unit.enter() + "; RALPH_RUN_ID='a b'");
    }
    CHECK(exit_of(delegated.bench.run(launch)).exited_with(0));
    CHECK(delegated.bench.file("worker.json").find("pid") != std::string::npos);
    CHECK(delegated.bench.file("worker.json").find("cgroup") == std::string::npos);
}

TEST_CASE("delegated: a step's cgroup is a leaf of the delegated one, wherever below that its shim is") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    std::string leaf = delegated.unit.path() + "/supervisor";
    std::string expected = delegated.unit.path();
    SUBCASE("in the supervisor's leaf") {}
    SUBCASE("in a step of another supervisor, which nothing leaves") {
        leaf = delegated.unit.path() + "/ralph-0123/inner";
        expected = delegated.unit.path() + "/ralph-0123";
    }
    REQUIRE(fs::create_directories(leaf));
    Launch launch = delegated.bench.shell("cp \"$RUN/worker.json\" .");
    launch.environment.push_back("RUN=" + delegated.bench.run_directory());
    launch.shim = delegated.bench.shim_after("echo $$ > '" + leaf + "/cgroup.procs'");
    CHECK(exit_of(delegated.bench.run(launch)).exited_with(0));
    CHECK(delegated.bench.file("worker.json").find("\"" + expected + "/ralph-" + launch.spec.run_id + "\"") !=
          std::string::npos);
}

TEST_CASE("delegated: limits are written before the step begins, and what the kernel refuses is told") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    // The one controller that hardly any machine has on its v1 side; the rules are the same for all.
    if (!delegated.unit.enable("hugetlb")) {
        MESSAGE("not tested here: the controller hugetlb cannot be enabled");
        return;
    }
    const std::string leaf = delegated.unit.path() + "/supervisor";
    REQUIRE(fs::create_directory(leaf));
    Launch launch = delegated.bench.shell("cat '" + delegated.unit.path() +
                                          "/ralph-'$RALPH_RUN_ID/hugetlb.2MB.max > limit");
    launch.shim = delegated.bench.shim_after("echo $$ > '" + leaf + "/cgroup.procs'");
    launch.limits = {{"", "hugetlb", "hugetlb.2MB.max", "4194304"},
                     {"", "hugetlb", "hugetlb.2MB.rsvd.max", "nonsense"},
                     {"", "none", "none.max", "1"}};
    CHECK(exit_of(delegated.bench.run(launch)).exited_with(0));
    CHECK(delegated.bench.file("limit") == "4194304\n");
    const std::string log = delegated.bench.log();
    CHECK(log.find("the kernel refuses nonsense as hugetlb.2MB.rsvd.max\n") != std::string::npos);
    CHECK(log.find("none.max") == std::string::npos);
}

TEST_CASE("delegated: limits are written again when a new supervisor adopts the step") {
    DelegatedBench delegated;
    if (!delegated.possible() || !delegated.unit.enable("hugetlb")) {
        MESSAGE("not tested here: the controller hugetlb cannot be enabled");
        return;
    }
    const std::string leaf = delegated.unit.path() + "/supervisor";
    REQUIRE(fs::create_directory(leaf));
    Launch launch = delegated.bench.shell(
        "while ! [ -e go ]; do sleep 0.01; done; until [ \"$(cat '" + delegated.unit.path() +
        "/ralph-'$RALPH_RUN_ID/hugetlb.2MB.max)\" = 4194304 ]; do sleep 0.01; done; exit 5");
    launch.shim = delegated.bench.shim_after("echo $$ > '" + leaf + "/cgroup.procs'");
    launch.limits = {{"", "hugetlb", "hugetlb.2MB.max", "4194304"}};
    const std::string limit = delegated.cgroup_of(launch) + "/hugetlb.2MB.max";
    const auto limit_now = [&] { return read_file(limit).value().value_or(""); };
    delegated.bench.launch_and_leave(launch);
    REQUIRE(eventually([&] { return limit_now() == "4194304\n"; }));
    // As release_controllers() does it, and arrange_cgroups() after it.
    REQUIRE(delegated.unit.write("cgroup.subtree_control", "-hugetlb"));
    REQUIRE(delegated.unit.write("cgroup.subtree_control", "+hugetlb"));
    REQUIRE(limit_now() != "4194304\n");
    REQUIRE(write_file_durably(delegated.bench.folder() / "go", "").has_value());
    const auto record = exit_of(delegated.bench.adopt());
    CHECK(record.exited_with(5));
}

TEST_CASE(
    "delegated: the supervisor goes into its leaf and enables controllers, and they are released again") {
    DelegatedBench delegated;
    if (!delegated.possible() || !delegated.unit.enable("hugetlb") ||
        !delegated.unit.write("cgroup.subtree_control", "-hugetlb")) {
        MESSAGE("not tested here: the controller hugetlb cannot be enabled");
        return;
    }
    const std::string& unit = delegated.unit.path();
    const std::string control = unit + "/cgroup.subtree_control";
    const std::string nested = unit + "/ralph-0123";
    REQUIRE(fs::create_directories(nested + "/inner"));
    REQUIRE(fs::create_directory(unit + "/.control"));
    const auto controllers = [](const std::string& file) { return read_file(file).value().value_or(""); };
    // In a process of its own that is in that cgroup.
    const auto in = [](const std::string& cgroup, const std::function<bool()>& act) {
        static_cast<void>(std::fflush(nullptr));
        const pid_t child = ::fork();
        if (child == 0) {
            const bool good = append_file(cgroup + "/cgroup.procs", "0").has_value() && act();
            ::_exit(good ? 0 : 1);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        return status == 0;
    };
    const std::vector<CgroupLimit> limits{{"limits.pages", "hugetlb", "hugetlb.2MB.max", "4194304"}};
    const auto arrange = [&](const char* releases) {
        ::setenv("RALPH_RELEASES_CGROUP", releases, 1);
        arrange_cgroups(limits);
        return controllers("/proc/self/cgroup").find("/supervisor\n") != std::string::npos;
    };
    CHECK(in(unit, [&] { return arrange("0"); }));
    CHECK(controllers(control).empty());
    CHECK(in(unit, [&] { return arrange("1"); }));
    CHECK(controllers(control) == "hugetlb\n");
    // A step that has enabled it for its own children does not stand in the way.
    REQUIRE(append_file(nested + "/cgroup.subtree_control", "+hugetlb").has_value());
    CHECK(in(unit + "/.control", [] { return release_controllers().has_value(); }));
    CHECK(controllers(control).empty());
    CHECK(controllers(nested + "/cgroup.subtree_control").empty());
    REQUIRE(delegated.unit.mark("user.delegate", "0"));
    CHECK(!in(unit + "/.control", [] { return release_controllers().has_value(); }));
}

TEST_CASE("delegated: what nobody of the tree waited for is measured, too") {
    DelegatedBench delegated;
    if (!delegated.possible()) {
        return;
    }
    // Uses a fifth of a second of processor time once it is part of the step.
    Stranger moved_in("cd '" + delegated.bench.folder().path() +
                      "'; while ! [ -e go ]; do sleep 0.01; done; set -- 0; while [ $1 -lt 20 ]; do i=0; "
                      "while [ $i -lt 2000 ]; do i=$((i+1)); done; read line < /proc/self/stat; "
                      "set -- ${line#*) }; shift 11; done; echo burnt > burnt; exec sleep 1000");
    const Launch launch = delegated.shell("while ! [ -s burnt ]; do sleep 0.01; done");
    const auto record = exit_of(delegated.bench.run(launch, [&](StepRun&) {
        const std::string processes = delegated.cgroup_of(launch) + "/cgroup.procs";
        REQUIRE(eventually([&] { return fs::exists(processes); }));
        REQUIRE(append_file(processes, std::to_string(moved_in.pid())).has_value());
        REQUIRE(write_file_durably(delegated.bench.folder() / "go", "").has_value());
    }));
    CHECK(record.user_cpu_microseconds + record.system_cpu_microseconds >= 150'000);
    CHECK(record.peak_memory_kib > 100);
    CHECK(WIFSIGNALED(moved_in.wait()));
}
