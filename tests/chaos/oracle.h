// What must hold after a chaos run, checked from the ledger, the remote, the machine and the log of faults.
// Nothing here asks ralph why; only its final records are read.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/history.h"
#include "tests/chaos/ledger.h"
#include "tests/chaos/workload.h"

namespace ralph::chaos {

using Findings = std::vector<std::string>;

// Whether the task is where a run in peace would have brought it, its true reason told.
[[nodiscard]] bool is_as_expected(const Job& job, const std::optional<core::WorkerRecord>& record);

// After the faults: a task that is not where it should be must have been hit by one of them.
[[nodiscard]] Findings unexplained_ends(const tests::Project& project, const std::vector<Job>& jobs,
                                        const History& history);

// Every task exactly at its one end.
[[nodiscard]] Findings wrong_ends(const tests::Project& project, const std::vector<Job>& jobs);

// No two runs of a task at a time; no further run without a reason; every run that was left in peace with its
// own status.
[[nodiscard]] Findings ledger_faults(const Ledger& ledger, const std::vector<Job>& jobs,
                                     const History& history);

// What is completed is on the remote, once; nothing else is.
[[nodiscard]] Findings remote_faults(const tests::Project& project, const std::vector<Job>& jobs,
                                     const History& history);

// Processes, locks, beginnings of files, workspaces; and what was kept can be read.
[[nodiscard]] Findings orphans(const tests::Project& project, const std::vector<Job>& jobs,
                               const History& history);

}  // namespace ralph::chaos
