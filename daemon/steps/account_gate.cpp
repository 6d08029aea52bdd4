#include "daemon/steps/account_gate.h"

#include <fmt/format.h>

#include <utility>

#include "core/supervisor/transition.h"
#include "daemon/os/clock.h"
#include "daemon/os/random.h"
#include "daemon/store/accounts.h"

namespace ralph::daemon {

Ending AccountGate::waits(std::string why) const {
    Ending ending{static_cast<int>(core::exit_account_paused), {}};
    ending.outcome.summary = std::move(why);
    ending.outcome.paused_account = account_;
    return ending;
}

core::Result<std::optional<Ending>> AccountGate::enter() {
    TRY_ASSIGN(tried_, read_pause(folder_, account_));
    if (!tried_) {
        try_lock_.reset();
        return std::optional<Ending>{};
    }
    if (core::holds(*tried_, wall_clock())) {
        return std::optional(waits(core::describe(*tried_)));
    }
    if (try_lock_) {
        return std::optional<Ending>{};
    }
    // Where no lock can be made, trying is all that is left.
    auto lock = claim_try(folder_, account_);
    try_lock_ = lock ? std::move(*lock) : std::nullopt;
    return lock && !try_lock_
               ? std::optional(waits(fmt::format(
                     "another task is trying whether the limit of the account {} is over", account_)))
               : std::optional<Ending>{};
}

core::Result<void> AccountGate::answered() {
    if (tried_) {
        TRY(end_pause(folder_, *tried_));
        tried_.reset();
        try_lock_.reset();
    }
    return {};
}

Ending AccountGate::pause(const core::Judgement& judgement) const {
    const auto pause = pause_account(folder_, account_, judgement.verdict, judgement.message,
                                     judgement.resets_at, wall_clock(), random_fraction());
    if (!pause) {  // other tasks do not learn of it; this one waits all the same
        return waits(fmt::format("{}; {}", judgement.message, pause.error().line()));
    }
    return waits(core::describe(*pause) +
                 (pause->needs_person
                      ? fmt::format("; log in or set the key, then run `ralph account resume {}`", account_)
                      : std::string{}));
}

}  // namespace ralph::daemon
