// One supervisor per repository, and the session that a crash does not end.
#pragma once

#include <optional>
#include <string>

#include "daemon/os/files.h"
#include "daemon/store/paths.h"
#include "daemon/store/queue_lock.h"

namespace ralph::daemon {

// A session is one `ralph run` as its user sees it: it begins with a start and ends when the queue is drained
// or the supervisor is told to end. A supervisor that starts after a crash goes on with the session, so that
// what was tried in it is not tried again. While a session lasts the lock file tells of it; the lock itself
// is the kernel's.
//
// There are two locks: one on the file, which also tells who holds it, and one on the folder of the
// repository's refs. The file lies in a cache folder that people remove; the second lock then still keeps a
// second supervisor out, also one in a linked working tree, which is the same repository.
class SupervisorLock {
  public:
    // `now` is RFC 3339. If another supervisor lives the error says which.
    [[nodiscard]] static Result<SupervisorLock> acquire(const Paths& paths, const std::string& now);

    // When the session began: now, or earlier if a crash interrupted it.
    [[nodiscard]] const std::string& session_started_at() const { return session_started_at_; }
    [[nodiscard]] bool resumed() const { return predecessor_.has_value(); }
    // The supervisor that held the lock before and ended without ending its session; certainly dead.
    [[nodiscard]] const std::optional<QueueLockOwner>& predecessor() const { return predecessor_; }

    [[nodiscard]] Result<void> end_session() const;

    // Whether somebody has taken the folder with the lock file, the state and the run directories away.
    [[nodiscard]] bool state_folder_is_gone() const { return memory_.is_gone(); }

  private:
    SupervisorLock(FileLock repository, DirectoryHandle memory, FileLock lock, std::string session_started_at,
                   std::optional<QueueLockOwner> predecessor)
        : repository_(std::move(repository)),
          memory_(std::move(memory)),
          lock_(std::move(lock)),
          session_started_at_(std::move(session_started_at)),
          predecessor_(std::move(predecessor)) {}
    FileLock repository_;
    DirectoryHandle memory_;
    FileLock lock_;
    std::string session_started_at_;
    std::optional<QueueLockOwner> predecessor_;
};

// Who holds the supervisor's lock now, for messages; nothing if nobody does. Asking takes no lock, so that it
// cannot be in the way of a supervisor that starts.
[[nodiscard]] std::optional<QueueLockOwner> living_supervisor(const Paths& paths);

}  // namespace ralph::daemon
