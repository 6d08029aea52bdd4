// The accounts that are paused: one file each in a folder of the user's, shared by all repositories on the
// host. Steps write them, supervisors read them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/agents/account.h"
#include "daemon/os/files.h"

namespace ralph::daemon {

// $RALPH_ACCOUNTS, which steps have from their supervisor; else $XDG_STATE_HOME/ralph/accounts, or that below
// ~/.local/state; empty if neither variable is set.
[[nodiscard]] std::string users_accounts_folder();

// A file that cannot be understood is no pause: the next try finds out. What the disk does not give is
// an error.
[[nodiscard]] Result<std::optional<core::AccountPause>> read_pause(const std::string& folder,
                                                                   const std::string& account);
[[nodiscard]] Result<std::vector<core::AccountPause>> read_pauses(const std::string& folder);

// Pauses the account, durably, as core::next_pause says. `jitter` is from 0 to 1.
[[nodiscard]] Result<core::AccountPause> pause_account(const std::string& folder, const std::string& account,
                                                       core::Verdict verdict, const std::string& reason,
                                                       const std::optional<core::Instant>& resets_at,
                                                       core::Instant now, double jitter);

// Takes this very pause away, and no later one. Nothing if it is not there any more.
[[nodiscard]] Result<void> end_pause(const std::string& folder, const core::AccountPause& pause);

// Held by the one who tries whether a pause is over, for as long as that is not known. Nothing if somebody
// else does.
[[nodiscard]] Result<std::optional<FileLock>> claim_try(const std::string& folder,
                                                        const std::string& account);

}  // namespace ralph::daemon
