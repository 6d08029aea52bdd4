// What the runs of a task mean together: how often it was tried, what counted, what comes next. Decided here
// alone, for the supervisor that watches runs end, for one that finds them after a restart, for a retry and
// for the doctor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/run_record.h"

namespace ralph::core {

// One run, as far as the history asks.
struct RunFacts {
    StepKind step = StepKind::prepare;
    std::uint32_t number = 0;
    bool began = false;           // its worker was started
    bool never_executed = false;  // for a reason that passes: it counts as never begun, however it ended
    bool leads_batch = false;     // it was to land others, too
    bool target_is_red = false;   // as its outcome says
    std::optional<ExitRecord> exit = {};
    bool by_agent = false;        // an agent of ours worked
    bool account_paused = false;  // and did not, since its account is paused: that counts for nothing

    // Its outcome cannot be known: the step runs again.
    [[nodiscard]] bool is_lost() const;
    // It ended with 72, since the account of its agent is paused.
    [[nodiscard]] bool waits_for_account() const;
    // It ended, and that was an attempt to land its task.
    [[nodiscard]] bool was_integration() const;
};

// Of the runs since a task was selected, or a retry was asked for.
struct RunCounts {
    std::uint32_t integrations = 0;  // attempts to land it
    std::uint32_t remediations = 0;
    std::uint32_t restarts = 0;  // lost runs of the newest step in a row
    bool worked = false;         // a worker of it ended

    // A run that ended with a status. Restarts are not counted here: they are of runs that did not.
    void add_end(const RunFacts& run);
};

// What the run directories of a task tell.
struct RunHistory {
    std::uint32_t last_number = 0;    // 0: there are none
    std::uint32_t work_attempts = 0;  // work runs whose worker has begun, acknowledged ones included
    std::uint32_t acknowledged_integrations = 0;  // attempts that were dealt with
    RunCounts counts;                             // of what is not acknowledged, but for the newest run
    // The step of the newest acknowledged run; integrate, too, if that left finished work: it was a batch's
    // run that decided on it then, or it could not be fixed.
    std::optional<StepKind> acknowledged_step;
    bool workspace_exists = false;
    // The agent that the task asks for; empty: none, nothing: it brings its own command, or that is not
    // known.
    std::optional<std::string> runner;
    struct Newest {  // the newest run that is not acknowledged
        Run run;
        std::uint32_t slot = 0;
        bool leads_batch = false;
        std::optional<RunEnd> end;  // nothing while a verified shim lives
        std::optional<BlockMarker> marker;
        Outcome outcome;
        bool by_agent = false;
    };
    std::optional<Newest> newest;
};

// `runs` by number, ascending; those up to the number `acknowledged` were dealt with. The last one, if it is
// not, is the `newest` of the history: whoever fills that in decides on it, so its end is counted then. Only
// that a worker has ended is known at once.
[[nodiscard]] RunHistory fold(const std::vector<RunFacts>& runs, std::uint32_t acknowledged);

// The same history once all that has ended is dealt with, as that of a task whose record is terminal.
[[nodiscard]] RunHistory acknowledged(RunHistory history);

// How often it was tried to land the task, all its runs taken together.
[[nodiscard]] std::uint32_t push_attempts(const std::vector<RunFacts>& runs);

}  // namespace ralph::core
