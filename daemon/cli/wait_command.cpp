// wait: until tasks have come to an end, for scripts.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "core/base/shown_text.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/watcher.h"

namespace ralph::daemon {
namespace {

constexpr int exit_landed = 0;
constexpr int exit_some_not_landed = 3;
constexpr int exit_timeout = 6;

// A supervisor that was killed leaves no sign, and a service manager starts the next one within this time.
constexpr std::chrono::seconds look{1};
constexpr std::chrono::seconds patience_without_supervisor{30};

struct Standing {
    std::vector<std::string> open;
    std::vector<std::string> not_landed;
};

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

bool is_to_be_worked_on(const core::Task& task) {
    return (task.status == core::TaskStatus::todo || task.status == core::TaskStatus::doing) &&
           task.kind != core::TaskKind::group;
}

// All that are at work, or open in the queue.
Result<std::vector<std::string>> open_tasks(const Settings& settings) {
    std::vector<std::string> ids;
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    for (const core::WorkerRecord& record : state ? state->workers : std::vector<core::WorkerRecord>{}) {
        if (!record.is_terminal()) {
            ids.push_back(record.task_id);
        }
    }
    TRY_ASSIGN(const auto queue, open_queue(settings));
    for (const core::Task& task : queue.snapshot.queue.tasks) {
        const std::string id(core::trimmed(task.id));
        if (is_to_be_worked_on(task) && (!state || !state->has(id))) {
            ids.push_back(id);
        }
    }
    return ids;
}

// A task that nobody works on any more and that stands in no file was taken out of the queue.
Result<Standing> look_at(const Settings& settings, const std::vector<std::string>& task_ids) {
    Standing standing;
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    const auto queue = open_queue(settings);  // while it cannot be read, what is open there stays open
    for (const std::string& id : task_ids) {
        const core::WorkerRecord* const record = state ? state->find(id) : nullptr;
        const bool is_queued = !queue || queue->snapshot.queue.find(id) != nullptr;
        if (record == nullptr ? is_queued : !record->is_terminal()) {
            standing.open.push_back(id);
        } else if (record != nullptr && record->lifecycle != core::Lifecycle::completed) {
            standing.not_landed.push_back(fmt::format("{} ({})", id, to_string(record->lifecycle)));
        }
    }
    return standing;
}

Result<void> check_known(const Settings& settings, const std::vector<std::string>& task_ids) {
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    TRY_ASSIGN(const auto queue, open_queue(settings));
    for (const std::string& id : task_ids) {
        if ((!state || !state->has(id)) && queue.snapshot.queue.find(id) == nullptr &&
            queue.snapshot.done.find(id) == nullptr) {
            return Error{fmt::format("there is no task {}", core::printable(id)), "see `ralph queue list`"};
        }
    }
    return {};
}

class Wait {
  public:
    Wait(const Settings& settings, std::vector<std::string> task_ids)
        : settings_(settings), task_ids_(std::move(task_ids)) {}

    int run(std::optional<core::Milliseconds> timeout) {
        loop_.watch_signals({SIGINT, SIGTERM}, [this](int signal) { end(128 + signal); });
        watcher_.start({folder_of(settings_.paths.state()), folder_of(settings_.queue_file)},
                       [this](const std::string&, std::string_view) { check(); });
        if (timeout) {
            timeout_.arm(*timeout, [this] {
                say(fmt::format("not over: {}",
                                core::shortened(fmt::format("{}", fmt::join(open_, ", ")), 1'000)));
                end(exit_timeout);
            });
        }
        tick();
        loop_.run();
        return exit_code_;
    }

  private:
    void tick() {
        check();
        if (living_supervisor(settings_.paths)) {
            alone_since_.reset();
        } else if (!alone_since_) {
            alone_since_ = present_moment().monotonic;
        } else if (present_moment().monotonic - *alone_since_ > patience_without_supervisor) {
            end(report_error(Error{"no supervisor runs here, and not all is over",
                                   "start one with `ralph run --parallel`"}));
        }
        look_.arm(look, [this] { tick(); });
    }

    void check() {
        const auto standing = look_at(settings_, task_ids_);
        if (!standing) {
            end(report_error(standing.error()));
            return;
        }
        open_ = standing->open;
        if (!open_.empty()) {
            return;
        }
        if (standing->not_landed.empty()) {
            end(exit_landed);
            return;
        }
        say(fmt::format("not landed: {}",
                        core::shortened(fmt::format("{}", fmt::join(standing->not_landed, ", ")), 1'000)));
        end(exit_some_not_landed);
    }

    void end(int exit_code) {
        if (!std::exchange(ended_, true)) {
            exit_code_ = exit_code;
            loop_.stop();
        }
    }

    const Settings& settings_;
    std::vector<std::string> task_ids_;
    std::vector<std::string> open_;
    Loop loop_;
    Timer look_{loop_};
    Timer timeout_{loop_};
    Watcher watcher_{loop_};
    std::optional<core::Instant> alone_since_;
    int exit_code_ = exit_landed;
    bool ended_ = false;
};

}  // namespace

int wait_for_tasks(const CommonArguments& common, const std::vector<std::string>& task_ids,
                   const std::string& timeout) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::optional<core::Milliseconds> patience;
    if (!timeout.empty()) {
        const auto time = core::parse_duration(timeout);
        if (!time) {
            return report_error(Error{"--timeout: " + time.error().message, "such as --timeout 2h"});
        }
        patience = *time;
    }
    const auto known = check_known(*settings, task_ids);
    const auto wanted =
        !known || !task_ids.empty() ? Result<std::vector<std::string>>{task_ids} : open_tasks(*settings);
    if (!known || !wanted) {
        return report_error(known ? wanted.error() : known.error());
    }
    return Wait(*settings, *wanted).run(patience);
}

}  // namespace ralph::daemon
