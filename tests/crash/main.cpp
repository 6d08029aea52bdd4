// ralph-crash: kill a process of ralph at every system call that writes, start again, and see that nothing
// shows.
//
//   ralph-crash --role supervisor|shim|integrate|prepare|checkout [--from N] [--to N] [--every N] [--again
//   yes]
//
// With --again the supervisor that recovers is killed, too, at a point that changes with N, before a third
// one ends the work.
//
// Each point is a run of its own: a fresh project with two tasks that land in one batch, one that fails and
// one that ends blocked by a conflict; one process of the role is killed before its n-th call of the write
// class; a killed supervisor is started again. Then the end is compared with that of an undisturbed run.
// Prints what differs, and the number of points. The role "checkout" is any process, git too, that brings the
// user's checkout forward.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

#include "core/base/jsonc.h"
#include "tests/crash/checkout.h"
#include "tests/crash/tracer.h"
#include "tests/support/project.h"

namespace {

using ralph::core::Lifecycle;
using ralph::tests::Project;
using ralph::tests::Role;
namespace fs = std::filesystem;

const std::map<std::string, Role> roles{{"supervisor", Role::supervisor},
                                        {"shim", Role::shim},
                                        {"integrate", Role::integrate},
                                        {"prepare", Role::prepare},
                                        {"checkout", Role::any}};

std::string ledger(const Project& project, const std::string& id, const std::string& what) {
    return "echo " + what + " >> '" + project.outside("ledger-" + id) + "'; ";
}

// The third task begins before the first one lands, and ends after that, however often either is killed: so
// it conflicts.
void fill(const Project& project) {
    project.add("lands", "until [ -s '" + project.outside("ledger-RQ-0003") + "' ]; do sleep 0.05; done; " +
                             ledger(project, "RQ-0001", "begin") + "echo blue > README; " +
                             ledger(project, "RQ-0001", "end"));
    project.add("fails", ledger(project, "RQ-0002", "begin") + ledger(project, "RQ-0002", "end") + "exit 7");
    project.add("conflicts", ledger(project, "RQ-0003", "begin") +
                                 "echo green > README; until git --git-dir='" + project.remote() +
                                 "' show main:README | grep -q blue; do sleep 0.05; done; " +
                                 ledger(project, "RQ-0003", "end"));
    // Ends together with the first, so that one batch lands both.
    project.add("lands too", "until [ -s '" + project.outside("ledger-RQ-0003") +
                                 "' ]; do sleep 0.05; done; " + ledger(project, "RQ-0004", "begin") +
                                 "echo yellow > other; " + ledger(project, "RQ-0004", "end"));
    project.commit_and_push("queue");
}

std::vector<std::string> partial_files(const Project& project) {
    std::vector<std::string> found;
    for (const char* place : {"/.ralph", "/.git"}) {
        for (const auto& entry : fs::recursive_directory_iterator(project.root() + place)) {
            const std::string name = entry.path().filename().string();
            const bool temporary = name.ends_with(".new") || name.ends_with(".lock") ||
                                   name == "exit.json.reserved" ||
                                   entry.path().string().ends_with("/.ralph/lock");
            const bool ours_for_good = name == "supervisor.lock" || name == "repository.lock" ||
                                       name == "integrate.lock" || name == "spending.lock" ||
                                       name == "steering.lock";
            if (temporary && !ours_for_good) {
                found.push_back(entry.path().string());
            }
        }
    }
    return found;
}

// What a user would find at the end. `exact_ledger`: no worker was lost, so each ran exactly once.
std::vector<std::string> differences(const Project& project, bool exact_ledger) {
    std::vector<std::string> found;
    const auto expect = [&](bool condition, const std::string& what) {
        if (!condition) {
            found.push_back(what);
        }
    };
    const std::map<std::string, Lifecycle> ends{{"RQ-0001", Lifecycle::completed},
                                                {"RQ-0002", Lifecycle::failed},
                                                {"RQ-0003", Lifecycle::blocked_push},
                                                {"RQ-0004", Lifecycle::completed}};
    for (const auto& [id, lifecycle] : ends) {
        const auto record = project.record(id);
        expect(record && record->lifecycle == lifecycle,
               fmt::format("{} is {}: {}", id, record ? to_string(record->lifecycle) : "missing",
                           record ? record->last_error.value_or("") : ""));
        const std::string text = Project::read(project.outside("ledger-" + id));
        if (exact_ledger) {
            expect(text == "begin\nend\n", id + " has the ledger " + text);
        }
    }
    const auto failed = project.record("RQ-0002");
    expect(failed && failed->last_error.value_or("").find("status 7") != std::string::npos,
           "the true exit status is not told");
    const auto subjects = project.remote_subjects();
    // The two that land do so in one order or the other.
    const std::vector<std::string> first{"ralph: archive RQ-0001 queue bookkeeping", "RQ-0001: lands"};
    const std::vector<std::string> other{"ralph: archive RQ-0004 queue bookkeeping", "RQ-0004: lands too"};
    const std::vector<std::string> begin{"queue", "begin"};
    const auto joined = [](std::vector<std::string> left, const std::vector<std::string>& middle,
                           const std::vector<std::string>& right) {
        left.insert(left.end(), middle.begin(), middle.end());
        left.insert(left.end(), right.begin(), right.end());
        return left;
    };
    expect(subjects == joined(first, other, begin) || subjects == joined(other, first, begin),
           "the remote's history is: " + fmt::format("{}", fmt::join(subjects, ", ")));
    expect(project.git(project.remote(), {"show", "main:README"}) == "blue\n", "the remote's README differs");
    auto done = project.remote_done();
    std::sort(done.begin(), done.end());
    expect(done == std::vector<std::string>{"RQ-0001", "RQ-0004"}, "the remote's done.jsonc differs");
    expect(project.git(project.remote(), {"show", "main:other"}) == "yellow\n",
           "the remote's other file differs");
    expect(project.git(project.root(), {"status", "--porcelain"}).empty(), "the checkout is not clean");
    expect(Project::read(project.root() + "/README") == "blue\n", "the checkout was not brought forward");
    std::vector<std::string> workspaces;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(project.workspaces(), missing)) {
        workspaces.push_back(entry.path().filename().string());
    }
    std::sort(workspaces.begin(), workspaces.end());
    expect(workspaces == std::vector<std::string>{".integration", ".ralph-repository", "RQ-0002", "RQ-0003"},
           "the workspaces are: " + fmt::format("{}", fmt::join(workspaces, ", ")));
    expect(Project::eventually([&] { return processes_of(project) == 0; }), "processes are left");
    for (const std::string& file : partial_files(project)) {
        found.push_back("left over: " + file);
    }
    return found;
}

