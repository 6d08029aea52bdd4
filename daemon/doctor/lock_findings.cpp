// The supervisor's lock and the directory lock that is shared with the Rust tools.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>

#include "core/base/shown_text.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/os/identity.h"
#include "daemon/store/holds.h"
#include "daemon/store/live_view.h"

namespace ralph::daemon {
namespace {

// A lock directory of the Rust tools is without its owner file for an instant.
constexpr std::chrono::minutes instant_at_most{1};

bool is_dead(int pid) {
    return !process_exists(pid);
}

std::optional<QueueLockOwner> owner_in(const std::string& path) {
    const auto text = read_file(path, 1ULL << 16);
    return text && *text ? parse_queue_lock_owner(**text) : std::nullopt;
}

// The stale lock is cleared by taking it as a start would, and letting it go.
Result<std::string> clear_by_taking(const Paths& paths, core::Instant now) {
    const auto lock =
        QueueLock::acquire(paths, "doctor", core::format_rfc3339(now), owner_in(paths.supervisor_lock()));
    return lock ? Result<std::string>{boost::system::in_place_value, "the lock is free"}
                : Result<std::string>{lock.error()};
}

Result<std::string> remove_if_empty(const std::string& directory) {
    if (::rmdir(directory.c_str()) != 0) {
        return system_error("remove", directory, errno);
    }
    return {boost::system::in_place_value, directory + " was removed"};
}

void check_ownerless(Diagnosis& diagnosis) {
    const std::string directory = diagnosis.paths.queue_lock();
    struct stat info {};
    const auto names = list_directory(directory);
    const bool is_empty = names && names->empty();
    const bool is_old =
        ::lstat(directory.c_str(), &info) == 0 &&
        core::Instant{std::chrono::seconds{info.st_mtim.tv_sec}} < diagnosis.now - instant_at_most;
    Finding finding{"queue_lock_ownerless",
                    Severity::wrong,
                    "The queue lock says of nobody that he holds it",
                    directory,
                    "Its owner file is missing or cannot be read, as a crash at the wrong instant leaves it. "
                    "Nobody may clear it by himself, so no run starts and no task can be added.",
                    "if no ralph runs in this repository, remove that folder",
                    "",
                    nullptr};
    if (is_empty && is_old) {
        finding.advice = "run `ralph doctor --fix`";
        finding.remedy = "removes the folder, which is empty and older than a minute";
        finding.fix = [directory] { return remove_if_empty(directory); };
    }
    diagnosis.add(std::move(finding));
}

void check_queue_lock(Diagnosis& diagnosis) {
    const Paths& paths = diagnosis.paths;
    if (!path_exists(paths.queue_lock())) {
        return;
    }
    const auto owner = owner_in(paths.queue_lock() + "/owner");
    if (!owner) {
        check_ownerless(diagnosis);
        return;
    }
    if (diagnosis.supervisor && diagnosis.supervisor->pid == owner->pid) {
        return;  // told with the supervisor
    }
    const auto crashed = owner_in(paths.supervisor_lock());
    const bool is_crashed_supervisor = !diagnosis.supervisor && crashed && crashed->pid == owner->pid &&
                                       crashed->started_at == owner->started_at;
    if (!is_dead(owner->pid) && !is_crashed_supervisor) {
        diagnosis.add({"queue_lock_held", Severity::notice, "The queue is locked", paths.queue_lock(),
                       fmt::format("Process {} ({}) holds it since {}. `ralph run` does not start meanwhile.",
                                   owner->pid, owner->label, owner->started_at),
                       "wait for it to end", "", nullptr});
        return;
    }
    diagnosis.add(
        {"queue_lock_stale", Severity::notice, "A queue lock was left by a process that is gone",
         paths.queue_lock(),
         fmt::format("Process {} ({}) took it at {} and did not end properly. The next start clears it.",
                     owner->pid, owner->label, owner->started_at),
         "nothing", "clears it now", [paths, now = diagnosis.now] { return clear_by_taking(paths, now); }});
}

void check_staging(Diagnosis& diagnosis) {
    const std::string cache = diagnosis.paths.cache();
    const auto names = list_directory(cache);
    constexpr std::string_view prefix = "queue-lock.";
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        int pid = 0;
        const char* const end = name.data() + name.size();
        const bool ours = name.rfind(prefix, 0) == 0 &&
                          std::from_chars(name.data() + prefix.size(), end, pid).ptr == end && pid > 0;
        if (!ours || !is_dead(pid)) {
            continue;
        }
        diagnosis.add({"queue_lock_staging", Severity::notice, "A half-made queue lock was left",
                       cache + "/" + name,
                       "The process that was taking or freeing the lock is gone. The next one clears it.",
                       "nothing", "removes it", [cache, name]() -> Result<std::string> {
                           auto removed = remove_tree(cache, name);
                           return removed ? Result<std::string>{boost::system::in_place_value, "removed"}
                                          : Result<std::string>{removed.error()};
                       }});
    }
}

// What it says itself: status says the same. A queue or an account is found elsewhere.
void check_holds(Diagnosis& diagnosis) {
    const auto view = diagnosis.supervisor ? read_live_view(diagnosis.paths) : std::nullopt;
    auto holds = holds_beside(diagnosis.paths, view, diagnosis.now);
    if (view) {
        holds.insert(holds.begin(), view->holds.begin(), view->holds.end());
    }
    for (const core::Hold& hold : holds) {
        if (hold.kind == "queue_unreadable" || hold.kind == "account_paused") {
            continue;
        }
        const bool is_wanted = hold.kind == "paused";
        diagnosis.add({hold.kind, is_wanted ? Severity::notice : Severity::wrong,
                       "The supervisor that runs here is held up", diagnosis.paths.live_view(),
                       core::printable(hold.reason),
                       hold.next.empty() ? std::string("it goes on by itself once that is over")
                                         : fmt::format("see `{}`", hold.next),
                       "", nullptr});
    }
}

}  // namespace

void check_locks(Diagnosis& diagnosis) {
    if (diagnosis.supervisor) {
        diagnosis.add({"supervisor_lives", Severity::notice, "A supervisor runs here",
                       diagnosis.paths.supervisor_lock(),
                       fmt::format("Process {}, since {}. While it runs nothing is fixed.",
                                   diagnosis.supervisor->pid, diagnosis.supervisor->started_at),
                       "nothing; `ralph queue stop` asks it to finish", "", nullptr});
    }
    check_holds(diagnosis);
    check_queue_lock(diagnosis);
    check_staging(diagnosis);
}

}  // namespace ralph::daemon
