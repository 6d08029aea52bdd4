// The folder with state, lock and run directories is removed underneath a running supervisor.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <sys/types.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/support/project.h"
#include "tests/support/text.h"

using ralph::core::Lifecycle;
using ralph::tests::contains;
using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

// Says when it begins, works until it is told to end or `go` is there.
std::string patient_worker(const Project& project) {
    return "echo begin >> '" + project.outside("ledger") + "'; echo $$ > '" + project.outside("pid") +
           "'; while ! [ -e '" + project.outside("go") + "' ]; do sleep 0.02; done; echo one > one.txt";
}

bool is_running(const std::string& pid) {
    return !Project::read("/proc/" + pid.substr(0, pid.find('\n')) + "/environ").empty();
}

void begin(Project& project) {
    project.add("one", patient_worker(project));
    project.commit_and_push();
    project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] { return !Project::read(project.outside("pid")).empty(); }));
}

}  // namespace

TEST_CASE("a state folder that is removed: the worker is ended before anybody can start it again" *
          doctest::test_suite("as-built")) {
    Project project;
    begin(project);
    const std::string worker = Project::read(project.outside("pid"));
    std::string removed = project.paths().parallel();
    SUBCASE("the folder") {
        fs::remove_all(removed);
    }
    SUBCASE("all of the cache") {
        removed = project.paths().cache();
        fs::remove_all(removed);
    }
    SUBCASE("moved away") {
        fs::rename(removed, project.outside("moved"));
    }
    SUBCASE("and one in its place") {
        // At once, so that there is no moment without a folder of that name.
        const std::string other = removed + "-other";
        fs::create_directories(other + "/retry-requests");
        REQUIRE(::renameat2(AT_FDCWD, removed.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0);
    }
    CHECK(project.wait() == 1);
    CHECK(contains(project.log(), project.paths().parallel() + " was removed while the supervisor ran"));
    CHECK(!is_running(worker));
    CHECK(!fs::exists(project.paths().state()));  // nothing more was written there
    CHECK(fs::exists(project.workspaces() + "/RQ-0001"));

    Project::write(project.outside("go"), "");
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(Project::read(project.outside("ledger")) == "begin\nbegin\n");
    CHECK(project.remote_done() == std::vector<std::string>{"RQ-0001"});
}

TEST_CASE("no second supervisor starts beside one whose locks were removed") {
    Project project;
    begin(project);
    project.signal(SIGSTOP);  // so that it does not notice
    fs::remove_all(project.paths().cache());
    fs::remove_all(project.paths().queue_lock());
    const auto second = project.ralph({"run", "--parallel"});
    CHECK(second.status == 1);
    CHECK(contains(second.errors, "another ralph supervises " + project.root()));
    CHECK(Project::read(project.outside("ledger")) == "begin\n");
    project.signal(SIGCONT);
    CHECK(project.wait() == 1);
}
