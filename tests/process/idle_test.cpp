// Idle is free: a supervisor with nothing to do makes no system call.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/project.h"

using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

// How often the scheduler has put any thread of the process to sleep and woken it again.
long context_switches(const std::string& pid) {
    long sum = 0;
    for (const auto& thread : fs::directory_iterator("/proc/" + pid + "/task")) {
        std::ifstream status(thread.path() / "status");
        for (std::string line; std::getline(status, line);) {
            if (line.rfind("voluntary_ctxt_switches:", 0) == 0) {
                sum += std::strtol(line.substr(24).c_str(), nullptr, 10);
            }
        }
    }
    return sum;
}

}  // namespace

TEST_CASE("an idle supervisor is never woken by itself" * doctest::test_suite("as-built")) {
    Project project;
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.paths().queue_lock() + "/owner"); }));
    const std::string owner = Project::read(project.paths().queue_lock() + "/owner");
    const std::string pid = owner.substr(5, owner.find('\n') - 5);
    // Until it has come to rest: the same count twice in a row.
    long before = -1;
    REQUIRE(Project::eventually([&] {
        const long now = context_switches(pid);
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        return now == std::exchange(before, now);
    }));
    // The observation itself takes time; no event can be awaited for something that must not happen.
    std::this_thread::sleep_for(std::chrono::seconds(5));
    CHECK(context_switches(pid) == before);
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}
