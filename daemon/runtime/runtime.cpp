#include "daemon/runtime/runtime.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <utility>

#include "core/check.h"
#include "core/queue_edit.h"
#include "core/state_codec.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds pause_after_failed_save{1000};
// Writers save done.jsonc first and queue.jsonc right after it; in between the pair does not validate.
constexpr std::chrono::milliseconds queue_settling{50};
constexpr std::chrono::milliseconds queue_settling_at_most{500};
constexpr std::chrono::milliseconds history_retry{1000};

core::Instant wall_clock() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

}  // namespace

Runtime::Runtime(Settings settings, Executables executables, const SupervisorLock& lock,
                 core::Supervisor supervisor, Reporter& reporter)
    : settings_(std::move(settings)),
      executables_(std::move(executables)),
      lock_(lock),
      supervisor_(std::move(supervisor)),
      reporter_(reporter),
      signals_(context_),
      wake_(context_),
      save_again_(context_),
      queue_settles_(context_),
      watcher_(context_) {}

int Runtime::run() {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        struct sigaction inherited {};
        static_cast<void>(::sigaction(signal, nullptr, &inherited));
        if (signal != SIGHUP || inherited.sa_handler != SIG_IGN) {  // nohup means it
            signals_.add(signal);
        }
    }
    wait_for_signal();
    if (auto watching = start_watching(); !watching) {
        spdlog::error("{}", watching.error().line());
        return core::exit_could_not_run;
    }
    recover_tasks();
    load_queue_now(true, true);
    look_for_retry_requests();
    look_for_stop_request();
    context_.run();
    helper_.join();
    reporter_.close();
    return exit_code_;
}

// --- decide, make durable, act
// ---------------------------------------------------------------------------------

void Runtime::post(core::Event event) {
    events_.push_back(std::move(event));
    if (!busy_) {
        busy_ = true;
        asio::post(context_, [this] { decide(); });
    }
}

