#include "daemon/store/holds.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/base/shown_text.h"
#include "core/queue/queue_validation.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/remote_view.h"
#include "daemon/store/steering.h"
#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {
namespace {

// An agent that thinks writes a line now and then; a build that is quiet for longer is worth a look.
constexpr std::chrono::minutes quiet_for_long{10};
constexpr std::chrono::minutes recently{10};
constexpr std::size_t deaths_that_are_many = 3;
constexpr std::size_t most_starts = std::size_t{16} << 10U;  // bytes that are read of them

std::optional<core::Instant> written_at(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        return std::nullopt;
    }
    return core::Instant{std::chrono::seconds{info.st_mtim.tv_sec}};
}

void add_quiet_workers(const Paths& paths, const LiveView& live, core::Instant now,
                       std::vector<core::Hold>& holds) {
    for (const core::Explanation& each : live.open) {
        if (each.place != core::Place::runs || !each.since || !core::is_safe_task_id(each.task_id)) {
            continue;
        }
        const auto written = written_at(paths.log(each.task_id));
        const core::Instant last = std::max(*each.since, written.value_or(*each.since));
        if (now - last >= quiet_for_long) {
            holds.push_back(
                {"worker_quiet",
                 fmt::format("{} has written nothing for {} minutes ({}); `ralph cancel {}` ends it",
                             each.task_id,
                             std::chrono::duration_cast<std::chrono::minutes>(now - last).count(),
                             each.reason, each.task_id),
                 fmt::format("ralph logs {} -f", each.task_id)});
        }
    }
}

void add_deaths(const Paths& paths, core::Instant now, std::vector<core::Hold>& holds) {
    const auto text = read_file(paths.starts(), most_starts);
    std::string_view rest = text && *text ? std::string_view(**text) : std::string_view{};
    std::size_t deaths = 0;
    for (bool is_first = true; !rest.empty(); is_first = false) {
        const std::size_t end = rest.find('\n');
        const auto time = core::parse_rfc3339(rest.substr(0, end));
        deaths += !is_first && time && now - time->instant < recently ? 1 : 0;
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    if (deaths >= deaths_that_are_many) {
        holds.push_back({"crash_loop",
                         fmt::format("the supervisor has died and was started again {} times in {} minutes",
                                     deaths, recently.count()),
                         "ralph service logs"});
    }
}

}  // namespace

void note_start(const Paths& paths, bool resumed, core::Instant now) {
    const std::string line = core::format_rfc3339_seconds(now) + "\n";
    if (!resumed || file_size(paths.starts()) > most_starts / 2) {
        static_cast<void>(remove_file(paths.starts()));
    }
    static_cast<void>(append_file(paths.starts(), line));
}

std::vector<core::Hold> holds_beside(const Paths& paths, const std::optional<LiveView>& live,
                                     core::Instant now) {
    std::vector<core::Hold> holds;
    if (live) {
        holds = holds_of(read_remote_view(paths));
        add_quiet_workers(paths, *live, now, holds);
    } else if (const auto steering = read_steering_file(paths); steering && core::is_paused(*steering, now)) {
        holds.push_back({"paused", core::describe(*steering->pause), "ralph resume"});
    }
    add_deaths(paths, now, holds);
    return holds;
}

std::optional<core::Hold> hold_of_lock(const Paths& paths) {
    const auto supervisor = living_supervisor(paths);
    if (!path_exists(paths.queue_lock()) || supervisor) {
        return std::nullopt;
    }
    if (const auto owner = living_lock_owner(paths)) {
        return core::Hold{
            "queue_locked",
            fmt::format("process {} ({}) holds the queue's lock since {}; no run starts meanwhile",
                        owner->pid, core::printable(owner->label), core::printable(owner->started_at)),
            "ralph doctor"};
    }
    return core::Hold{"queue_lock_left", "the queue's lock was left by a process that is gone",
                      "ralph queue unlock"};
}

}  // namespace ralph::daemon