struct Options {
    Role role = Role::supervisor;
    int from = 1;
    int to = 1'000'000;
    int every = 1;
    bool again = false;
};

// Which call of the second supervisor is its last; spread over its start, where recovery is.
int second_point(int first) {
    return 1 + (first * 13) % 90;
}

// False when the role makes fewer calls than n.
bool check_point(const Options& options, int n, int& failures) {
    Project project;
    fill(project);
    const std::vector<std::string> command{std::string(RALPH_BINARY_DIR) + "/ralph", "run", "--parallel",
                                           "4"};
    const std::string log = project.outside("run.log");
    const auto traced =
        ralph::tests::run_and_kill(command, project.environment(), project.root(), log, options.role, n);
    if (!traced.killed) {
        return false;
    }
    std::string second;
    // A supervisor that was killed when its session was over had finished; a second run is a new try of what
    // failed.
    const auto is_over = [&] {
        return Project::read(project.paths().supervisor_lock()).find("pid") == std::string::npos;
    };
    bool session_over = is_over();
    if (options.again && !session_over) {
        static_cast<void>(ralph::tests::run_and_kill(command, project.environment(), project.root(),
                                                     project.outside("second.log"), Role::supervisor,
                                                     second_point(n)));
        session_over = is_over();  // the second may have come to its end before that point, or nearly
        second = Project::read(project.outside("second.log"));
    }
    if (options.role == Role::supervisor) {
        const auto end = project.ralph({"run", "--parallel", "4"});
        second += end.errors;
    }
    const auto different = differences(project, options.role != Role::shim && !session_over);
    if (!different.empty()) {
        ++failures;
        std::printf("point %d (before %s):\n", n, traced.call.c_str());
        for (const std::string& line : different) {
            std::printf("  %s\n", line.c_str());
        }
        std::printf("--- first run\n%s--- second run\n%s", Project::read(log).c_str(), second.c_str());
        std::fflush(stdout);
    }
    return true;
}

