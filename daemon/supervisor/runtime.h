// The supervisor at work: decide, make durable, act, in this order and in this one place.
//
// Leaves (signals, inotify, pidfds, timers) post events. Events are decided on one by one; the state that
// results is made durable on the helper thread, one save for all events that came meanwhile; then, and only
// then, the actions are performed. While the disk refuses the state, events are still taken and decided on,
// but nothing is acted upon: nothing new starts, what runs is watched by its shims, and all goes on when the
// disk accepts the state again. When somebody removes the folder that holds state and run directories, none
// of this can be kept any longer: what runs is ended, and the supervisor ends, too.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/supervisor/supervisor.h"
#include "daemon/store/settings.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/supervisor/launch_builder.h"
#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/remote_watch.h"
#include "daemon/supervisor/reporter.h"
#include "daemon/supervisor/service_notifier.h"
#include "daemon/supervisor/step_run.h"
#include "daemon/supervisor/watcher.h"

namespace ralph::daemon {

class Runtime {
  public:
    Runtime(Settings settings, Executables executables, const SupervisorLock& lock,
            core::Supervisor supervisor, Reporter& reporter, std::shared_ptr<ServiceManager> service,
            std::function<core::SupervisorSettings(const Settings&)> take_settings);

    // Who else is shown what happens, beside the log and the table.
    void let_watch(bool tells, std::function<void(const core::Supervisor&)> observe) {
        tells_ = tells;
        observe_ = std::move(observe);
    }

    // Until the supervisor has finished. Returns the exit code of `ralph run`.
    int run();

  private:
    using RunKey = std::pair<std::string, std::uint32_t>;
    static constexpr std::chrono::milliseconds history_retry{1000};

    void post(core::Event event);
    void decide();
    void commit();
    void on_saved(const std::string& text, const Result<void>& saved);
    void act();
    void give_up();
    void leave();
    void leave_unsaved();
    void stop_waiting();
    void end_service_when_idle();
    void begin();

    void perform(const core::action::StartRun& action);
    void perform(const core::action::ReadHistory& action);
    void perform(const core::action::AdoptRun& action);
    void perform(const core::action::EndRun& action);
    void perform(const core::action::AcknowledgeRuns& action);
    void perform(const core::action::NoteExpired& action);
    void perform(const core::action::ForgetRuns& action);
    void perform(const core::action::ReadRetryHistory& action);
    void perform(const core::action::ForgetRetryRequest& action);
    void perform(const core::action::ForgetCancelRequest& action);
    void perform(const core::action::LoadQueue& action);
    void perform(const core::action::MeasureHost& action);
    void perform(const core::action::WakeAt& action);
    void perform(const core::action::Announce& action);
    void perform(const core::action::Note& action);
    void perform(const core::action::Finish& action);

    void keep_and_start(const core::action::StartRun& action);
    void start_failed(const core::action::StartRun& action, std::string reason);
    void start_watching();
    [[nodiscard]] std::vector<core::event::WorkspaceLeft> find_workspaces_left(
        const std::vector<std::string>& completed) const;
    void recover_tasks();
    void read_task_history(const std::string& task_id, std::shared_ptr<const core::Task> task);
    void on_changed(const std::string& folder, std::string_view name);
    void acknowledge(const std::string& task_id);
    void load_queue_soon();
    void load_queue_now(bool last_try);
    void look_for_stop_request();
    void look_for_requests(bool at_start = false);
    void forget_requests(const std::string& folder, std::string_view task_id);
    void look_at_steering();
    void look_again_soon();
    void note_request(const core::Event& event);
    [[nodiscard]] std::optional<core::Task> task_now(const std::string& task_id) const;
    void look_at_accounts();
    void show();
    void tell();
    void watch_remote();
    void on_looked(int status);
    void look_at_remote_if_asked();
    void on_signal(int signal);
    void reload();
    [[nodiscard]] std::shared_ptr<StepRun> make_run(const std::string& task_id, const core::Run& run);

    Settings settings_;
    Executables executables_;
    const SupervisorLock& lock_;
    core::Supervisor supervisor_;
    Reporter& reporter_;

    Loop loop_;
    Timer wake_{loop_};
    Timer save_again_{loop_};
    Timer queue_settles_{loop_};
    Timer tells_soon_{loop_};
    Timer looks_again_{loop_};
    Watcher watcher_{loop_};
    RemoteWatch remote_{loop_};
    ServiceNotifier service_;
    std::function<core::SupervisorSettings(const Settings&)> take_settings_;

    std::deque<core::Event> events_;
    std::vector<core::Action> actions_;  // decided on, not yet allowed
    std::string durable_text_;           // what state.json holds; empty until the first save
    bool tells_ = false;
    bool telling_ = false;  // the timer is armed
    std::string told_;      // what live.json holds
    std::function<void(const core::Supervisor&)> observe_;
    bool busy_ = false;  // a save is under way
    bool save_failed_ = false;
    int failed_saves_ = 0;   // in a row
    bool given_up_ = false;  // nothing is decided any more: the state's folder was removed, or we leave
    bool queue_answer_owed_ = false;        // core asked for the queue, which is not whole yet
    std::set<std::string> queue_files_;     // whose change is a change of the queue
    std::optional<core::Instant> wake_at_;  // of the monotonic clock
    std::map<RunKey, std::shared_ptr<StepRun>> runs_;
    std::map<std::string, std::uint32_t> unacknowledged_;  // whose end is not noted yet, and up to which run
    std::set<std::string> unreadable_;  // tasks whose run directories could not be read: told once
    // By folder the files that ask for something.
    enum class RequestState { seen, considered, answered };
    std::map<std::string, std::map<std::string, RequestState>> requests_;
    bool accounts_unreadable_ = false;  // told once
    bool remote_unreachable_ = false;   // the same
    bool steering_unreadable_ = false;  // the same
    int signals_seen_ = 0;
    int exit_code_ = core::exit_could_not_run;
};

}  // namespace ralph::daemon
