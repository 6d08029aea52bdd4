// Locks of git that outlive a kill and can be told from anybody else's.
//
// git's own lock is a file beside what it protects ("index.lock"), made with O_EXCL. One that a killed git
// leaves looks like that of a living one, so nobody may ever remove it. Ours is therefore a second name
// (a hard link) of a file of ours beside git's, its mark, whose name says which lock it is for: a lock that
// is the same file as its mark is ours, any other is not. To git it is a lock like its own.
//
// Whoever takes one, or clears what the dead left, holds the repository's lock of ralph (repository.lock), so
// that at most one process at a time has such locks.
#pragma once

#include <optional>
#include <string>

#include "core/base/error.h"
#include "daemon/git/git.h"

namespace ralph::daemon {

// Where a checkout's git keeps its things; the two differ only in a linked working tree.
struct GitFolders {
    std::string own;     // HEAD, index
    std::string common;  // refs, objects
};

[[nodiscard]] core::Result<GitFolders> find_git_folders(const Git& git);

// Removes the locks that a killed process of ours has left in the folder; anybody else's stay.
[[nodiscard]] core::Result<void> clear_stale_locks(const std::string& folder);
[[nodiscard]] bool has_stale_locks(const std::string& folder);

class GitLock {
  public:
    // For `name` in the folder, "index" or a ref; nothing if somebody else holds it.
    [[nodiscard]] static core::Result<std::optional<GitLock>> take(const std::string& folder,
                                                                   const std::string& name,
                                                                   std::string_view content);
    GitLock(GitLock&& other) noexcept;
    GitLock& operator=(GitLock&&) = delete;
    GitLock(const GitLock&) = delete;
    GitLock& operator=(const GitLock&) = delete;
    ~GitLock();  // lets go

    // The content becomes that of the file which is protected, as git does it; the lock is gone thereby.
    [[nodiscard]] core::Result<void> commit();

  private:
    GitLock(std::string target, std::string mark) : target_(std::move(target)), mark_(std::move(mark)) {}
    std::string target_;
    std::string mark_;  // empty: moved from
};

// What `git update-ref` does, but killed at any instant it leaves the ref as it was or as it shall be, and no
// lock that is not known as ours. Nothing happens if it is `to` already. `from` empty: whatever it was.
[[nodiscard]] core::Result<void> move_ref(const Git& git, const GitFolders& folders, const std::string& ref,
                                          const std::string& from, const std::string& to,
                                          const std::string& reason);

}  // namespace ralph::daemon
