// pause, resume, workers, cancel, drain. Each leaves what is asked for on disk, durably; a supervisor that
// runs sees it at once, and the next one at its start. So nothing that was asked for is lost with a
// supervisor that is killed.
#include <fmt/format.h>

#include "core/base/shown_text.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/live_view.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/state_store.h"
#include "daemon/store/steering.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/store/task_requests.h"

namespace ralph::daemon {
namespace {

int steer_all(const CommonArguments& common, const std::function<void(core::Steering&)>& change,
              std::string_view done) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (const auto steered = steer(settings->paths, change); !steered) {
        return report_error(steered.error());
    }
    return print(fmt::format("{}{}\n", done,
                             living_supervisor(settings->paths)
                                 ? ""
                                 : "; no supervisor runs here now; the next one will follow it"));
}

Result<void> check_cancellable(const Settings& settings, const std::string& task_id) {
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    const core::WorkerRecord* const record = state ? state->find(task_id) : nullptr;
    if (record == nullptr || !core::is_safe_task_id(task_id)) {
        return Error{fmt::format("{} has not begun", core::printable(task_id)),
                     "take it out of the queue with `ralph task reject` or `ralph task remove`"};
    }
    if (record->is_terminal()) {
        return Error{fmt::format("{} is {}: nothing of it runs", task_id, to_string(record->lifecycle)),
                     "see `ralph status`"};
    }
    return {};
}

// "RQ-0007 (work, attempt 1, for 13m)", of all that a drain waits for.
std::vector<std::string> under_way(const Settings& settings) {
    std::vector<std::string> tasks;
    const auto view = read_live_view(settings.paths);
    for (const core::Explanation& each : view ? view->open : std::vector<core::Explanation>{}) {
        if (each.place == core::Place::runs || each.place == core::Place::lands) {
            tasks.push_back(fmt::format("{} ({})", each.task_id, explanation_line(each, wall_clock())));
        }
    }
    return tasks;
}

}  // namespace

int pause_all(const CommonArguments& common, const std::string& note, const std::string& for_how_long) {
    core::Pause pause;
    pause.since = wall_clock();
    pause.note = core::printable(note);
    if (!for_how_long.empty()) {
        const auto time = core::parse_duration(for_how_long);
        if (!time) {
            return report_error(Error{"--for: " + time.error().message, "such as --for 30m"});
        }
        pause.until = pause.since + *time;
    }
    return steer_all(
        common, [&](core::Steering& steering) { steering.pause = pause; },
        fmt::format("{}: no worker starts; what runs goes on and lands; `ralph resume` ends the pause",
                    core::describe(pause)));
}

int resume_all(const CommonArguments& common) {
    return steer_all(
        common, [](core::Steering& steering) { steering.pause.reset(); }, "not paused any more");
}

int set_workers(const CommonArguments& common, std::optional<std::uint32_t> workers) {
    return steer_all(
        common, [&](core::Steering& steering) { steering.workers = workers; },
        workers ? fmt::format("{} {} from now on, until `ralph workers default`", *workers,
                              *workers == 1 ? "worker" : "workers")
                : std::string("as many workers as `ralph run` and the settings say"));
}

int cancel_tasks(const CommonArguments& common, const std::vector<std::string>& task_ids) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    for (const std::string& task_id : task_ids) {  // all of them, or none
        if (const auto possible = check_cancellable(*settings, task_id); !possible) {
            return report_error(possible.error());
        }
    }
    for (const std::string& task_id : task_ids) {
        if (const auto asked = make_request(settings->paths.cancel_requests(), task_id); !asked) {
            return report_error(asked.error());
        }
    }
    const std::string names = fmt::format("{}", fmt::join(task_ids, ", "));
    return print(
        living_supervisor(settings->paths)
            ? fmt::format(
                  "{}: the worker is told to end; its work is kept, and `ralph retry` goes on with it\n",
                  names)
            : fmt::format("{}: no supervisor runs here; the next one ends it first\n", names));
}

int request_stop(const CommonArguments& common, bool now) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (auto made = make_directories(settings->paths.cache()); !made) {
        return report_error(made.error());
    }
    const auto owner = living_supervisor(settings->paths);
    const auto waits_for = owner ? under_way(*settings) : std::vector<std::string>{};
    const std::string text = "stop requested at " + core::format_rfc3339(wall_clock());
    auto written =
        write_file_durably(settings->paths.stop_file(), now ? fmt::format("{}: {}", stop_now, text) : text);
    if (!written) {
        return report_error(written.error());
    }
    const auto other = owner ? std::nullopt : living_lock_owner(settings->paths);
    if (owner && now) {
        say("stop requested: what runs is ended");
    } else if (owner) {
        say("stop requested: no new task starts, what runs is finished");
        if (!waits_for.empty()) {
            say(fmt::format("it waits for {}; `ralph drain --now` ends them, and their work is kept",
                            core::shortened(fmt::format("{}", fmt::join(waits_for, ", ")), 1'000)));
        }
    } else if (other) {
        say(fmt::format(
            "stop requested: no supervisor of this ralph runs here, but process {} ({}) holds the "
            "queue; if it is another tool's loop, it ends after its task",
            other->pid, core::printable(other->label)));
    } else {
        say("stop requested, but no supervisor runs here; the next one will not see it");
    }
    return 0;
}

}  // namespace ralph::daemon
