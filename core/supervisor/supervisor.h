// The one decision maker. `step` takes the supervisor's memory and an event and returns what is to be done.
//
// The memory has two parts. `state` is what state.json holds; the runtime makes it durable before it performs
// any action of the same step (decide, make durable, act). All the rest can be rebuilt from the run
// directories, the queue and the settings, which is what a restart does.
//
// A task's way: selected -> prepare -> work -> integrate -> terminal -> (completed only) discard. Between two
// integrations there may be a remediate, by which the worker fixes what could not be landed. A task is
// `active` from its selection, or recovery, to its terminal record. Prepare, work and remediate hold a slot,
// of which there are as many as workers; integrate holds the merge queue, of which there is one; discard runs
// one at a time beside them.
//
// One integrate run lands a batch: its own task and others that wait in the merge queue. It says in its
// outcome how it ended for them. They have no run of their own meanwhile and stay ready, so a crash costs
// nothing: who was not told of an end integrates again, and finds out that it has landed if it has.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/agents/account.h"
#include "core/base/expiry.h"
#include "core/base/host_state.h"
#include "core/base/time.h"
#include "core/queue/task.h"
#include "core/supervisor/history.h"
#include "core/supervisor/run_record.h"
#include "core/supervisor/state.h"
#include "core/supervisor/steering.h"
#include "core/supervisor/transition.h"

namespace ralph::core {

// How many tasks are landed together, behind one run of the gate.
struct BatchSettings {
    std::uint32_t max = 1;
    std::uint32_t gates = 1;  // so many times `max` go into one run, which judges them side by side
    std::uint32_t min = 0;    // so many begin at once; 0: whoever is at work may come along, for as long as:
    Milliseconds wait{0};     // how long the first one waits for company
};

// How much must stay free; 0: it is not looked at.
struct HostLimits {
    std::uint64_t memory = 0;
    std::uint64_t disk = 0;
    std::uint32_t stall_percent = 0;

