#include "daemon/store/supervisor_lock.h"

#include <fmt/format.h>

#include "core/base/time.h"
#include "core/queue/task.h"
#include "daemon/os/clock.h"
#include "daemon/os/identity.h"
#include "daemon/store/repository_folder.h"

namespace ralph::daemon {
namespace {

std::string read_content(const Paths& paths) {
    const auto text = read_file(paths.supervisor_lock(), 4096);
    return text && *text ? **text : std::string{};
}

// The value of "session_started_at: ..." if it is a time; the content may be torn.
std::optional<std::string> session_in(std::string_view content) {
    static constexpr std::string_view key = "session_started_at: ";
    const std::size_t at = content.find(key);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view rest = content.substr(at + key.size());
    const std::string text(core::trimmed(rest.substr(0, rest.find('\n'))));
    return core::parse_rfc3339(text) ? std::optional(text) : std::nullopt;
}

// On record; nobody, if the record is missing or torn.
bool holder_is_alive(const Paths& paths) {
    const auto owner = parse_queue_lock_owner(read_content(paths));
    return owner && process_exists(owner->pid);
}

// A `retry` or a `doctor --fix`, which hold the lock without showing it.
bool is_no_supervisor(const Paths& paths) {
    const auto shown = is_locked(paths.supervisor_lock());
    return shown && !*shown;
}

struct BothLocks {
    FileLock repository;
    FileLock lock;
};

Result<std::optional<BothLocks>> acquire_both(const Paths& paths) {
    auto repository = FileLock::acquire_existing(common_git_folder(paths.root));
    if (!repository || !*repository) {
        return repository ? Result<std::optional<BothLocks>>{std::nullopt} : repository.error();
    }
    auto lock = FileLock::acquire(paths.supervisor_lock(), FileLock::Wait::no);
    if (!lock || !*lock) {
        return lock ? Result<std::optional<BothLocks>>{std::nullopt} : lock.error();
    }
    return std::optional(BothLocks{std::move(**repository), std::move(**lock)});
}

// A supervisor that was killed while it started a child leaves the locks to that child until it executes its
// program, some milliseconds later; a command that changes the state holds it for a moment. The
// kernel offers no wait for a lock with an end, so it is asked again a few times, and only when no living
// supervisor holds them.
Result<std::optional<BothLocks>> acquire_patiently(const Paths& paths) {
    constexpr int tries = 100;
    constexpr std::chrono::milliseconds pause{20};
    auto locks = acquire_both(paths);
    for (int i = 0; i < tries && locks && !*locks && (!holder_is_alive(paths) || is_no_supervisor(paths));
         ++i) {
        pause_for(pause);
        locks = acquire_both(paths);
    }
    return locks;
}

}  // namespace

Result<SupervisorLock> SupervisorLock::acquire(const Paths& paths, const std::string& now) {
    TRY_ASSIGN(auto locks, acquire_patiently(paths));
    if (!locks) {
        const auto owner = parse_queue_lock_owner(read_content(paths));
        return Error{
            owner ? fmt::format("another ralph supervises {}: pid {}, since {}", paths.root, owner->pid,
                                owner->started_at)
                  : fmt::format("another ralph supervises {}, or another working tree of its repository {}",
                                paths.root, common_git_folder(paths.root)),
            "look at it with `ralph run parallel status`, or ask it to finish with `ralph queue stop`"};
    }
    TRY(locks->lock.show());
    TRY_ASSIGN(auto memory, DirectoryHandle::open(paths.parallel()));
    const std::string content = read_content(paths);
    auto predecessor = parse_queue_lock_owner(content);
    if (!predecessor && !core::trimmed(content).empty()) {
        predecessor = QueueLockOwner{};  // there was one, but its record is torn
    }
    // Of a session whose beginning cannot be read all records are taken to be part.
    const std::string session =
        predecessor ? session_in(content).value_or(core::format_rfc3339(core::Instant{})) : now;
    TRY(locks->lock.write(fmt::format("pid: {}\nstarted_at: {}\nlabel: run loop\nsession_started_at: {}\n",
                                      own_pid(), now, session)));
    return SupervisorLock(std::move(locks->repository), std::move(memory), std::move(locks->lock), session,
                          std::move(predecessor));
}

Result<void> SupervisorLock::end_session() const {
    return lock_.write("");
}

std::optional<QueueLockOwner> living_supervisor(const Paths& paths) {
    const auto held = is_locked(paths.supervisor_lock());
    if (!held || !*held) {
        return std::nullopt;
    }
    return parse_queue_lock_owner(read_content(paths)).value_or(QueueLockOwner{});
}

}  // namespace ralph::daemon
