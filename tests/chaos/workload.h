// The tasks of a chaos run, what they do, and how each must end.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "tests/support/project.h"

namespace ralph::chaos {

using Random = std::mt19937_64;

enum class Kind {
    lands,          // one commit
    two_commits,    // one after the other
    uncommitted,    // leaves its change to ralph to commit
    fails,          // with a status of its own
    blocks,         // writes a block marker, then fails
    conflicts,      // with a commit that it pushes itself, by another clone: blocked
    shared,         // appends to a file that others append to: blocked or landed
    leaves_behind,  // processes in sessions of their own
    ignores_term,
    prints,  // megabytes
    depends  // on the task before it that lands
};

[[nodiscard]] std::string_view to_string(Kind kind);

struct Job {
    std::string id;
    Kind kind = Kind::lands;
    int status = 0;                     // of a worker that is left in peace
    std::vector<std::string> subjects;  // of its commits on the remote if it lands

    [[nodiscard]] bool lands() const;
    [[nodiscard]] bool may_end_as(core::Lifecycle lifecycle) const;
};

struct Workload {
    const tests::Project& project;
    std::string ledger_folder;
    std::string program;  // ralph-chaos itself
    std::size_t tasks = 0;
    bool with_shared = true;       // tasks whose end depends on the order of landing
    std::string last_waits_for{};  // a file without which the last task does not end; "" for none
    int shortest_ms = 50;
    int longest_ms = 1500;
};

// Writes the queue and the scripts, commits and pushes.
[[nodiscard]] std::vector<Job> make_workload(const Workload& workload, Random& random);

}  // namespace ralph::chaos
