// The handling of one event, for step.cpp and its parts alone: what happens to runs (step.cpp), what a start
// finds (step_recovery.cpp), what waits and counts for nothing (step_waiting.cpp), what a person asks of
// tasks (step_steering.cpp), and how it all ends (step_ending.cpp).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

class Handler {
  public:
    Handler(Supervisor& supervisor, Moment now, std::vector<Action>& actions)
        : supervisor_(supervisor), now_(now.monotonic), wall_(now.wall), actions_(actions) {}

    void operator()(const event::TaskRecovered& event);
    void operator()(const event::HistoryUnreadable& event);
    void operator()(const event::WorkspaceLeft& event);
    void operator()(const event::QueueLoaded& event);
    void operator()(const event::QueueInvalid& event);
    void operator()(const event::RunStarted& event);
    void operator()(const event::RunEnded& event);
    void operator()(const event::RetryRequested& event);
    void operator()(const event::CancelRequested& event);
    void operator()(const event::SteeringRead& event);
    void operator()(const event::RetryHistoryRead& event);
    void operator()(const event::RunsForgotten& event);
    void operator()(const event::DrainRequested& event);
    void operator()(const event::StopRequested& event);
    void operator()(const event::SettingsChanged& event);
    void operator()(const event::AccountsRead& event);
    void operator()(const event::HostMeasured& event);
    void operator()(const event::TargetMoved&);
    void operator()(const event::TimePassed&);

    // What the service manager gave to drain is over.
    void end_if_overdue();
    // What was asked to be cancelled is told to end, or has ended.
    void cancel_asked();
    // While ending, what waits for its turn will not get one.
    void interrupt_waiting();

  private:
    using Tasks = std::vector<ActiveTask>;

    static Tasks::iterator find(Tasks& tasks, std::string_view task_id) {
        return std::find_if(tasks.begin(), tasks.end(),
                            [task_id](const ActiveTask& task) { return task.task_id == task_id; });
    }

    void note(bool warning, std::string_view task_id, std::string text) {
        actions_.emplace_back(action::Note{warning, std::string(task_id), std::move(text)});
    }

    void end_run(Tasks::iterator task, const RunEnd& end, const std::optional<BlockMarker>& marker,
                 const Outcome& outcome, bool resumed);
    void recover(Tasks::iterator task, const RunHistory& history);
    void recover_discard(Tasks::iterator discard, const RunHistory& history);
    void end_discard(Tasks::iterator task, const RunEnd& end, const Outcome& outcome);
    void end_lost(Tasks::iterator task, const LostRun& lost);
    void end_batch_lost(Tasks::iterator task, const LostRun& lost);
    void end_stopped(ActiveTask& task);
    [[nodiscard]] bool waits(ActiveTask& task, const ExitRecord& record, const Outcome& outcome,
                             bool resumed);
    void wait_for_host(ActiveTask& task, const std::string& why, bool resumed);
    void wait_for_account(ActiveTask& task, const std::string& account, const std::string& why);
    void end_try(const ActiveTask& task);
    void wait_for_workspace(ActiveTask& task, const std::string& why);
    void note_waiting(const ActiveTask& task, const std::string& why);
    void wait_for_target(ActiveTask& task, const Outcome& outcome, bool resumed);
    void end_outage_by(StepKind step);
    void end_batch(const Outcome& outcome, Instant leader_waits_until);
    void end_start_failed(ActiveTask& task, const StartFailed& start_failed);
    void withdraw_unpushed();
    void wait_for_branch(ActiveTask& task, const std::string& why, bool resumed);
    void conclude(Tasks::iterator task, const ExitRecord& record, const std::optional<BlockMarker>& marker,
                  const Outcome& outcome);
    void count_end(ActiveTask& task, const ExitRecord& record, const Outcome& outcome);
    void apply(Tasks::iterator task, TaskEvent what, const std::string& detail,
               const std::optional<ExitRecord>& end = {});
    void go_on(ActiveTask& task, TaskEvent what);
    void retire(Tasks::iterator task, Lifecycle lifecycle);
    void adopt(ActiveTask& task, const RunHistory& history);
    void resume(ActiveTask& task, const RunHistory& history);
    void ask_to_end(ActiveTask& task);
    void forget_kept(std::string_view task_id);
    [[nodiscard]] bool lands_now() const;
    [[nodiscard]] bool refuses_retry(const std::string& task_id);

    Supervisor& supervisor_;
    Instant now_;   // for pauses
    Instant wall_;  // for time stamps
    std::vector<Action>& actions_;
};

}  // namespace ralph::core
