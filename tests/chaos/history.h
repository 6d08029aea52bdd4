// What was done to a chaos run, in the order of time: what the oracle may excuse, and nothing else.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/chaos/clock.h"
#include "tests/chaos/victims.h"

namespace ralph::chaos {

enum class Fault {
    kill_supervisor,
    kill_shim,
    kill_worker,
    kill_below_worker,
    kill_step,
    kill_below_step,
    freeze,
    fill_disk,
    second_supervisor,
    contest,
    drain,
    foreign_push,
    status,
    retry
};

[[nodiscard]] std::string_view to_string(Fault fault);

// A SIGKILL that went to a process of a run.
struct Strike {
    Nanoseconds clock = 0;
    std::string task_id;
    std::string run_id;
    core::StepKind step = core::StepKind::work;
    Part part = Part::shim;
};

struct History {
    std::vector<Strike> strikes;
    std::vector<std::pair<Nanoseconds, Nanoseconds>> disk_full;
    std::vector<std::pair<Nanoseconds, std::string>> retries;  // that were accepted
    std::vector<Nanoseconds> sessions;                         // when each began, or may have begun
    std::map<std::string, bool> foreign;  // subjects of pushes by others; true: the push succeeded
    std::map<Fault, int> counts;
    std::map<Fault, int> without_victim;
    std::vector<std::string> violations;
    int remote_locks_cleared = 0;
    std::size_t most_descriptors = 0;
    std::size_t most_threads = 0;

    [[nodiscard]] bool struck(const std::string& task_id) const;
    [[nodiscard]] bool struck_run(const std::string& run_id) const;
    [[nodiscard]] bool shim_struck(const std::string& run_id) const;
    // Whether the disk was full at any time in between; `to` may be 0: until now.
    [[nodiscard]] bool disk_was_full(Nanoseconds from, Nanoseconds to) const;
    [[nodiscard]] bool session_began(Nanoseconds from, Nanoseconds to) const;
    [[nodiscard]] bool retried(const std::string& task_id, Nanoseconds from, Nanoseconds to) const;
};

}  // namespace ralph::chaos
