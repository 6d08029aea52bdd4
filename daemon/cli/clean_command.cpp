// clean: what is old enough to go, for disk.
#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "core/queue/queue_validation.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

struct OldLog {
    std::string path;
    std::uint64_t bytes = 0;
};

// "RQ-0001" of "RQ-0001.log" and "RQ-0001.log.1"; empty of any other file.
std::string task_of_log(std::string_view name) {
    for (const std::string_view suffix : {std::string_view(".log"), std::string_view(".log.1")}) {
        if (name.ends_with(suffix) && core::is_safe_task_id(name.substr(0, name.size() - suffix.size()))) {
            return std::string(name.substr(0, name.size() - suffix.size()));
        }
    }
    return {};
}

// Of tasks that no record and no queue knows any more, and not written to for as long as kept work is kept.
Result<std::vector<OldLog>> old_logs(const Settings& settings, core::Instant now) {
    std::set<std::string, std::less<>> known;
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    for (const core::WorkerRecord& record : state ? state->workers : std::vector<core::WorkerRecord>{}) {
        known.insert(record.task_id);
    }
    TRY_ASSIGN(const auto queue, open_queue(settings));
    for (const core::Task& task : queue.snapshot.queue.tasks) {
        known.insert(std::string(core::trimmed(task.id)));
    }
    TRY_ASSIGN(const auto names, list_directory(settings.paths.logs()));
    std::vector<OldLog> found;
    for (const std::string& name : names) {
        const std::string task_id = task_of_log(name);
        const std::string path = settings.paths.logs() + "/" + name;
        struct stat info {};
        if (task_id.empty() || known.count(task_id) != 0 || ::lstat(path.c_str(), &info) != 0 ||
            !S_ISREG(info.st_mode)) {
            continue;
        }
        const core::Instant written{std::chrono::seconds{info.st_mtim.tv_sec}};
        if (now - written > settings.supervisor.kept_work_retention) {
            found.push_back({path, static_cast<std::uint64_t>(info.st_size)});
        }
    }
    return found;
}

}  // namespace

int clean(const CommonArguments& common, bool dry_run) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto logs = old_logs(*settings, wall_clock());
    if (!logs) {
        return report_error(logs.error());
    }
    std::string text;
    std::uint64_t bytes = 0;
    for (const OldLog& log : *logs) {
        if (const auto removed = dry_run ? Result<void>{} : remove_file(log.path); !removed) {
            return report_error(removed.error());
        }
        text += fmt::format("{} {}\n", dry_run ? "would remove" : "removed", log.path);
        bytes += log.bytes;
    }
    if (!logs->empty()) {
        text += fmt::format("{} of logs\n", bytes < 10'240 ? fmt::format("{} bytes", bytes)
                                                           : fmt::format("{} KiB", bytes >> 10U));
    }
    if (const int printed = print(text); printed != 0) {
        return printed;
    }
    KeptPruneArguments kept;
    kept.dry_run = dry_run;
    return kept_prune(common, kept);
}

}  // namespace ralph::daemon
