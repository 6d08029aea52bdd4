#include "tests/chaos/round.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "tests/chaos/campaign.h"
#include "tests/chaos/oracle.h"
#include "tests/chaos/strangers.h"
#include "tests/support/temporary_directory.h"

namespace ralph::chaos {
namespace {

namespace fs = std::filesystem;

// The rest of a project on a disk that goes with us.
void keep(const tests::Project& project, const std::string& ledger_folder) {
    const std::string kept = fs::path(ledger_folder + "-kept").string();
    std::error_code problem;
    fs::copy(ledger_folder, kept, fs::copy_options::recursive | fs::copy_options::copy_symlinks, problem);
    fs::copy(project.folder().path(), kept + "/project",
             fs::copy_options::recursive | fs::copy_options::copy_symlinks, problem);
    std::printf("everything is kept in %s%s\n", kept.c_str(), problem ? " (not whole)" : "");
}

void add(Findings& all, Findings more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

void clone_colleague(const tests::Project& project, const std::string& colleague) {
    project.git(project.root(), {"clone", "-q", project.remote(), colleague});
    project.git(colleague, {"config", "user.name", "Colleague"});
    project.git(colleague, {"config", "user.email", "colleague@example.org"});
}

// What the faults left undone is asked for again, in peace, until all is done; a few tries suffice, since a
// chain of dependencies is worked off in one.
void finish_in_peace(const tests::Project& project, const std::vector<Job>& jobs, Campaign& campaign,
                     History& history) {
    for (int i = 0; i < 3 && (i == 0 || !wrong_ends(project, jobs).empty()); ++i) {
        const core::ParallelState state = project.state();
        for (const Job& job : jobs) {
            const core::WorkerRecord* const record = state.find(job.id);
            if (record == nullptr || is_as_expected(job, *record)) {
                continue;
            }
            history.retries.emplace_back(boot_clock(), job.id);
            const auto end = project.ralph({"run", "parallel", "retry", "--task", job.id});
            if (!end.succeeded()) {
                history.violations.push_back("retry says: " + end.errors);
            }
        }
        campaign.run(false);
    }
}

void print_table(const Options& options, const History& history, const Ledger& ledger, int supervisors,
                 Nanoseconds duration) {
    std::printf("\n%-42s %6s %s\n", "fault", "times", "(chosen without anybody to hit)");
    for (int i = 0; i <= static_cast<int>(Fault::retry); ++i) {
        const auto fault = static_cast<Fault>(i);
        const auto hit = history.counts.find(fault);
        const auto missed = history.without_victim.find(fault);
        std::printf("%-42s %6d (%d)\n", std::string(to_string(fault)).c_str(),
                    hit == history.counts.end() ? 0 : hit->second,
                    missed == history.without_victim.end() ? 0 : missed->second);
    }
    std::map<std::size_t, int> by_runs;
    for (const auto& [task, runs] : ledger.runs) {
        ++by_runs[runs.size()];
    }
    std::string runs;
    for (const auto& [number, tasks] : by_runs) {
        runs += fmt::format("{}{} tasks {} time{}", runs.empty() ? "" : ", ", tasks, number,
                            number == 1 ? "" : "s");
    }
    std::printf("%-42s %6d\n", "supervisors started", supervisors);
    std::printf("%-42s %6zu\n", "sessions at most", history.sessions.size());
    std::printf("%-42s %6d\n", "locks of the remote cleared", history.remote_locks_cleared);
    std::printf("%-42s %6zu descriptors, %zu threads\n", "the supervisor's most", history.most_descriptors,
                history.most_threads);
    std::printf("%-42s %s\n", "workers ran", runs.c_str());
    std::printf("%-42s %6.1f s\n", "duration", static_cast<double>(duration) / 1e9);
    std::printf("%-42s %6llu\n", "seed", static_cast<unsigned long long>(options.seed));
}

}  // namespace

std::vector<std::string> chaos_round(const Options& options) {
    const Nanoseconds begin = boot_clock();
    const tests::TemporaryDirectory ledger_folder;
    const tests::TemporaryDirectory place;
    std::string why = "it was not asked for";
    const auto disk = options.disk ? tests::Disk::mount(place.path(), 64 + 2 * options.tasks, why) : nullptr;
    if (!disk) {
        std::printf("the disk is not filled: %s\n", why.c_str());
    }
    const tests::TemporaryPlace temporary(place.path());
    const tests::Project project;
    Random random(options.seed);
    const auto jobs = make_workload({project, ledger_folder.path(), options.program, options.tasks}, random);
    clone_colleague(project, ledger_folder / "colleague");
    Strangers strangers(options.program, ledger_folder.path(), project.root());
    Supervisors supervisors(project, ledger_folder.path(), options.workers);
    History history;
    Campaign campaign(project, disk.get(), supervisors, ledger_folder / "colleague", options, random,
                      history);

    campaign.run(true);
    const Nanoseconds calm = boot_clock();
    Findings found = unexplained_ends(project, jobs, history);
    std::printf("seed %llu: the faults ended after %.1f s, %zu of %zu tasks are not yet where they belong\n",
                static_cast<unsigned long long>(options.seed), static_cast<double>(calm - begin) / 1e9,
                wrong_ends(project, jobs).size(), jobs.size());
    std::fflush(stdout);
    finish_in_peace(project, jobs, campaign, history);

    const Ledger ledger = read_ledger(ledger_folder / "ledger");
    add(found, history.violations);
    add(found, wrong_ends(project, jobs));
    add(found, ledger_faults(ledger, jobs, history));
    add(found, remote_faults(project, jobs, history));
    add(found, orphans(project, jobs, history));
    add(found, strangers.harm());
    print_table(options, history, ledger, supervisors.started(), boot_clock() - begin);
    if (options.keep || !found.empty()) {
        keep(project, ledger_folder.path());
    }
    return found;
}

}  // namespace ralph::chaos