// Full runs take an hour: says now and then how far it is.
void tell_progress(int n, const char* what) {
    constexpr int now_and_then = 50;
    if (n % now_and_then == 0) {
        static_cast<void>(std::fprintf(stderr, "  point %d%s\n", n, what));
    }
}

// Kills one process of them all before its n-th call, and then all of them.
int check_checkout(const Options& options, int& failures) {
    int points = 0;
    for (const auto victims : {ralph::tests::Victims::one, ralph::tests::Victims::all}) {
        // Each point lands something, so that a world that is kept has more and more calls, without end.
        constexpr int points_of_a_world = 25;
        std::unique_ptr<const Project> project;
        std::optional<ralph::tests::CheckoutFixture> world;
        for (int n = options.from, uses = 0; n <= options.to; n += options.every, ++uses) {
            if (uses % points_of_a_world == 0) {
                world.reset();
                project = std::make_unique<const Project>();
                world.emplace(*project);
            }
            std::vector<std::string> different;
            const auto traced = world->check_point(n, victims, different);
            if (!traced.killed) {
                break;
            }
            ++points;
            tell_progress(n, victims == ralph::tests::Victims::all ? ", all are killed" : "");
            failures += different.empty() ? 0 : 1;
            for (const std::string& line : different) {
                std::printf("point %d (before %s%s): %s\n", n, traced.call.c_str(),
                            victims == ralph::tests::Victims::all ? ", all" : "", line.c_str());
            }
            std::fflush(stdout);
        }
    }
    return points;
}

int number(const char* text) {
    return static_cast<int>(std::strtol(text, nullptr, 10));
}

}  // namespace

// All carry its folder in their environment.
std::size_t ralph::tests::processes_of(const Project& project) {
    std::size_t found = 0;
    const std::string mark = "TMPDIR=" + project.folder().path();
    for (const auto& entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "environ", std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        found += text.find(mark) != std::string::npos ? 1 : 0;
    }
    return found;
}

int main(int argc, char** argv) {
    Options options;
    std::string name = "supervisor";
    for (int i = 1; i < argc; i += 2) {
        const std::string option = i + 1 < argc ? argv[i] : "";
        if (option == "--role" && roles.count(argv[i + 1]) > 0) {
            name = argv[i + 1];
            options.role = roles.at(name);
        } else if (option == "--from") {
            options.from = number(argv[i + 1]);
        } else if (option == "--to") {
            options.to = number(argv[i + 1]);
        } else if (option == "--every") {
            options.every = std::max(1, number(argv[i + 1]));
        } else if (option == "--again" && std::string(argv[i + 1]) == "yes") {
            options.again = true;
        } else {
            std::fprintf(stderr,
                         "usage: ralph-crash --role supervisor|shim|integrate|prepare|checkout [--from N] "
                         "[--to N] [--every N] [--again yes]\n");
            return 2;
        }
    }
    int points = 0;
    int failures = 0;
    if (options.role == Role::any) {
        points = check_checkout(options, failures);
    }
    for (int n = options.from;
         options.role != Role::any && n <= options.to && check_point(options, n, failures);
         n += options.every) {
        ++points;
        tell_progress(n, "");
    }
    std::printf("%s: killed at %d points, %d of them left a trace\n", name.c_str(), points, failures);
    return failures == 0 && points > 0 ? 0 : 1;
}
