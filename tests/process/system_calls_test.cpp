// What no fault and no crash of a test machine can show: that what must be durable is synced before anything
// relies on it. The system calls of a whole run are recorded with strace, and their order is looked at.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/support/project.h"

using ralph::tests::Project;

namespace {

using Lines = std::vector<std::string>;

// Every one of `parts` in one line.
bool holds(const std::string& line, const Lines& parts) {
    return std::all_of(parts.begin(), parts.end(),
                       [&line](const std::string& part) { return line.find(part) != std::string::npos; });
}

// The first of `wanted` that does not come after all those before it; empty if they come in this order.
std::string missing_of(const Lines& lines, const std::vector<Lines>& wanted) {
    auto at = lines.begin();
    for (const Lines& parts : wanted) {
        at = std::find_if(at, lines.end(), [&parts](const std::string& line) { return holds(line, parts); });
        if (at == lines.end()) {
            std::string text;
            for (const std::string& part : parts) {
                text += part + " ";
            }
            return text;
        }
        ++at;
    }
    return {};
}

Lines of_process(const Lines& lines, const std::string& pid) {
    Lines found;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(found),
                 [&pid](const std::string& line) { return line.rfind(pid + " ", 0) == 0; });
    return found;
}

std::string pid_of(const std::string& line) {
    return line.substr(0, line.find(' '));
}

// A run of one task, as its system calls: "<pid> <call>(<descriptor></path>, ...) = ...".
Lines record_run(const Project& project) {
    ralph::daemon::ProgramRequest request;
    request.program = "strace";
    request.arguments = {
        "-f",
        "-y",
        "-qq",
        "-s",
        "64",
        "-o",
        project.outside("calls"),
        "-e",
        "trace=openat,fsync,rename,renameat,renameat2,fcntl,flock,execve,write,sendto,exit_group",
        std::string(RALPH_BINARY_DIR) + "/ralph",
        "run",
        "--parallel"};
    request.directory = project.root();
    request.environment = project.environment();
    // The leak sanitizer cannot look at a process that is traced.
    request.environment.emplace_back("ASAN_OPTIONS=detect_leaks=0");
    request.timeout = std::chrono::seconds(100);
    const auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    INFO(end->errors);
    REQUIRE(end->status == 0);
    std::istringstream text(Project::read(project.outside("calls")));
    Lines lines;
    for (std::string line; std::getline(text, line);) {
        lines.push_back(line);
    }
    return lines;
}

}  // namespace

TEST_CASE("everything is synced before anybody relies on it" * doctest::test_suite("as-built")) {
    Project project;
    project.add("one", "echo one > one.txt");
    project.commit_and_push();
    const Lines calls = record_run(project);
    const std::string state = project.paths().parallel() + ">";
    const std::string run = project.paths().runs_of("RQ-0001") + "/2-work";

    // The supervisor: lock and session, then state and recipe before the shim is started.
    CHECK(missing_of(calls, {{"openat(", "supervisor.lock\"", "O_CLOEXEC"},
                             {"flock(", "supervisor.lock>", "LOCK_EX"},
                             {"fsync(", "supervisor.lock>"},
                             {"fsync(", "state.json.new>"},
                             {"rename(", "state.json.new\"", "state.json\""},
                             {"fsync(", state},
                             {"execve(", "ralph-shim\""}}) == "");
    CHECK(missing_of(calls, {{"fsync(", run + "/spec.json.new>"},
                             {"rename(", run + "/spec.json\""},
                             {"fsync(", run + ">"},
                             {"fcntl(", run + "/lock>", "F_OFD_SETLK"}}) == "");

    // The shim: locked and known before it is ready; the step recorded before it is let go; its end recorded
    // before the lock goes with the shim.
    const auto locked = std::find_if(calls.begin(), calls.end(), [&run](const std::string& line) {
        return holds(line, {"fcntl(", run + "/lock>", "F_OFD_SETLK"});
    });
    REQUIRE(locked != calls.end());
    CHECK(missing_of(of_process(calls, pid_of(*locked)), {{"fcntl(", run + "/lock>"},
                                                          {"fsync(", run + "/shim.json.new>"},
                                                          {"renameat(", "\"shim.json\""},
                                                          {"fsync(", run + ">"},
                                                          {"sendto(", "\"R\""},
                                                          {"fsync(", run + "/worker.json.new>"},
                                                          {"renameat(", "\"worker.json\""},
                                                          {"fsync(", run + ">"},
                                                          {"write(", "pipe:", "\"g\""},
                                                          {"fsync(", run + "/exit.json.reserved>"},
                                                          {"renameat(", "\"exit.json\""},
                                                          {"fsync(", run + ">"},
                                                          {"exit_group("}}) == "");
    // The step itself executes after that.
    CHECK(missing_of(calls, {{"write(", "pipe:", "\"g\""}, {"execve(", "\"sh\""}}) == "");
}
