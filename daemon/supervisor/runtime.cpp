#include "daemon/supervisor/runtime.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "core/base/check.h"
#include "core/queue/queue_edit.h"
#include "core/supervisor/state_codec.h"
#include "core/supervisor/step.h"
#include "daemon/os/clock.h"
#include "daemon/os/host.h"
#include "daemon/store/expiry_notes.h"
#include "daemon/store/live_view.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/spending.h"
#include "daemon/store/state_store.h"
#include "daemon/store/task_requests.h"

namespace ralph::daemon {
namespace {

constexpr std::chrono::milliseconds pause_after_failed_save{1000};
constexpr std::chrono::milliseconds acknowledge_again{1000};
constexpr std::chrono::milliseconds pause_before_telling{100};
constexpr int failed_saves_that_last = 5;
// Nothing tells that the wall clock was set: who waits for a time of day looks so often.
constexpr std::chrono::seconds wall_clock_look{10};

std::vector<int> watched_signals(bool is_service) {
    std::vector<int> signals{SIGTERM, SIGINT, SIGUSR1};
    if (is_service) {
        signals.push_back(SIGHUP);  // asks for a reload
        return signals;
    }
    struct sigaction inherited {};
    static_cast<void>(::sigaction(SIGHUP, nullptr, &inherited));
    if (inherited.sa_handler != SIG_IGN) {  // nohup means it
        signals.push_back(SIGHUP);
    }
    return signals;
}

}  // namespace

Runtime::Runtime(Settings settings, Executables executables, const SupervisorLock& lock,
                 core::Supervisor supervisor, Reporter& reporter, std::shared_ptr<ServiceManager> service,
                 std::function<core::SupervisorSettings(const Settings&)> take_settings)
    : settings_(std::move(settings)),
      executables_(std::move(executables)),
      lock_(lock),
      supervisor_(std::move(supervisor)),
      reporter_(reporter),
      service_(
          loop_, std::move(service), [this](core::Event event) { post(std::move(event)); },
          [this] { leave(); }),
      take_settings_(std::move(take_settings)) {}

int Runtime::run() {
    loop_.watch_signals(watched_signals(service_.is_service()), [this](int signal) { on_signal(signal); });
    start_watching();
    look_at_accounts();
    look_at_steering();
    recover_tasks();
    look_for_requests(true);
    service_.begin();
    loop_.run();
    reporter_.close();
    return exit_code_;
}

// What was left of earlier runs is known now.
void Runtime::begin() {
    if (given_up_ || supervisor_.finished) {
        return;
    }
    queue_answer_owed_ = true;
    load_queue_now(true);
    look_for_stop_request();
    watch_remote();
}

// --- decide, make durable, act
// ---------------------------------------------------------------------------------

void Runtime::post(core::Event event) {
    if (given_up_) {
        return;
    }
    events_.push_back(std::move(event));
    if (!busy_) {
        busy_ = true;
        loop_.post([this] { decide(); });
    }
}

void Runtime::decide() {
    if (given_up_) {
        return;
    }
    while (!events_.empty()) {
        const core::Event event = std::move(events_.front());
        events_.pop_front();
        note_request(event);
        for (core::Action& action : core::step(supervisor_, event, present_moment())) {
            // What only ends or tells something needs no record first, and must not wait for a disk that is
            // full.
            if (const auto* const end = std::get_if<core::action::EndRun>(&action)) {
                perform(*end);
            } else if (const auto* const note = std::get_if<core::action::Note>(&action)) {
                perform(*note);
            } else {
                actions_.push_back(std::move(action));
            }
        }
    }
    commit();
}

void Runtime::commit() {
    std::string text = core::state_text(supervisor_.state);
    if (text == durable_text_) {
        act();
        return;
    }
    loop_.post_to_helper([this, text = std::move(text)]() mutable {
        if (lock_.state_folder_is_gone()) {
            loop_.post([this] { give_up(); });
            return;
        }
        auto saved = save_state(settings_.paths, text);
        loop_.post([this, text = std::move(text), saved = std::move(saved)] { on_saved(text, saved); });
    });
}

void Runtime::on_saved(const std::string& text, const Result<void>& saved) {
    if (given_up_) {
        return;
    }
    if (!saved) {
        if (!save_failed_) {
            spdlog::error("{}; nothing new starts until the state can be written, what runs goes on",
                          saved.error().line());
        }
        save_failed_ = true;
        if (++failed_saves_ >= failed_saves_that_last && supervisor_.finished && supervisor_.signal != 0) {
            leave_unsaved();
            return;
        }
        save_again_.arm(pause_after_failed_save, [this] { decide(); });
        return;
    }
    failed_saves_ = 0;
    if (std::exchange(save_failed_, false)) {
        spdlog::info("the state can be written again");
    }
    durable_text_ = text;
    act();
}

void Runtime::act() {
    const auto actions = std::exchange(actions_, {});
    wake_at_.reset();
    for (const core::Action& action : actions) {
        std::visit([this](const auto& one) { perform(one); }, action);
    }
    show();
    busy_ = false;
    if (!events_.empty()) {
        busy_ = true;
        loop_.post([this] { decide(); });
    }
}

void Runtime::show() {
    reporter_.show(supervisor_);
    service_.show(supervisor_);
    if (observe_) {
        observe_(supervisor_);
    }
    if (tells_ && !telling_) {
        telling_ = true;
        tells_soon_.arm(pause_before_telling, [this] { tell(); });
    }
}

// For people: so it is not written for each of many changes at once, and a disk that refuses costs nothing
// else.
void Runtime::tell() {
    telling_ = false;
    std::string text = live_view_text(supervisor_, present_moment());
    if (text == told_ || given_up_ || supervisor_.finished) {
        return;
    }
    told_ = text;
    loop_.post_to_helper([this, text = std::move(text)] {
        if (const auto written = write_file_durably(settings_.paths.live_view(), text); !written) {
            loop_.post([this, error = written.error()] {
                told_.clear();
                spdlog::debug("{}", error.line());
            });
        }
    });
}

// The run directories are gone with the state: no end of what runs could be recorded, and the next start
// would know nothing of it and begin it again. So it is ended now; the workspaces stay.
void Runtime::give_up() {
    if (std::exchange(given_up_, true)) {
        return;
    }
    spdlog::error(
        "{} was removed while the supervisor ran; what runs is ended, since nothing of it can be "
        "recorded any more, and the workspaces stay; start again with `ralph run --parallel`",
        settings_.paths.parallel());
    events_.clear();
    actions_.clear();
    exit_code_ = core::exit_could_not_run;
    for (const auto& [key, run] : runs_) {
        run->end();
    }
    stop_waiting();
}

// A signal ends a supervisor under which nothing runs any more, whatever the disk does. What it could not
// record the next start finds again in the run directories.
void Runtime::leave_unsaved() {
    spdlog::error("ending without the state: it cannot be written, and the next start finds out again");
    leave();
    exit_code_ = 128 + supervisor_.signal;
}

// As if it had been killed, which harms nobody: what is not durable was not acted upon, shims that wait for
// their go give up, and all others go on.
void Runtime::leave() {
    exit_code_ = core::exit_all_landed;
    given_up_ = true;
    loop_.stop();
}

// What the helper thread still has to write may take long, and the watchdog is fed until then.
void Runtime::end_service_when_idle() {
    loop_.post_to_helper([this] { loop_.post([this] { service_.end(); }); });
}

void Runtime::stop_waiting() {
    // Else with the last run: until then the watchdog is fed.
    if (runs_.empty()) {
        end_service_when_idle();
    }
    watcher_.stop();
    remote_.stop();
    loop_.let_signals_go();
    wake_.cancel();
    save_again_.cancel();
    queue_settles_.cancel();
    tells_soon_.cancel();
    looks_again_.cancel();
}

// --- actions
// ---------------------------------------------------------------------------------------------------

std::shared_ptr<StepRun> Runtime::make_run(const std::string& task_id, const core::Run& run) {
    RunCallbacks callbacks;
    callbacks.started = [this, task_id, number = run.number] {
        post(core::event::RunStarted{task_id, number});
    };
    callbacks.ended = [this, task_id, run](core::RunEnd end, core::Outcome outcome,
                                           std::optional<core::BlockMarker> marker) {
        runs_.erase({task_id, run.number});
        if (given_up_ && runs_.empty()) {
            end_service_when_idle();
        }
        if (run.step == core::StepKind::work || run.step == core::StepKind::remediate) {
            look_at_accounts();
        }
        loop_.post_to_helper([this, task_id,
                              text = fmt::format("{} run {} {}", core::to_string(run.step), run.number,
                                                 describe_end(end))] { reporter_.write_log(task_id, text); });
        post(core::event::RunEnded{task_id, run.number, std::move(end), std::move(marker),
                                   std::move(outcome)});
    };
    auto made = std::make_shared<StepRun>(loop_, settings_.paths, task_id, settings_.workspace(task_id), run,
                                          settings_.supervisor.worker.kill_grace, std::move(callbacks));
    CHECK(runs_.emplace(RunKey{task_id, run.number}, made).second);
    return made;
}

void Runtime::perform(const core::action::StartRun& action) {
    const auto kept = action.run.step == core::StepKind::discard
                          ? Result<bool>{true}
                          : is_there(settings_.paths.task_file(action.task_id));
    if (!kept) {
        start_failed(action, kept.error().message);
        return;
    }
    if (!*kept) {
        keep_and_start(action);
        return;
    }
    auto launch = build_launch(settings_, executables_, supervisor_.state.target_branch, supervisor_.settings,
                               action, wall_clock());
    if (!launch) {
        start_failed(action, launch.error().message);
        return;
    }
    spdlog::debug("{} {} is started as run {}", action.task_id, core::to_string(action.run.step),
                  action.run.number);
    make_run(action.task_id, action.run)->launch(std::move(*launch));
}

void Runtime::start_failed(const core::action::StartRun& action, std::string reason) {
    post(core::event::RunEnded{
        action.task_id, action.run.number, core::StartFailed{std::move(reason)}, {}, {}});
}

// A crash came between the record and the task's text (or somebody removed it): the queue has it. A task that
// has left the queue gets a text without content, so that prepare finds out whether it has landed or is gone.
void Runtime::keep_and_start(const core::action::StartRun& action) {
    if (!supervisor_.queue) {
        start_failed(action, "the queue could not be read yet");
        return;
    }
    core::Task task = core::make_task(action.task_id, action.task_id, wall_clock());
    for (const core::TaskFile* const file : {&supervisor_.queue->done, &supervisor_.queue->queue}) {
        if (const core::Task* const found = file->find(action.task_id)) {
            task = *found;
        }
    }
    loop_.post_to_helper([this, action, task = std::move(task)] {
        auto kept = keep_task(settings_.paths, task);
        loop_.post([this, action, kept = std::move(kept)] {
            if (kept) {
                perform(action);
            } else {
                start_failed(action, kept.error().message);
            }
        });
    });
}

void Runtime::perform(const core::action::ReadHistory& action) {
    read_task_history(action.task_id, action.task);
}

// Keeps the task's text, if there is one to keep, and reads what its runs tell. A disk that refuses is tried
// again.
void Runtime::read_task_history(const std::string& task_id, std::shared_ptr<const core::Task> task) {
    loop_.post_to_helper([this, task_id, task = std::move(task)] {
        const Result<void> kept = task ? keep_task(settings_.paths, *task) : Result<void>{};
        auto history =
            read_history(settings_.paths, task_id, settings_.workspace(task_id), OrphanPolicy::kill);
        loop_.post([this, task_id, task, kept, history = std::move(history)] {
            if (kept && history) {
                unreadable_.erase(task_id);
                post(core::event::TaskRecovered{task_id, *history});
                return;
            }
            if (unreadable_.insert(task_id).second) {
                spdlog::warn("{} {}; trying again until it can be", task_id,
                             (kept ? history.error() : kept.error()).line());
            }
            post(core::event::HistoryUnreadable{task_id});
            auto timer = std::make_shared<Timer>(loop_);
            timer->arm(history_retry, [this, task_id, task, timer] {
                if (!supervisor_.finished) {
                    read_task_history(task_id, task);
                }
            });
        });
    });
}

void Runtime::perform(const core::action::AdoptRun& action) {
    spdlog::debug("{} {} is adopted as run {}", action.task_id, core::to_string(action.run.step),
                  action.run.number);
    make_run(action.task_id, action.run)->adopt();
}

void Runtime::perform(const core::action::EndRun& action) {
    const auto found = runs_.find({action.task_id, action.run.number});
    if (found != runs_.end()) {
        found->second->end();
    }
}

void Runtime::perform(const core::action::AcknowledgeRuns& action) {
    std::uint32_t& number = unacknowledged_[action.task_id];
    number = std::max(number, action.number);
    acknowledge(action.task_id);
}

// Until the disk takes it. Nobody waits for that: the terminal record is durable, and whoever reads the runs
// of a terminal record notes their end first.
void Runtime::acknowledge(const std::string& task_id) {
    loop_.post_to_helper([this, task_id, number = unacknowledged_.at(task_id)] {
        auto acknowledged = acknowledge_runs(settings_.paths, task_id, number);
        loop_.post([this, task_id, number, acknowledged = std::move(acknowledged)] {
            const auto found = unacknowledged_.find(task_id);
            if (found == unacknowledged_.end() || found->second != number) {
                return;  // a later one is under way
            }
            if (acknowledged || supervisor_.finished || given_up_) {  // the next start notes it, too
                unacknowledged_.erase(found);
                return;
            }
            spdlog::debug("{} {}", task_id, acknowledged.error().line());
            auto timer = std::make_shared<Timer>(loop_);
            timer->arm(acknowledge_again, [this, task_id, timer] {
                if (unacknowledged_.count(task_id) != 0) {
                    acknowledge(task_id);
                }
            });
        });
    });
}

// Not for good: what is not noted is noted the next time.
void Runtime::perform(const core::action::NoteExpired& action) {
    loop_.post_to_helper([this, notes = action.notes] {
        const auto noted = save_expiry_notes(settings_.paths, Kept::records, notes, present_moment());
        if (!noted) {
            spdlog::debug("{}", noted.error().line());
        }
    });
}

// The record is durably gone, so that a start that finds these directories removes them, too. A disk that
// refuses is tried again.
void Runtime::perform(const core::action::ForgetRuns& action) {
    unacknowledged_.erase(action.task_id);
    loop_.post_to_helper([this, action] {
        const auto history = read_history(settings_.paths, action.task_id,
                                          settings_.workspace(action.task_id), OrphanPolicy::kill);
        auto removed = history ? remove_runs(settings_.paths, action.task_id) : Result<void>{history.error()};
        loop_.post([this, action, removed = std::move(removed)] {
            if (removed) {
                unreadable_.erase(action.task_id);
                post(core::event::RunsForgotten{action.task_id});
                return;
            }
            if (unreadable_.insert(action.task_id).second) {
                spdlog::warn("{} {}; trying again until it can be", action.task_id, removed.error().line());
            }
            auto timer = std::make_shared<Timer>(loop_);
            timer->arm(history_retry, [this, action, timer] { perform(action); });
        });
    });
}

// Whoever asks for another try may have said better what is to be done. At the start nothing has read the
// queue yet.
std::optional<core::Task> Runtime::task_now(const std::string& task_id) const {
    const auto loaded = supervisor_.queue ? Result<LoadedQueue>{Error{}} : load_queue(settings_);
    const core::TaskFile* const queue = supervisor_.queue ? &supervisor_.queue->queue
                                        : loaded          ? &loaded->snapshot.queue
                                                          : nullptr;
    const core::Task* const task = queue == nullptr ? nullptr : queue->find(task_id);
    return task == nullptr ? std::nullopt : std::optional(*task);
}

// The record is durably terminal, so that what has ended was dealt with.
void Runtime::perform(const core::action::ReadRetryHistory& action) {
    loop_.post_to_helper([this, task_id = action.task_id, task = task_now(action.task_id)] {
        const std::string workspace = settings_.workspace(task_id);
        const Result<void> kept = task ? keep_task(settings_.paths, *task) : Result<void>{};
        auto history = read_history(settings_.paths, task_id, workspace, OrphanPolicy::kill);
        if (history && history->newest && history->newest->end) {
            const auto acknowledged = acknowledge_runs(settings_.paths, task_id, history->last_number);
            history = acknowledged ? read_history(settings_.paths, task_id, workspace, OrphanPolicy::kill)
                                   : Result<core::RunHistory>{acknowledged.error()};
        }
        if (!kept) {
            history = kept.error();
        }
        loop_.post([this, task_id, history = std::move(history)] {
            if (history) {
                unreadable_.erase(task_id);
                post(core::event::RetryHistoryRead{task_id, *history});
                return;
            }
            if (unreadable_.insert(task_id).second) {
                spdlog::warn("{} {}; trying again until it can be", task_id, history.error().line());
            }
            auto timer = std::make_shared<Timer>(loop_);
            timer->arm(history_retry,
                       [this, task_id, timer] { perform(core::action::ReadRetryHistory{task_id}); });
        });
    });
}

void Runtime::perform(const core::action::ForgetRetryRequest& action) {
    forget_requests(settings_.paths.retry_requests(), action.task_id);
}

void Runtime::perform(const core::action::ForgetCancelRequest& action) {
    forget_requests(settings_.paths.cancel_requests(), action.task_id);
}

// Those that were considered: one that came later is not answered yet.
void Runtime::forget_requests(const std::string& folder, std::string_view task_id) {
    auto& seen = requests_[folder];
    for (auto& [file, request] : seen) {
        if (request != RequestState::considered || requested_task(file) != task_id) {
            continue;
        }
        request = RequestState::answered;
        loop_.post_to_helper([this, folder, &seen, file = file] {
            const auto removed = forget_request(folder, file);
            loop_.post([&seen, file, removed] {
                if (removed) {
                    seen.erase(file);
                } else {
                    spdlog::warn("{}", removed.error().line());
                }
            });
        });
    }
}

void Runtime::perform(const core::action::LoadQueue&) {
    queue_answer_owed_ = true;
    load_queue_now(false);
}

void Runtime::perform(const core::action::MeasureHost&) {
    loop_.post_to_helper([this] {
        loop_.post(
            [this, host = measure_host(settings_.workspace_root)] { post(core::event::HostMeasured{host}); });
    });
}

void Runtime::perform(const core::action::WakeAt& action) {
    const core::Moment now = present_moment();
    const std::chrono::nanoseconds pause =
        action.is_wall_time ? std::min<std::chrono::nanoseconds>(action.when - now.wall, wall_clock_look)
                            : action.when - now.monotonic;
    const core::Instant wake_at =
        now.monotonic +
        std::clamp<std::chrono::nanoseconds>(pause, std::chrono::nanoseconds{0}, std::chrono::hours{24});
    if (wake_at_ && *wake_at_ <= wake_at) {
        return;
    }
    wake_at_ = wake_at;
    wake_.arm(wake_at - now.monotonic, [this] { post(core::event::TimePassed{}); });
}

void Runtime::perform(const core::action::Announce& action) {
    loop_.post_to_helper([this, line = reporter_.announce(action, wall_clock()), task_id = action.task_id,
                          text = describe(action)] {
        reporter_.remember(line);
        reporter_.write_log(task_id, text);
    });
    if (!action.from) {  // begun anew, which is what a retry that was asked for before would have done
        perform(core::action::ForgetRetryRequest{action.task_id});
    }
}

void Runtime::perform(const core::action::Note& action) {
    reporter_.note(action);
}

void Runtime::perform(const core::action::Finish& action) {
    exit_code_ = action.exit_code;
    spdlog::info("{}: {} completed, {} failed, {} blocked", action.reason,
                 supervisor_.state.count(core::Lifecycle::completed),
                 supervisor_.state.count(core::Lifecycle::failed), supervisor_.state.blocked_count());
    const bool ends_session = supervisor_.state.active_count() == 0;
    loop_.post_to_helper([this, ends_session] {
        for (const auto& removed :
             {remove_file(settings_.paths.stop_file()), ends_session ? lock_.end_session() : Result<void>{},
              end_run(settings_.paths)}) {
            if (!removed) {
                spdlog::warn("{}", removed.error().line());
            }
        }
    });
    stop_waiting();
}

}  // namespace ralph::daemon
