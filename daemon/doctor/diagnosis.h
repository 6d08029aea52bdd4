// What is wrong in a repository, in plain words: each finding says where, what it means, what to do, and what
// `ralph doctor --fix` does about it.
//
// Looking changes nothing, takes no lock and signals nobody, so that it can be done beside a supervisor that
// works. Fixing is only done under the supervisor's lock, and only where nothing can be lost by it: what
// cannot be understood is renamed, never written over or deleted.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/supervisor/state.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

enum class Severity {
    wrong,   // somebody has to do something, or `ralph run` does not work as it should
    notice,  // worth knowing; nothing is wrong
};
[[nodiscard]] std::string_view to_string(Severity severity);

struct Finding {
    std::string kind;  // for programs: "state_unreadable"
    Severity severity = Severity::wrong;
    std::string title;
    std::string place;
    std::string meaning;
    std::string advice;
    std::string remedy;                        // what --fix does; empty if it does nothing
    std::function<Result<std::string>()> fix;  // returns what was done; null if --fix does nothing
};

struct Diagnosis {
    Paths paths;
    core::Instant now;
    std::optional<QueueLockOwner> supervisor;  // the living one
    std::optional<Settings> settings;          // nothing if they cannot be used
    std::optional<core::ParallelState> state;  // nothing if there is none, or it cannot be read
    bool state_is_readable = true;             // nothing is said of records that are not known
    std::vector<Finding> findings;

    void add(Finding finding) { findings.push_back(std::move(finding)); }
};

// Everything, in the order in which it should be fixed. `root` as found by find_repository.
[[nodiscard]] Diagnosis diagnose(const std::string& root, core::Instant now);

// The parts; each adds what it finds.
void check_settings(Diagnosis& diagnosis);    // config, queue, programs that they name
void check_state(Diagnosis& diagnosis);       // both generations, and quarantined ones
void check_locks(Diagnosis& diagnosis);       // the supervisor's and the directory lock
void check_runs(Diagnosis& diagnosis);        // run directories and partial files in them
void check_workspaces(Diagnosis& diagnosis);  // workspaces, what is quarantined, what is kept
void check_git(Diagnosis& diagnosis);         // branch, origin, stale index locks
void check_machine(Diagnosis& diagnosis);     // ralph's own programs, disk space

// Whether `free_bytes` is too little for the file system of `place`.
[[nodiscard]] std::optional<Finding> judge_free_space(const std::string& place,
                                                      unsigned long long free_bytes);

}  // namespace ralph::daemon
