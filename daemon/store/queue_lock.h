// The directory lock that we share with the Rust tools (contract section 4).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/supervisor/run_record.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct QueueLockOwner {
    int pid = 0;
    std::string started_at;
    std::string command;
    std::string label;
};

// The owner file's text, or nothing where it has no pid.
[[nodiscard]] std::optional<QueueLockOwner> parse_queue_lock_owner(std::string_view text);

// Who holds the lock now, if that process lives.
[[nodiscard]] std::optional<QueueLockOwner> living_lock_owner(const Paths& paths);

// Holds .ralph/lock until it is destroyed. Only its own owner file is removed then, and the directory if it
// is empty.
class QueueLock {
  public:
    // Exclusive, with the given label. A lock whose owner is certainly dead is cleared; so is one of
    // `predecessor`, the supervisor that this process follows and that is known to be gone. Everything else
    // is held, and the error (it begins with "Queue lock already held at:") says by whom.
    [[nodiscard]] static Result<QueueLock> acquire(const Paths& paths, const std::string& label,
                                                   const std::string& now,
                                                   const std::optional<QueueLockOwner>& predecessor);
    // As the Rust tools' `task` label: beside a living `run loop`, else alone.
    [[nodiscard]] static Result<QueueLock> acquire_shared(const Paths& paths, const std::string& now);

    QueueLock(QueueLock&& other) noexcept
        : cache_(std::exchange(other.cache_, {})),
          directory_(std::move(other.directory_)),
          owner_(std::move(other.owner_)) {}
    QueueLock& operator=(QueueLock&&) = delete;
    QueueLock(const QueueLock&) = delete;
    QueueLock& operator=(const QueueLock&) = delete;
    ~QueueLock();

  private:
    QueueLock(std::string cache, std::string directory, std::string owner)
        : cache_(std::move(cache)), directory_(std::move(directory)), owner_(std::move(owner)) {}
    std::string cache_;  // empty in a lock that was moved from
    std::string directory_;
    std::string owner_;
};

}  // namespace ralph::daemon
