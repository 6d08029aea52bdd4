// One move of the checkout from a commit to a later one, such that it can be killed at any instant.
//
//   1. The marker checkout.json, durable: branch, from, to.
//   2. git's index.lock, as a lock that is known as ours (git_lock.h): no other git works in the checkout.
//   3. `git read-tree -m -u FROM TO` on a copy of the index, so that the lock which that git takes, and may
//      leave behind, is nobody's but ours. It changes only files of which the index says that they are as
//      FROM has them, and refuses before it changes any if it cannot change all. All is synced.
//   4. The branch, by move_ref(); then the copy becomes the index by a rename: the point of no return.
//   5. The lock is let go, then the marker is removed.
//
// Whoever finds the marker does the same again, after having looked at each file that differs between the two
// commits: one as TO has it is entered into the copy of the index as such; one that is a beginning of what TO
// has was torn by the kill, and is removed; one as FROM has it is left to git. Any other is the user's, and
// nothing more is changed.
//
// The gits that change something hold the repository's lock of ralph, too: one that outlives our own death is
// waited for.
#pragma once

#include <optional>
#include <string>

#include "daemon/git/checkout.h"
#include "daemon/git/git.h"

namespace ralph::daemon {

struct Move {
    std::string branch;
    std::string from;
    std::string to;
};

[[nodiscard]] Result<std::optional<Move>> read_move(const Paths& paths);

// The lock is the repository's lock of ralph.
[[nodiscard]] CheckoutEnd begin_move(const Settings& settings, const FileLock& lock, const Move& move);
[[nodiscard]] CheckoutEnd end_move(const Settings& settings, const FileLock& lock, const Move& move);

}  // namespace ralph::daemon