    [[nodiscard]] bool any() const { return memory != 0 || disk != 0 || stall_percent != 0; }
};

struct HostPressure {
    std::string reason;
    bool is_critical = false;  // the youngest worker is put back
};

struct SupervisorSettings {
    std::uint32_t workers = 2;    // slots
    std::uint32_t max_tasks = 0;  // tasks started in this session; 0 means no limit
    bool continuous = false;      // wait for new tasks instead of ending
    bool include_draft = false;
    std::uint32_t max_restarts = 2;  // of one step whose outcome was lost
    std::uint32_t max_push_attempts = 50;
    std::vector<Milliseconds> push_backoff;
    BatchSettings batch;
    std::uint32_t max_remediations = 0;  // how often the worker may fix what could not be landed
    std::string workspace_root;
    Milliseconds kept_work_retention{0};
    Milliseconds stop_timeout{0};  // how long a service that is stopped waits for what runs
    // Of each agent that is known, the account that it works for.
    std::map<std::string, std::string, std::less<>> accounts;
    std::string agent;  // that works on a task; empty: a command does
    HostLimits host;
    bool tasks_choose_agent = false;  // a task's own `agent.runner` comes before that
};

struct QueueSnapshot {
    TaskFile queue;
    TaskFile done;
};

// Where an active task stands. `ready` waits for its time, a slot or the merge queue;
// `recovering` waits for what the run directories tell, after a restart as after the selection.
enum class Phase { recovering, ready, starting, running };

// What a task that is ready waits for, beside its turn. All but the first may last, and nobody knows how
// long: a drain leaves such a task as it is, for the next start.
enum class WaitsFor {
    turn,
    start,      // nothing of it could be executed, or what its runs tell cannot be read
    host,       // the host or the remote has a bad minute (exit 69)
    workspace,  // is held by a living worker that is none of ours (prepare's exit 71)
    branch,     // does not hold the task yet (prepare's exit 75)
    account,    // of the agent is paused (exit 72 of work or remediate)
};

struct ActiveTask {
    std::string task_id;
    Run run;  // the run under way, or the next one
    Phase phase = Phase::ready;
    WaitsFor waits_for = WaitsFor::turn;
    Instant not_before = Instant::min();
    std::optional<std::uint32_t> slot;
    RunCounts counts;                             // restarts: of the present step
    std::uint32_t acknowledged_integrations = 0;  // before those
    bool leads_batch = false;                     // the run under way lands others, too
    std::uint32_t start_failures = 0;             // in a row
    Instant began = Instant::min();               // the run under way, if a worker works in it
    bool put_back = false;                        // it was told to end for want of memory
    // It was adopted: an earlier supervisor may have told it to end, for a reason that is lost.
    bool may_have_been_told = false;
    std::optional<std::string> runner = {};  // as of RunHistory
    std::string account = {};  // that the agent works for; empty: a command works, or it is not known yet
    std::string title = {};    // of one just selected, to be told once its runs are known; then empty
};

enum class Mode {
    running,
    draining,  // nothing new is selected; what is active is finished
    ending,    // what runs has been told to end
};

// The host or the remote has a bad minute: no prepare and no integrate begins and nothing is selected, but
// for one task at a time, which finds out whether it is over.
struct Outage {
    std::string reason;
    Milliseconds pause{0};  // before the next look; doubles with each that finds it going on
    Instant next_look;
};

// The target itself fails the gate.
struct TargetFault {
    std::string reason;
    Instant since;  // of the wall clock
};

// An account that is paused. Once its time has come, one task tries; the others go on when it is not paused
// any more.
struct PausedAccount {
    AccountPause pause;
    std::string trying;  // the task, while its run goes on
};

struct Supervisor {
    SupervisorSettings settings;
    ParallelState state;
    Mode mode = Mode::running;
    int signal = 0;                 // that asked to drain or end; 0 if none did
    std::optional<Instant> end_at;  // draining: what still runs then is ended
    bool resumes = false;           // ending: what is ended runs again after the next start
    std::vector<ActiveTask> active;
    std::vector<ActiveTask> discards;  // tasks whose workspace is to be removed, the first one under way
    std::set<std::string, std::less<>> attempted;  // in this session, which outlives a crash
    // When the task of each record was created, as its kept text says; not known of every one.
    std::map<std::string, std::string, std::less<>> created;
    ExpiryNotes seemed_expired;  // terminal records, by task and end
    // Tasks that were asked to run again and have not begun: they are neither selected nor removed.
    std::set<std::string, std::less<>> retries;
    std::set<std::string, std::less<>> forgetting;  // ids whose earlier task's runs are being removed
    std::uint32_t started = 0;
    std::shared_ptr<const QueueSnapshot> queue;  // the newest valid one; null until there is one
    std::optional<std::string> queue_fault;      // why the files on disk are not usable now
    bool queue_requested = false;                // a LoadQueue is under way
    bool queue_fresh = false;                    // nothing has landed since `queue` was read
    bool finished = false;
    bool lands_alone = false;  // the next integrate run takes no others: the last ones came to no end
    std::optional<TargetFault> target_fault;
    Instant merge_queue_opens =
        Instant::min();            // nothing is landed before, since the target itself fails the gate
    std::optional<Outage> outage;  // forgotten by a restart, which looks at once
    std::map<std::string, PausedAccount, std::less<>> accounts;  // that are paused
    std::optional<HostPressure> pressure;                        // as it was measured last: no worker starts
    std::optional<Instant> host_measured;
    bool host_requested = false;  // a MeasureHost is under way
    Steering steering;
    bool paused = false;  // by it, as of the present step: no worker starts, and nothing is selected
    // Tasks that are to be ended, with the number of the run that was told so; 0: none was.
    std::map<std::string, std::uint32_t, std::less<>> cancels;

