// The user's own checkout: it follows what landed, and a kill or a full disk on the way is fixed.
#pragma once

#include <string>

#include "daemon/os/files.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct CheckoutEnd {
    std::string note;        // why it was left alone, or is half-way; empty if all is well
    bool try_again = false;  // it is half-way because of a fault that may pass, as a full disk does
};

// Fast-forwards the repository's checkout to origin/<branch> if that is its current branch, nothing is
// staged, and no file is changed that would have to be. Never switches the branch, never loses a change of
// the user's, and fixes first what an earlier move left. No hooks are run.
[[nodiscard]] CheckoutEnd bring_checkout_forward(const Settings& settings, const std::string& branch);

// Brings the repository's refs/remotes/origin/<branch> up to date; killed, it leaves no lock of git that is
// in anybody's way.
[[nodiscard]] Result<void> fetch_into_repository(const Settings& settings, const std::string& branch);

// The same under the repository's lock of ralph, which the caller holds; returns what the branch is now.
[[nodiscard]] Result<std::string> fetch_target(const Settings& settings, const std::string& branch,
                                               const FileLock& lock, core::Milliseconds patience);

// Ends a move of the checkout that was broken off; does nothing, and asks for no lock, if none was. With
// Wait::no, it is left to whoever holds the repository's lock.
[[nodiscard]] CheckoutEnd fix_checkout(const Settings& settings, FileLock::Wait wait);

}  // namespace ralph::daemon
