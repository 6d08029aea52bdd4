// What a run directory holds. docs/run-directory.md is the document of the format; these are its types.
//
//   .ralph/cache/parallel/runs/<task>/task.json         the task as it was selected
//   .ralph/cache/parallel/runs/<task>/settled           number of the last run that has been dealt with
//   .ralph/cache/parallel/runs/<task>/<n>-<step>/
//       spec.json      what was asked for, written by the supervisor before the shim is started
//       lock           write lock held by the living shim
//       shim.json      identity of the shim, written before it reports ready
//       worker.json    identity of the step's process, written before it executes anything
//       exit.json      how the step ended, written by the shim when the whole tree is gone
//       outcome.json   what the step itself has to say (optional)
//       agent.json     what an agent's run is about (core/agents/agent_record.h; optional)
//       lane.json      what an integrate step does at this moment (optional)
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/jsonc.h"
#include "core/base/process_identity.h"
#include "core/base/time.h"

namespace ralph::core {

// Raised only when a document changes so that who knows the older version would misread it. A key that may be
// missing, and that may be ignored, changes no version: unknown keys are ignored here.
inline constexpr std::uint32_t run_format_version = 1;

// prepare makes the workspace, work is the worker's command, integrate is one attempt to land it, remediate
// lets the worker fix what could not be landed, discard keeps what is not on the remote and removes the
// workspace.
enum class StepKind { prepare, work, integrate, remediate, discard };

[[nodiscard]] std::string_view to_string(StepKind step);
[[nodiscard]] std::optional<StepKind> parse_step_kind(std::string_view text);

// Names one run of a task. `number` grows by one with every run of the task and is never used again.
struct Run {
    StepKind step = StepKind::prepare;
    std::uint32_t number = 0;
    std::uint32_t attempt = 1;  // RALPH_ATTEMPT: how often the work step has been begun, this time included

    bool operator==(const Run&) const = default;
};

[[nodiscard]] std::string run_directory_name(const Run& run);  // "7-work"
struct RunName {
    std::uint32_t number;
    StepKind step;
};
[[nodiscard]] std::optional<RunName> parse_run_directory_name(std::string_view name);

// What shim.json and worker.json say of their process.
struct ProcessRecord {
    ProcessIdentity identity;
    std::string cgroup;  // absolute path of the step's own cgroup; empty where it has none
};

// How a step ended.
struct ExitRecord {
    enum class Kind { exited, signalled };
    Kind kind = Kind::exited;
    std::uint32_t value = 0;  // exit status 0 to 255, or signal number
    bool core_dumped = false;
    bool timed_out = false;      // the shim ended it because its time was up
    bool stopped = false;        // the shim ended it because the supervisor asked for it
    bool out_of_memory = false;  // the kernel killed it because memory ran out
    std::string started_at;
    std::string ended_at;
    std::uint64_t user_cpu_microseconds = 0;
    std::uint64_t system_cpu_microseconds = 0;
    std::uint64_t peak_memory_kib = 0;
    std::uint32_t exec_error = 0;  // errno, if the step's program could not be executed: none of it ran

    [[nodiscard]] bool exited_with(std::uint32_t status) const {
        return kind == Kind::exited && value == status;
    }
    bool operator==(const ExitRecord&) const = default;
};

// The run's outcome cannot be known: neither a living shim nor an exit record.
struct LostRun {
    std::string reason;
};
// Nothing of the step was executed.
struct StartFailed {
    std::string reason;
};
using RunEnd = std::variant<ExitRecord, LostRun, StartFailed>;

// Whether a run that ended so counts as lost. Prepare, integrate and discard are idempotent and decide
// nothing before they end: one that was killed by a signal that is not of our sending runs again. A worker
// that was killed, at its work or at fixing it, has failed.
// A run that lands several tasks and comes to no verdict, by its time or an exit code that is none, is
// nobody's failure either.
// So runs the work of an agent, which goes on with its conversation.
[[nodiscard]] bool counts_as_lost(StepKind step, const ExitRecord& record, bool leads_batch = false,
                                  bool by_agent = false);

// Whether an integrate run that ended so was an attempt to land its task. It was none if it was lost or
// stopped, found nothing to land, or met what is nobody's fault: a host or remote with a bad minute, a target
// that itself fails the gate.
[[nodiscard]] bool counts_as_integration(const ExitRecord& record, bool target_is_red, bool leads_batch);

// How an integrate run ended for another task of its batch: the exit code that a run of that task alone would
// have ended with.
struct BatchEnd {
    std::string task_id;
    std::uint32_t code = 0;
    std::string summary;
    std::string note;
    std::string landed_sha;
    std::string landed_by = {};

