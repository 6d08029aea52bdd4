// The supervisor alone is killed, many times: since nothing else is, everything must end as if nothing had
// happened.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tests/chaos/oracle.h"
#include "tests/chaos/round.h"
#include "tests/chaos/supervisors.h"
#include "tests/support/disk.h"
#include "tests/support/temporary_directory.h"

namespace ralph::chaos {
namespace {

using core::Lifecycle;

// How a run ended, as far as it does not depend on the order of landing.
struct Outcome {
    std::vector<std::string> records;   // "RQ-0001 failed: work exited with status 7"
    std::vector<std::string> subjects;  // on the remote, sorted
    std::vector<std::string> files;     // on the remote
    Findings found;
    int kills = 0;
    int starts = 0;
    Nanoseconds duration = 0;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

void read_outcome(const tests::Project& project, const std::vector<Job>& jobs, Outcome& outcome) {
    const core::ParallelState state = project.state();
    for (const Job& job : jobs) {
        const core::WorkerRecord* const record = state.find(job.id);
        const bool told = record != nullptr && record->lifecycle == Lifecycle::failed;
        outcome.records.push_back(fmt::format("{} {}{}", job.id,
                                              record == nullptr ? "missing" : to_string(record->lifecycle),
                                              told ? ": " + record->last_error.value_or("") : ""));
    }
    outcome.subjects = project.remote_subjects();
    std::sort(outcome.subjects.begin(), outcome.subjects.end());
    outcome.files = lines_of(project.git(project.remote(), {"ls-tree", "-r", "--name-only", "main"}));
}

// One worker per task, begun once and ended once, with its own status: nobody but the supervisor was killed.
Findings more_than_once(const Ledger& ledger, const std::vector<Job>& jobs) {
    Findings found = ledger.faults;
    for (const Job& job : jobs) {
        const auto runs = ledger.runs.find(job.id);
        if (runs == ledger.runs.end() || runs->second.size() != 1 ||
            runs->second.front().status != job.status) {
            found.push_back(
                fmt::format("{} ran {} times", job.id, runs == ledger.runs.end() ? 0 : runs->second.size()));
        }
    }
    return found;
}

// Lets the run be as far as the kills are, so that the last of them still finds it in the middle.
Nanoseconds next_delay(const tests::Project& project, const std::vector<Job>& jobs, const Outcome& outcome,
                       int kills, Random& random) {
    const core::ParallelState state = project.state();
    const auto ended = static_cast<std::size_t>(std::count_if(
        state.workers.begin(), state.workers.end(), [](const auto& record) { return record.is_terminal(); }));
    const bool ahead =
        ended * static_cast<std::size_t>(kills) > static_cast<std::size_t>(outcome.kills) * jobs.size();
    return std::uniform_int_distribution<Nanoseconds>(0, (ahead ? 60 : 400) * millisecond)(random);
}

void run_and_kill(const tests::Project& project, const std::vector<Job>& jobs, const Options& options,
                  int kills, const std::string& folder, Random& random, Outcome& outcome) {
    Supervisors supervisors(project, folder, options.workers);
    while (true) {
        if (outcome.kills == kills) {
            tests::Project::write(folder + "/go", "");
        }
        supervisors.start(false);
        const bool kill = outcome.kills < kills;
        const Nanoseconds until = kill ? boot_clock() + next_delay(project, jobs, outcome, kills, random)
                                       : boot_clock() + 600'000 * millisecond;
        auto ends = supervisors.wait(until);
        if (ends.empty() && kill) {
            ends.push_back(supervisors.kill(0));
            if (ends.front().killed()) {
                ++outcome.kills;
                continue;
            }
        }
        const auto code = ends.empty() ? std::nullopt : ends.front().exit_code();
        if (code != 3) {
            outcome.found.push_back(
                fmt::format("the last supervisor ended with {}", code ? std::to_string(*code) : "nothing"));
        }
        break;
    }
    outcome.starts = supervisors.started();
    if (outcome.kills != kills) {
        outcome.found.push_back(fmt::format("the run was over after {} of {} kills", outcome.kills, kills));
    }
}

Outcome run(const Options& options, int kills) {
    const Nanoseconds begin = boot_clock();
    const tests::TemporaryDirectory folder;
    const tests::TemporaryDirectory place;
    std::string why;
    // In memory where that is permitted: the machine's disk is slow, and is not what is tested here.
    const auto disk = options.disk ? tests::Disk::mount(place.path(), 64 + 2 * options.tasks, why) : nullptr;
    const tests::TemporaryPlace temporary(place.path());
    const tests::Project project;
    Random random(options.seed);
    Workload workload{project, folder.path(), options.program, options.tasks};
    workload.with_shared = false;
    workload.longest_ms = 1000;
    // So that the last kill, too, finds the run in its middle.
    workload.last_waits_for = folder / "go";
    const auto jobs = make_workload(workload, random);
    Outcome outcome;
    run_and_kill(project, jobs, options, kills, folder.path(), random, outcome);
    read_outcome(project, jobs, outcome);
    for (Findings findings : {more_than_once(read_ledger(folder / "ledger"), jobs), wrong_ends(project, jobs),
                              remote_faults(project, jobs, History{}), orphans(project, jobs, History{})}) {
        outcome.found.insert(outcome.found.end(), findings.begin(), findings.end());
    }
    outcome.duration = boot_clock() - begin;
    std::printf("%3d kills of a living supervisor, %d starts, %zu tasks, %.1f s\n", outcome.kills,
                outcome.starts, jobs.size(), static_cast<double>(outcome.duration) / 1e9);
    std::fflush(stdout);
    return outcome;
}

void compare(const std::vector<std::string>& wanted, const std::vector<std::string>& seen, Findings& found) {
    std::vector<std::string> sorted_wanted = wanted;
    std::vector<std::string> sorted_seen = seen;
    std::sort(sorted_wanted.begin(), sorted_wanted.end());
    std::sort(sorted_seen.begin(), sorted_seen.end());
    std::vector<std::string> different;
    std::set_difference(sorted_wanted.begin(), sorted_wanted.end(), sorted_seen.begin(), sorted_seen.end(),
                        std::back_inserter(different));
    for (const std::string& line : different) {
        found.push_back("only the run in peace has: " + line);
    }
    different.clear();
    std::set_difference(sorted_seen.begin(), sorted_seen.end(), sorted_wanted.begin(), sorted_wanted.end(),
                        std::back_inserter(different));
    for (const std::string& line : different) {
        found.push_back("only the disturbed run has: " + line);
    }
}

}  // namespace

std::vector<std::string> kills_round(const Options& options) {
    const Outcome peace = run(options, 0);
    const Outcome disturbed = run(options, options.kills);
    Findings found = peace.found;
    found.insert(found.end(), disturbed.found.begin(), disturbed.found.end());
    compare(peace.records, disturbed.records, found);
    compare(peace.subjects, disturbed.subjects, found);
    compare(peace.files, disturbed.files, found);
    return found;
}

}  // namespace ralph::chaos