    [[nodiscard]] std::uint32_t workers() const { return steering.workers.value_or(settings.workers); }
};

namespace event {
struct TaskRecovered {
    std::string task_id;
    RunHistory history;
};
// The run directories of a task could not be read once more; they are read again.
struct HistoryUnreadable {
    std::string task_id;
};
// A completed task whose workspace is still there.
struct WorkspaceLeft {
    std::string task_id;
    RunHistory history;
};
struct QueueLoaded {
    std::shared_ptr<const QueueSnapshot> snapshot;
    bool requested = false;  // the answer to LoadQueue, not a change that was noticed
};
struct QueueInvalid {
    std::string reason;
    bool requested = false;
};
struct RunStarted {
    std::string task_id;
    std::uint32_t number = 0;
};
struct RunEnded {
    std::string task_id;
    std::uint32_t number = 0;
    RunEnd end;
    std::optional<BlockMarker> marker;
    Outcome outcome;
};
// Somebody has asked for it (a file that stays until ForgetRetryRequest).
struct RetryRequested {
    std::string task_id;
    bool at_start = false;
    std::string request = {};  // which one it is, for those who keep them; nothing is decided on it
};
// Somebody has asked for it (a file that stays until ForgetCancelRequest).
struct CancelRequested {
    std::string task_id;
    bool at_start = false;
    std::string request = {};  // the same
};
// What is asked of all tasks now.
struct SteeringRead {
    Steering steering;
};
// The answer to ReadRetryHistory.
struct RetryHistoryRead {
    std::string task_id;
    RunHistory history;
};
// The answer to ForgetRuns.
struct RunsForgotten {
    std::string task_id;
};
struct DrainRequested {
    int signal = 0;
    std::string reason;
    // To settings.stop_timeout; what still runs then is ended, and resumed by the next start.
    bool limited = false;
};
struct StopRequested {
    int signal = 0;
    bool resume = false;  // by the next start; else the tasks have failed
};
struct SettingsChanged {
    SupervisorSettings settings;
};
// All accounts that are paused now, as their files tell; also those that other supervisors have paused.
struct AccountsRead {
    std::vector<AccountPause> pauses;
};
// The answer to MeasureHost.
struct HostMeasured {
    HostState host;
};
// The target branch on the remote is not what it was.
struct TargetMoved {};
struct TimePassed {};
}  // namespace event

using Event =
    std::variant<event::TaskRecovered, event::HistoryUnreadable, event::WorkspaceLeft, event::QueueLoaded,
                 event::QueueInvalid, event::RunStarted, event::RunEnded, event::RetryRequested,
                 event::CancelRequested, event::SteeringRead, event::RetryHistoryRead, event::RunsForgotten,
                 event::DrainRequested, event::StopRequested, event::SettingsChanged, event::AccountsRead,
                 event::HostMeasured, event::TargetMoved, event::TimePassed>;

namespace action {
struct StartRun {
    std::string task_id;
    Run run;
    std::uint32_t slot = 0;
    std::uint32_t integration = 0;        // which attempt to land this is, from 1; 0 for other steps
    std::vector<std::string> batch = {};  // tasks that wait in the merge queue and are landed by the same run
    std::string reason = {};              // of a remediation: why the work could not be landed
};
// Look at the run directories of a task and answer with TaskRecovered. The text of a task that was just
// selected is kept there; null for a terminal record whose retention has ended.
struct ReadHistory {
    std::string task_id;
    std::shared_ptr<const Task> task;
};
struct AdoptRun {
    std::string task_id;
    Run run;
};
struct EndRun {
    std::string task_id;
    Run run;
};
// The runs up to `number` have been dealt with; recovery shall not look at them again.
struct AcknowledgeRuns {
    std::string task_id;
    std::uint32_t number = 0;
};
// Records whose retention seems to have ended: the next start shall know of them.
struct NoteExpired {
    ExpiryNotes notes;
};
// Remove the run directories of an earlier task of this id, and answer with RunsForgotten.
struct ForgetRuns {
    std::string task_id;
};
// The task has a terminal record: note what has ended as dealt with, lest a crash takes the old end for that
// of the new run, and answer with RetryHistoryRead once that can be read. While it cannot, try again.
struct ReadRetryHistory {
    std::string task_id;
};
struct ForgetRetryRequest {
    std::string task_id;
};
struct ForgetCancelRequest {
    std::string task_id;
};
struct LoadQueue {};
struct MeasureHost {};
struct WakeAt {
    Instant when;               // of the monotonic clock,
    bool is_wall_time = false;  // or of the other one, which may be set meanwhile
};
// A lifecycle changed: for the log and the history, never the truth.
struct Announce {
    std::string task_id;
    std::optional<Lifecycle> from;
    Lifecycle to = Lifecycle::running;
    std::uint32_t attempt = 0;
    std::string detail;
    // What led to it, if a step's end did.
    std::optional<StepKind> step = {};
    std::optional<ExitRecord> end = {};  // nothing: lost
};
struct Note {
    bool warning = false;
    std::string task_id;
    std::string text;
};
struct Finish {
    int exit_code = 0;
    std::string reason;
};
}  // namespace action

using Action =
    std::variant<action::StartRun, action::ReadHistory, action::AdoptRun, action::EndRun,
                 action::AcknowledgeRuns, action::NoteExpired, action::ForgetRuns, action::ReadRetryHistory,
                 action::ForgetRetryRequest, action::ForgetCancelRequest, action::LoadQueue,
                 action::MeasureHost, action::WakeAt, action::Announce, action::Note, action::Finish>;

// Exit codes of `ralph run`.
inline constexpr int exit_all_landed = 0;
inline constexpr int exit_could_not_run = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_some_not_landed = 3;

// A supervisor that starts, or starts again. Every record that is not terminal becomes an active task in
// phase recovering; the runtime owes one TaskRecovered for each. Before, it has acknowledged the ended runs
// of terminal records, lest a later retry meets an end that was dealt with; the WorkspaceLeft events come
// before the first QueueLoaded. `attempted` are the tasks begun in the session that a crash interrupted
// (empty for a new session).
[[nodiscard]] Supervisor make_supervisor(SupervisorSettings settings, ParallelState state,
                                         std::set<std::string, std::less<>> attempted);

}  // namespace ralph::core