void Runtime::decide() {
    while (!events_.empty()) {
        const core::Event event = std::move(events_.front());
        events_.pop_front();
        for (core::Action& action : core::step(supervisor_, event, wall_clock())) {
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
    asio::post(helper_, [this, text = std::move(text)]() mutable {
        auto saved = save_state(settings_.paths, text);
        asio::post(context_,
                   [this, text = std::move(text), saved = std::move(saved)] { on_saved(text, saved); });
    });
}

void Runtime::on_saved(const std::string& text, const Result<void>& saved) {
    if (!saved) {
        if (!save_failed_) {
            spdlog::error("{}; nothing new starts until the state can be written, what runs goes on",
                          saved.error().line());
        }
        save_failed_ = true;
        save_again_.expires_after(pause_after_failed_save);
        save_again_.async_wait([this](const boost::system::error_code& cancelled) {
            if (!cancelled) {
                decide();
            }
        });
        return;
    }
    if (std::exchange(save_failed_, false)) {
        spdlog::info("the state can be written again");
    }
    durable_text_ = text;
    act();
}

void Runtime::act() {
    const auto actions = std::exchange(actions_, {});
    wake_instant_.reset();
    for (const core::Action& action : actions) {
        std::visit([this](const auto& one) { perform(one); }, action);
    }
    reporter_.show(supervisor_);
    busy_ = false;
    if (!events_.empty()) {
        busy_ = true;
        asio::post(context_, [this] { decide(); });
    }
}

// --- actions
// ---------------------------------------------------------------------------------------------------

std::shared_ptr<StepRun> Runtime::make_run(const std::string& task_id, const core::Run& run) {
    RunCallbacks callbacks;
    callbacks.started = [this, task_id, number = run.number] {
        post(core::event::RunStarted{task_id, number});
    };
    callbacks.ended = [this, task_id, run](core::RunEnd end, core::Outcome outcome) {
        runs_.erase({task_id, run.number});
        auto marker =
            run.step == core::StepKind::work ? read_marker(settings_.workspace(task_id)) : std::nullopt;
        post(core::event::RunEnded{task_id, run.number, std::move(end), std::move(marker),
                                   std::move(outcome)});
    };
    auto made = std::make_shared<StepRun>(context_, helper_, settings_.paths, task_id, run,
                                          settings_.supervisor.worker.kill_grace, std::move(callbacks));
    CHECK(runs_.emplace(RunKey{task_id, run.number}, made).second);
    return made;
}

void Runtime::perform(const core::action::StartRun& action) {
    if (action.run.step != core::StepKind::discard &&
        !path_exists(settings_.paths.task_file(action.task_id))) {
        keep_and_start(action);
        return;
    }
    auto launch = build_launch(settings_, executables_, supervisor_.state.target_branch, supervisor_.settings,
                               action, wall_clock());
    if (!launch) {
        post(core::event::RunEnded{
            action.task_id, action.run.number, core::UnstartedRun{launch.error().message}, {}, {}});
        return;
    }
    spdlog::debug("{} {} is started as run {}", action.task_id, core::to_string(action.run.step),
                  action.run.number);
    make_run(action.task_id, action.run)->launch(std::move(*launch));
}

// A crash came between the record and the task's text (or somebody removed it): the queue has it. A task that
// has left the queue gets a text without content, so that prepare finds out whether it has landed or is gone.
void Runtime::keep_and_start(const core::action::StartRun& action) {
    const auto unstarted = [this, action](std::string reason) {
        post(core::event::RunEnded{
            action.task_id, action.run.number, core::UnstartedRun{std::move(reason)}, {}, {}});
    };
    if (!supervisor_.queue) {
        unstarted("the queue could not be read yet");
        return;
    }
    core::Task task = core::make_task(action.task_id, action.task_id, wall_clock());
    for (const core::TaskFile* const file : {&supervisor_.queue->done, &supervisor_.queue->queue}) {
        if (const core::Task* const found = file->find(action.task_id)) {
            task = *found;
        }
    }
    asio::post(helper_, [this, action, unstarted, task = std::move(task)] {
        auto kept = keep_task(settings_.paths, task);
        asio::post(context_, [this, action, unstarted, kept = std::move(kept)] {
            if (kept) {
                perform(action);
            } else {
                unstarted(kept.error().message);
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
    asio::post(helper_, [this, task_id, task = std::move(task)] {
        const Result<void> kept = task ? keep_task(settings_.paths, *task) : Result<void>{};
        auto history = read_history(settings_.paths, task_id, settings_.workspace(task_id));
        asio::post(context_, [this, task_id, task, kept, history = std::move(history)] {
            if (kept && history) {
                post(core::event::TaskRecovered{task_id, *history});
                return;
            }
            spdlog::warn("{} {}; trying again", task_id, (kept ? history.error() : kept.error()).line());
            auto timer = std::make_shared<asio::steady_timer>(context_, history_retry);
            timer->async_wait([this, task_id, task, timer](const boost::system::error_code& cancelled) {
                if (!cancelled) {
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

void Runtime::perform(const core::action::SettleRuns& action) {
    asio::post(helper_, [this, action] {
        const auto settled = settle_runs(settings_.paths, action.task_id, action.number);
        if (!settled) {
            spdlog::warn("{} {}; the next start settles it", action.task_id, settled.error().line());
        }
    });
}

void Runtime::perform(const core::action::ForgetRetryRequest& action) {
    retries_.erase(action.task_id);
    if (const auto removed = remove_file(settings_.paths.retry_requests() + "/" + action.task_id); !removed) {
        spdlog::warn("{}", removed.error().line());
    }
}

void Runtime::perform(const core::action::LoadQueue&) {
    load_queue_now(true, false);
}

void Runtime::perform(const core::action::WakeAt& action) {
    if (wake_instant_ && *wake_instant_ <= action.when) {
        return;
    }
    wake_instant_ = action.when;
    const auto pause = std::clamp<std::chrono::nanoseconds>(
        action.when - wall_clock(), std::chrono::nanoseconds{0}, std::chrono::hours{24});
    wake_.expires_after(pause);
    wake_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            post(core::event::TimePassed{});
        }
    });
}

void Runtime::perform(const core::action::Announce& action) {
    reporter_.announce(action, wall_clock());
}

void Runtime::perform(const core::action::Note& action) {
    reporter_.note(action);
}

void Runtime::perform(const core::action::Finish& action) {
    exit_code_ = action.exit_code;
    spdlog::info("{}: {} completed, {} failed, {} blocked", action.reason,
                 supervisor_.state.count(core::Lifecycle::completed),
                 supervisor_.state.count(core::Lifecycle::failed), supervisor_.state.blocked_count());
    for (const auto& removed :
         {remove_file(settings_.paths.stop_file()),
          supervisor_.state.active_count() == 0 ? lock_.end_session() : Result<void>{}}) {
        if (!removed) {
            spdlog::warn("{}", removed.error().line());
        }
    }
    watcher_.stop();
    signals_.cancel();
    wake_.cancel();
    queue_settles_.cancel();
}

// --- leaves
// ----------------------------------------------------------------------------------------------------

Result<void> Runtime::start_watching() {
    std::vector<std::string> folders{folder_of(settings_.queue_file), settings_.paths.cache(),
                                     settings_.paths.retry_requests()};
    if (const std::string folder = folder_of(settings_.done_file); folder != folders.front()) {
        folders.push_back(folder);
    }
    return watcher_.start(std::move(folders), [this](const std::string& folder, std::string_view name) {
        on_changed(folder, name);
    });
}

void Runtime::on_changed(const std::string& folder, std::string_view name) {
    const std::string path = folder + "/" + std::string(name);
    const bool everything = name.empty();
    if (everything || path == settings_.queue_file || path == settings_.done_file) {
        load_queue_soon();
    }
    if (everything || path == settings_.paths.stop_file()) {
        look_for_stop_request();
    }
    if (everything || folder == settings_.paths.retry_requests()) {
        look_for_retry_requests();
    }
}

void Runtime::recover_tasks() {
    for (const core::ActiveTask& task : supervisor_.active) {
        read_task_history(task.task_id, nullptr);
    }
    for (const core::WorkerRecord* record : supervisor_.state.by_lifecycle(core::Lifecycle::completed)) {
        const std::string half_removed = settings_.workspace_root + "/." + record->task_id + ".discarded";
        if (!is_directory(settings_.workspace(record->task_id)) && !is_directory(half_removed)) {
            continue;
        }
        auto history = read_history(settings_.paths, record->task_id, settings_.workspace(record->task_id));
        if (history) {
            history->workspace_exists = true;  // if only half of it
            post(core::event::WorkspaceLeft{record->task_id, *history});
        } else {
            spdlog::warn("{} {}", record->task_id, history.error().line());
        }
    }
}

void Runtime::load_queue_soon() {
    queue_settles_.expires_after(queue_settling);
    queue_settles_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            load_queue_now(false, false);
        }
    });
}

void Runtime::load_queue_now(bool requested, bool last_try) {
    auto loaded = load_queue(settings_);
    if (loaded) {
        for (const std::string& warning : loaded->warnings) {
            spdlog::debug("{}", warning);
        }
        post(core::event::QueueLoaded{
            std::make_shared<const core::QueueSnapshot>(std::move(loaded->snapshot)), requested});
        return;
    }
    if (last_try) {
        post(core::event::QueueInvalid{loaded.error().line(), requested});
        return;
    }
    queue_settles_.expires_after(queue_settling_at_most);
    queue_settles_.async_wait([this, requested](const boost::system::error_code& cancelled) {
        if (!cancelled || requested) {
            load_queue_now(requested, true);
        }
    });
}

void Runtime::look_for_stop_request() {
    if (path_exists(settings_.paths.stop_file())) {
        post(core::event::DrainRequested{0, "a stop was requested (`ralph queue stop`)"});
    }
}

void Runtime::look_for_retry_requests() {
    const auto names = list_directory(settings_.paths.retry_requests());
    if (!names) {
        spdlog::warn("{}", names.error().line());
        return;
    }
    for (const std::string& task_id : *names) {
        if (!core::is_safe_task_id(task_id) || task_id.find(".new") != std::string::npos) {
            continue;
        }
        auto history = read_history(settings_.paths, task_id, settings_.workspace(task_id));
        if (history && retries_.insert(task_id).second) {
            post(core::event::RetryRequested{task_id, std::move(*history)});
        } else if (!history) {
            spdlog::warn("{} {}", task_id, history.error().line());
        }
    }
}

void Runtime::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
        if (cancelled) {
            return;
        }
        ++signals_seen_;
        if (signals_seen_ == 1) {
            post(core::event::DrainRequested{signal, fmt::format("received {}", ::strsignal(signal))});
        } else {
            post(core::event::StopRequested{signal});
        }
        wait_for_signal();
    });
}

}  // namespace ralph::daemon
