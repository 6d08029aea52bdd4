// What reaches the supervisor at work from outside: files that change, requests that are left as files,
// signals.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "core/base/shown_text.h"
#include "daemon/os/clock.h"
#include "daemon/store/accounts.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/remote_view.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/spending.h"
#include "daemon/store/steering.h"
#include "daemon/store/task_requests.h"
#include "daemon/supervisor/runtime.h"

namespace ralph::daemon {
namespace {

// Writers save done.jsonc first and queue.jsonc right after it; in between the pair does not validate.
constexpr std::chrono::milliseconds queue_settling{50};
constexpr std::chrono::milliseconds queue_settling_at_most{500};
constexpr std::chrono::milliseconds unreadable_file_retry{5000};

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

}  // namespace

void Runtime::start_watching() {
    queue_files_.insert(settings_.queue_file);
    std::vector<std::string> folders{folder_of(settings_.queue_file), settings_.paths.cache(),
                                     settings_.paths.retry_requests(), settings_.paths.cancel_requests()};
    if (is_directory(settings_.accounts_folder)) {  // without agents it is not needed
        folders.push_back(settings_.accounts_folder);
    }
    // A link's target is what changes; and the link may be replaced.
    for (const std::string& path :
         {settings_.done_file, real_path(settings_.queue_file), real_path(settings_.done_file)}) {
        queue_files_.insert(path);
        if (std::find(folders.begin(), folders.end(), folder_of(path)) == folders.end()) {
            folders.push_back(folder_of(path));
        }
    }
    watcher_.start(std::move(folders),
                   [this](const std::string& folder, std::string_view name) { on_changed(folder, name); });
}

void Runtime::on_changed(const std::string& folder, std::string_view name) {
    if (lock_.state_folder_is_gone()) {
        give_up();
        return;
    }
    const std::string path = folder + "/" + std::string(name);
    const bool everything = name.empty();
    if (everything || queue_files_.count(path) != 0) {
        load_queue_soon();
    }
    if (everything || path == settings_.paths.stop_file()) {
        look_for_stop_request();
    }
    if (everything || path == settings_.paths.look_request()) {
        look_at_remote_if_asked();
    }
    if (everything || folder == settings_.paths.retry_requests() ||
        folder == settings_.paths.cancel_requests()) {
        look_for_requests();
    }
    if (everything || path == settings_.paths.steering()) {
        look_at_steering();
    }
    if (everything || (folder == settings_.accounts_folder && name.ends_with(".json"))) {
        look_at_accounts();
    }
}

void Runtime::recover_tasks() {
    for (const core::ActiveTask& task : supervisor_.active) {
        read_task_history(task.task_id, nullptr);
    }
    std::vector<std::string> completed;
    for (const core::WorkerRecord* record : supervisor_.state.by_lifecycle(core::Lifecycle::completed)) {
        completed.push_back(record->task_id);
    }
    loop_.post_to_helper([this, completed = std::move(completed)] {
        loop_.post([this, left = find_workspaces_left(completed)] {
            for (const core::event::WorkspaceLeft& event : left) {
                post(event);
            }
            begin();
        });
    });
}

// Of completed tasks.
std::vector<core::event::WorkspaceLeft> Runtime::find_workspaces_left(
    const std::vector<std::string>& completed) const {
    std::vector<core::event::WorkspaceLeft> left;
    for (const std::string& task_id : completed) {
        const std::string half_removed = settings_.workspace_root + "/." + task_id + ".discarded";
        if (!is_directory(settings_.workspace(task_id)) && !is_directory(half_removed)) {
            continue;
        }
        auto history =
            read_history(settings_.paths, task_id, settings_.workspace(task_id), OrphanPolicy::kill);
        if (history) {
            history->workspace_exists = true;  // if only half of it
            left.push_back({task_id, *history});
        } else {
            spdlog::warn("{} {}", task_id, history.error().line());
        }
    }
    return left;
}

void Runtime::load_queue_soon() {
    queue_settles_.arm(queue_settling, [this] { load_queue_now(false); });
}

void Runtime::load_queue_now(bool last_try) {
    auto texts = read_queue(settings_);
    const bool unreadable = !texts;
    auto loaded = texts ? parse_queue(settings_, std::move(*texts)) : Result<LoadedQueue>{texts.error()};
    if (loaded) {
        for (const std::string& warning : loaded->warnings) {
            spdlog::debug("{}", warning);
        }
        post(
            core::event::QueueLoaded{std::make_shared<const core::QueueSnapshot>(std::move(loaded->snapshot)),
                                     std::exchange(queue_answer_owed_, false)});
        return;
    }
    if (!last_try) {
        queue_settles_.arm(queue_settling_at_most, [this] { load_queue_now(true); });
        return;
    }
    if (unreadable) {  // what cannot be read now tells of no change when it can be
        queue_settles_.arm(unreadable_file_retry, [this] { load_queue_now(true); });
    }
    post(core::event::QueueInvalid{loaded.error().line(), std::exchange(queue_answer_owed_, false)});
}

void Runtime::look_for_stop_request() {
    const auto request = read_file(settings_.paths.stop_file(), 4096);
    if (!request || !*request) {
        return;
    }
    if ((*request)->rfind(stop_now, 0) == 0) {
        post(core::event::StopRequested{0, false});
    } else {
        post(core::event::DrainRequested{0, "a stop was requested (`ralph queue stop`)"});
    }
}

void Runtime::look_for_requests(bool at_start) {
    for (const std::string& folder : {settings_.paths.retry_requests(), settings_.paths.cancel_requests()}) {
        const auto files = list_requests(folder);
        if (!files) {
            spdlog::warn("{}", files.error().line());
            look_again_soon();
            continue;
        }
        for (const std::string& file : *files) {
            if (!requests_[folder].try_emplace(file, RequestState::seen).second) {
                continue;  // one request is one event, however often we look
            }
            std::string task_id{requested_task(file)};
            if (folder == settings_.paths.retry_requests()) {
                post(core::event::RetryRequested{std::move(task_id), at_start, file});
            } else {
                post(core::event::CancelRequested{std::move(task_id), at_start, file});
            }
        }
    }
}

// From here on an answer is one to it, too.
void Runtime::note_request(const core::Event& event) {
    const auto note = [this](const std::string& folder, const std::string& file) {
        if (const auto found = requests_[folder].find(file); found != requests_[folder].end()) {
            found->second = RequestState::considered;
        }
    };
    if (const auto* const retry = std::get_if<core::event::RetryRequested>(&event)) {
        note(settings_.paths.retry_requests(), retry->request);
    } else if (const auto* const cancel = std::get_if<core::event::CancelRequested>(&event)) {
        note(settings_.paths.cancel_requests(), cancel->request);
    }
}

// At what a person asks for and could not be read now.
void Runtime::look_again_soon() {
    looks_again_.arm(unreadable_file_retry, [this] {
        look_for_requests();
        look_at_steering();
    });
}

// While it cannot be read, nobody knows whether to pause, and nothing starts.
void Runtime::look_at_steering() {
    const auto steering = read_steering_file(settings_.paths);
    if (steering) {
        steering_unreadable_ = false;
        post(core::event::SteeringRead{*steering});
        return;
    }
    look_again_soon();
    if (!std::exchange(steering_unreadable_, true)) {
        core::Steering unknown;
        unknown.pause =
            core::Pause{wall_clock(), {}, steering.error().message + "; `ralph resume` makes the file anew"};
        post(core::event::SteeringRead{std::move(unknown)});
    }
}

// While they cannot be read, what was known of them stays.
void Runtime::look_at_accounts() {
    auto pauses = read_pauses(settings_.accounts_folder);
    if (!pauses) {
        if (!std::exchange(accounts_unreadable_, true)) {
            spdlog::warn("{}", pauses.error().line());
        }
        return;
    }
    accounts_unreadable_ = false;
    if (auto budget =
            budget_pause(settings_.supervisor.budgets, read_spending(settings_.paths), wall_clock())) {
        pauses->push_back(std::move(*budget));
    }
    post(core::event::AccountsRead{std::move(*pauses)});
}

// Another one's push is noticed by the file that it changes here, once the checkout is brought forward.
void Runtime::watch_remote() {
    remote_.start({executables_.ralph,
                   {"--repo", settings_.paths.root, "look", "--branch", supervisor_.state.target_branch}},
                  settings_.supervisor.poll_remote, supervisor_.settings.continuous,
                  [this](int status) { on_looked(status); });
}

void Runtime::on_looked(int status) {
    if (status == look_found_news) {
        post(core::event::TargetMoved{});
    }
    const bool unreachable = status == look_not_reached;
    if (unreachable && !std::exchange(remote_unreachable_, true)) {
        spdlog::warn("origin cannot be reached: {}",
                     core::printable(read_remote_view(settings_.paths).reason));
    }
    if (!unreachable && status >= 0 && std::exchange(remote_unreachable_, false)) {
        spdlog::info("origin can be reached again");
    }
}

void Runtime::look_at_remote_if_asked() {
    if (!path_exists(settings_.paths.look_request())) {
        return;
    }
    remote_.look_now();
    loop_.post_to_helper([this] {
        if (const auto removed = remove_file(settings_.paths.look_request()); !removed) {
            loop_.post([error = removed.error()] { spdlog::debug("{}", error.line()); });
        }
    });
}

void Runtime::on_signal(int signal) {
    if (signal == SIGUSR1) {
        remote_.look_now();
        return;
    }
    if (service_.is_service() && signal == SIGHUP) {
        service_.reload([this] { reload(); });
        return;
    }
    ++signals_seen_;
    if (service_.is_service()) {
        if (signals_seen_ == 1) {
            service_.on_end_signal(signal, supervisor_.settings.stop_timeout,
                                   settings_.supervisor.worker.kill_grace);
        } else {
            post(core::event::StopRequested{signal, true});
        }
        return;
    }
    if (signals_seen_ == 1) {
        post(core::event::DrainRequested{signal, fmt::format("received {}", ::strsignal(signal))});
    } else {
        post(core::event::StopRequested{signal});
    }
}

// Runs that are under way keep what they were started with; so does all that is bound to places on the disk.
void Runtime::reload() {
    auto settings = reload_settings(settings_);
    if (!settings) {
        spdlog::warn("the settings stay as they were: {}", settings.error().line());
        return;
    }
    if (settings->queue_file != settings_.queue_file || settings->done_file != settings_.done_file ||
        settings->workspace_root != settings_.workspace_root) {
        spdlog::warn(
            "queue.file, queue.done_file and parallel.workspace_root are taken at the next start only");
    }
    // Field by field: the others are read on the helper thread.
    settings_.trusted = settings->trusted;
    settings_.project = std::move(settings->project);
    settings_.supervisor = std::move(settings->supervisor);
    core::SupervisorSettings limits = take_settings_(settings_);
    limits.workspace_root = settings_.workspace_root;
    post(core::event::SettingsChanged{std::move(limits)});
    look_at_accounts();
}

}  // namespace ralph::daemon
