// A paused account: its limit is reached, or it is refused. None of its agents starts before the pause ends;
// then one task tries alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/agents/preset.h"
#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"

namespace ralph::core {

struct AccountPause {
    std::string account;
    bool needs_person = false;  // unauthorized: until somebody acts
    std::string reason;         // one line, in the agent's words
    std::uint32_t tries = 0;    // how often a try since the last answer has met the limit again
    Instant since;
    Instant until;  // of the wall clock

    bool operator==(const AccountPause&) const = default;
};

// `before`: the pause that is on disk now, if there is one. Until the time that was told, never earlier; else
// 1, 2, 4 and so on to 60 minutes, a fifth more or less: `jitter` is from 0 to 1.
[[nodiscard]] AccountPause next_pause(const std::optional<AccountPause>& before, std::string account,
                                      Verdict verdict, std::string reason,
                                      const std::optional<Instant>& resets_at, Instant now, double jitter);

// The names under which a budget that is spent holds back all agents, as a paused account holds back its own.
inline constexpr std::string_view budget_of_run = "limits.run";
inline constexpr std::string_view budget_of_day = "limits.day";
[[nodiscard]] bool is_budget(std::string_view account);

// Whether the pause still forbids every start. A pause that begins in the future was written under another
// clock: it counts for nothing, and the next try tells.
[[nodiscard]] bool holds(const AccountPause& pause, Instant now);

// "the account claude is at its limit until 2026-11-28T14:00:00Z: usage limit reached"
[[nodiscard]] std::string describe(const AccountPause& pause);
// What is said when there is no pause of this name any more.
[[nodiscard]] std::string describe_end(std::string_view account);

[[nodiscard]] std::string account_pause_text(const AccountPause& pause);
[[nodiscard]] Result<AccountPause> read_account_pause(const JsonDocument& document);

}  // namespace ralph::core