    bool operator==(const BatchEnd&) const = default;
};

// Whether the work is done and only waits to be landed, by the step and its end (null: lost). What the worker
// makes of fixing it changes nothing in that.
[[nodiscard]] inline bool leaves_finished_work(StepKind step, const ExitRecord* record) {
    return step == StepKind::remediate || (step == StepKind::work && record != nullptr &&
                                           record->exited_with(0) && !record->stopped && !record->timed_out);
}

// What a step says of itself: an optional document beside its exit code, for people and for later steps.
struct Outcome {
    std::string summary;  // one line, becomes last_error when the step did not succeed
    std::string note;     // one line worth a warning although the step succeeded
    std::string base_sha;
    std::string landed_sha;
    std::string kept = {};  // the kept ref that a prepared workspace goes on from
    // Of an integrate run: the other tasks of its batch. One that is not named was not decided on.
    std::vector<BatchEnd> batch = {};
    // The target branch itself fails the gate: nobody's fault, and nothing lands until it is fixed.
    bool target_is_red = false;
    // The account of the agent is paused, so that it did not work: the exit code is 72.
    std::string paused_account = {};
    // Who has landed the task, if it was none of ours: "commit 1a2b3c4d by A. Colleague".
    std::string landed_by = {};

    bool operator==(const Outcome&) const = default;
};

// What a completed record says if somebody else has landed its task.
[[nodiscard]] std::string landed_by_text(std::string_view landed_by);

// The recipe of one run, for people and for recovery. The environment's values are not in it, since they may
// be secrets; the names are.
struct RunSpec {
    std::string task_id;
    Run run;
    std::uint32_t slot = 0;
    // Random; in the step's environment as RALPH_RUN_ID, the mark of every process of the tree.
    std::string run_id;
    std::vector<std::string> command;
    std::vector<std::string> environment_names;
    std::string working_directory;
    std::string created_at;
    // The tasks that an integrate run shall land beside its own, in order.
    std::vector<std::string> batch = {};
    // The agent that works, one of ours or of the settings; empty: a command, or another step.
    std::string agent = {};
    // For a built-in step: what it is started with (daemon/store/settings_snapshot.h). Nothing: it reads
    // them.
    std::optional<boost::json::object> settings = {};

    bool operator==(const RunSpec&) const = default;
};

[[nodiscard]] std::string run_spec_text(const RunSpec& spec);
[[nodiscard]] Result<RunSpec> read_run_spec(const JsonDocument& document);
[[nodiscard]] Result<ProcessRecord> read_process_record(const JsonDocument& document);
[[nodiscard]] Result<ExitRecord> read_exit_record(const JsonDocument& document);
[[nodiscard]] std::string outcome_text(const Outcome& outcome);
[[nodiscard]] Result<Outcome> read_outcome(const JsonDocument& document);

// What an integrate run does at this moment: lane.json in its run directory, for people.
struct LandingProgress {
    std::string doing;               // "building", "gating" or "pushing"
    std::string gate;                // its name, while one runs
    std::string candidate;           // the commit that is gated or pushed
    std::vector<std::string> tasks;  // who is in it; empty: the target by itself
    std::vector<std::string> ahead;  // what is gated ahead of time, each "RQ-0001,RQ-0002"
    std::string since;               // RFC 3339

    bool operator==(const LandingProgress&) const = default;
};

[[nodiscard]] std::string landing_progress_text(const LandingProgress& progress);
[[nodiscard]] Result<LandingProgress> read_landing_progress(const JsonDocument& document);

// The worker's or integrate step's mark that the work is there but could not be landed (contract
// section 8.4).
struct BlockMarker {
    std::string task_id;
    std::string reason;
    std::uint32_t attempt = 0;
    std::uint32_t max_attempts = 0;
    std::string generated_at;

    bool operator==(const BlockMarker&) const = default;
};

[[nodiscard]] std::string block_marker_text(const BlockMarker& marker);
[[nodiscard]] Result<BlockMarker> read_block_marker(const JsonDocument& document);

// "exited with status 7", "was killed by signal 9 (SIGKILL), core dumped", "was killed by the kernel: out of
// memory", "ran out of time", ...
[[nodiscard]] std::string describe(const ExitRecord& record);

}  // namespace ralph::core
