#include "tests/chaos/oracle.h"

#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>

namespace ralph::chaos {
namespace {

using core::Lifecycle;
namespace fs = std::filesystem;

constexpr Nanoseconds for_ever = std::numeric_limits<Nanoseconds>::max();
// How far beyond its own time a run may feel a full disk: what the step before it could not write.
constexpr Nanoseconds reach_of_a_full_disk = 3'000 * millisecond;

std::string described(const std::optional<core::WorkerRecord>& record) {
    return record ? fmt::format("{} ({})", to_string(record->lifecycle), record->last_error.value_or(""))
                  : "missing";
}

std::optional<core::WorkerRecord> record_of(const core::ParallelState& state, const std::string& id) {
    const core::WorkerRecord* const found = state.find(id);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

std::set<std::string> names_in(const std::string& folder) {
    std::set<std::string> names;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(folder, missing)) {
        names.insert(entry.path().filename().string());
    }
    return names;
}

// Whether there is a reason for `later` to have come after `run` of the same task.
bool may_follow(const LedgerRun& run, const LedgerRun& later, const std::string& task,
                const History& history) {
    if (history.shim_struck(run.run_id)) {
        return true;  // its outcome was lost
    }
    if (run.status == 0 && !history.struck_run(run.run_id)) {
        return false;  // finished work is never done again
    }
    return history.retried(task, run.begin, later.begin) || history.session_began(run.begin, later.begin);
}

void check_task(const Job& job, const std::vector<LedgerRun>& runs, const History& history, Findings& found) {
    if (runs.empty()) {
        found.push_back(job.id + " never ran");
        return;
    }
    std::set<std::string> marks;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const LedgerRun& run = runs[i];
        const bool disturbed =
            history.struck_run(run.run_id) ||
            history.disk_was_full(run.begin - reach_of_a_full_disk, run.end == 0 ? for_ever : run.end);
        if (!marks.insert(run.run_id).second) {
            found.push_back(fmt::format("{}: the run {} was executed twice", job.id, run.run_id));
        }
        if (!disturbed && run.status != job.status) {
            found.push_back(fmt::format("{}: the run {} was left in peace and ended with {}", job.id,
                                        run.run_id, run.status ? std::to_string(*run.status) : "nothing"));
        }
        if (i == 0) {
            continue;
        }
        const LedgerRun& before = runs[i - 1];
        if (before.end > run.begin) {
            found.push_back(fmt::format("{}: the runs {} and {} overlap", job.id, before.run_id, run.run_id));
        }
        if (run.attempt <= before.attempt) {
            found.push_back(
                fmt::format("{}: attempt {} comes after attempt {}", job.id, run.attempt, before.attempt));
        }
        if (!may_follow(before, run, job.id, history)) {
            found.push_back(fmt::format(
                "{} ran again (run {} after {}, which ended with {}), without a reason", job.id, run.run_id,
                before.run_id, before.status ? std::to_string(*before.status) : "nothing"));
        }
    }
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

// All that ralph starts carries the project's folder in its environment.
std::vector<std::string> processes_of(const tests::Project& project) {
    std::vector<std::string> found;
    const std::string mark = "TMPDIR=" + project.folder().path();
    for (const auto& entry : fs::directory_iterator("/proc")) {
        std::ifstream environment(entry.path() / "environ", std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(environment)),
                               std::istreambuf_iterator<char>());
        if (text.find(mark) != std::string::npos) {
            std::ifstream file(entry.path() / "cmdline", std::ios::binary);
            std::string line((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            std::replace(line.begin(), line.end(), '\0', ' ');
            found.push_back(entry.path().filename().string() + " " + line);
        }
    }
    return found;
}

// Records tell the time of the wall clock.
bool ended_on_a_full_disk(const std::optional<core::WorkerRecord>& record, const History& history) {
    const auto told =
        record ? core::parse_rfc3339(record->completed_at.value_or("")) : core::Result<core::Timestamp>{};
    if (!record || !told) {
        return false;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const Nanoseconds ago =
        now.tv_sec * 1000 * millisecond + now.tv_nsec - told->instant.time_since_epoch().count();
    const Nanoseconds ended = boot_clock() - ago;
    return history.disk_was_full(ended - reach_of_a_full_disk, ended);
}

// ".RQ-0001.broken-1": a workspace whose work could not be kept elsewhere, because git was killed or had no
// room.
bool is_quarantined(const std::string& name, const History& history) {
    const std::size_t at = name.find(".broken-");
    return name.rfind('.', 0) == 0 && at != std::string::npos &&
           (history.struck(name.substr(1, at - 1)) || !history.disk_full.empty());
}

bool is_free(const std::string& path) {
    const auto lock = daemon::FileLock::acquire(path, daemon::FileLock::Wait::no);
    return lock && *lock;
}

void check_files(const tests::Project& project, Findings& found) {
    for (const char* place : {"/.ralph", "/.git"}) {
        for (const auto& entry : fs::recursive_directory_iterator(project.root() + place)) {
            const std::string name = entry.path().filename().string();
            const std::string path = entry.path().string();
            const bool for_good = name == "supervisor.lock" || name == "repository.lock" ||
                                  name == "integrate.lock" || name == "spending.lock";
            if (for_good) {
                if (!is_free(path)) {
                    found.push_back(path + " is still held");
                }
            } else if (name.ends_with(".new") || name.ends_with(".lock") || name == "exit.json.reserved" ||
                       path.ends_with("/.ralph/lock")) {
                found.push_back(path + " is left over");
            } else if (const auto held = daemon::is_locked(path); name == "lock" && (!held || *held)) {
                found.push_back(path + " is still held");
            } else if (name.find("quarantine") != std::string::npos) {
                found.push_back(path + ": a state could not be read");
            }
        }
    }
}

}  // namespace

bool is_as_expected(const Job& job, const std::optional<core::WorkerRecord>& record) {
    if (!record || !job.may_end_as(record->lifecycle)) {
        return false;
    }
    const std::string told = record->last_error.value_or("");
    switch (job.kind) {
        case Kind::fails:
            return told == fmt::format("work exited with status {}", job.status);
        case Kind::blocks:
            return told == "waits for a person";
        case Kind::conflicts:
        case Kind::shared:
            return record->lifecycle == Lifecycle::completed || told.find("onflict") != std::string::npos;
        case Kind::lands:
        case Kind::two_commits:
        case Kind::uncommitted:
        case Kind::leaves_behind:
        case Kind::ignores_term:
        case Kind::prints:
        case Kind::depends:
            return true;
    }
    return false;
}

Findings unexplained_ends(const tests::Project& project, const std::vector<Job>& jobs,
                          const History& history) {
    Findings found;
    const core::ParallelState state = project.state();
    for (const Job& job : jobs) {
        const auto record = record_of(state, job.id);
        const bool waits_for_another = !record && job.kind == Kind::depends;
        if (!is_as_expected(job, record) && !waits_for_another && !history.struck(job.id) &&
            !ended_on_a_full_disk(record, history)) {
            found.push_back(fmt::format("{} ({}) was left in peace and is {}", job.id, to_string(job.kind),
                                        described(record)));
        }
        if (record && !record->is_terminal()) {
            found.push_back(fmt::format("{} is {} although nothing runs", job.id, described(record)));
        }
    }
    return found;
}

Findings wrong_ends(const tests::Project& project, const std::vector<Job>& jobs) {
    Findings found;
    const core::ParallelState state = project.state();
    for (const Job& job : jobs) {
        const auto record = record_of(state, job.id);
        if (!is_as_expected(job, record)) {
            found.push_back(
                fmt::format("{} ({}) ended as {}", job.id, to_string(job.kind), described(record)));
        }
    }
    if (state.workers.size() != jobs.size()) {
        found.push_back(fmt::format("{} tasks have {} records", jobs.size(), state.workers.size()));
    }
    return found;
}

Findings ledger_faults(const Ledger& ledger, const std::vector<Job>& jobs, const History& history) {
    Findings found = ledger.faults;
    for (const Job& job : jobs) {
        const auto runs = ledger.runs.find(job.id);
        check_task(job, runs == ledger.runs.end() ? std::vector<LedgerRun>{} : runs->second, history, found);
    }
    if (ledger.runs.size() > jobs.size()) {
        found.push_back("the ledger names tasks that there are not");
    }
    return found;
}

Findings remote_faults(const tests::Project& project, const std::vector<Job>& jobs, const History& history) {
    Findings found;
    std::map<std::string, std::size_t> times;
    for (const std::string& subject : project.remote_subjects()) {
        ++times[subject];
    }
    const auto expect = [&](const std::string& subject, std::size_t least, std::size_t most) {
        const std::size_t seen = times[subject];
        if (seen < least || seen > most) {
            found.push_back(fmt::format("the remote has the commit \"{}\" {} times", subject, seen));
        }
    };
    const core::ParallelState state = project.state();
    std::vector<std::string> completed;
    for (const Job& job : jobs) {
        const auto record = record_of(state, job.id);
        const bool landed = record && record->lifecycle == Lifecycle::completed;
        for (const std::string& subject : job.subjects) {
            expect(subject, landed ? 1 : 0, landed ? 1 : 0);
        }
        if (landed) {
            completed.push_back(job.id);
        }
    }
    for (const auto& [subject, succeeded] : history.foreign) {
        expect(subject, succeeded ? 1 : 0, 1);
    }
    std::sort(completed.begin(), completed.end());
    if (project.remote_done() != completed) {
        found.push_back("the remote's done.jsonc holds other tasks than those that are completed");
    }
    return found;
}

Findings orphans(const tests::Project& project, const std::vector<Job>& jobs, const History& history) {
    Findings found;
    static_cast<void>(tests::Project::eventually([&] { return processes_of(project).empty(); }));
    for (const std::string& process : processes_of(project)) {
        found.push_back("the process " + process + " is left over");
    }
    check_files(project, found);
    if (tests::Project::read(project.paths().supervisor_lock()).find("pid: ") != std::string::npos) {
        found.push_back("the session is not ended");
    }
    const core::ParallelState state = project.state();
    std::set<std::string> wanted;
    for (const Job& job : jobs) {
        const auto record = record_of(state, job.id);
        if (!record || record->lifecycle != Lifecycle::completed) {
            wanted.insert(job.id);
        }
    }
    const std::set<std::string> workspaces = names_in(project.workspaces());
    for (const std::string& name : workspaces) {
        // Where candidates are built.
        const bool is_of_landing = name == ".ralph-repository" || name.rfind(".integration", 0) == 0;
        if (wanted.count(name) == 0 && !is_of_landing && !is_quarantined(name, history)) {
            found.push_back("the workspaces have " + name + ", whose work has landed");
        }
    }
    for (const std::string& name : wanted) {
        if (workspaces.count(name) == 0) {
            found.push_back("the work of " + name + " is gone from the workspaces");
        }
    }
    for (const std::string& line :
         lines_of(project.git(project.root(), {"for-each-ref", "--format=%(refname)", "refs/ralph/kept"}))) {
        project.git(project.root(),
                    {"rev-list", "--objects", "--quiet", line});  // throws if anything is missing
    }
    project.git(project.root(), {"fsck", "--connectivity-only", "--no-dangling"});
    if (const std::string changed = project.git(project.root(), {"status", "--porcelain"});
        !changed.empty()) {
        found.push_back("the checkout is not clean: " + changed);
    }
    return found;
}

}  // namespace ralph::chaos
