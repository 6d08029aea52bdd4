// Whether an agent may work now, as far as its account is concerned: several steps, of several repositories,
// ask the same file.
#pragma once

#include <optional>
#include <string>

#include "core/agents/account.h"
#include "core/agents/verdict.h"
#include "core/base/error.h"
#include "daemon/os/files.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

class AccountGate {
  public:
    AccountGate(std::string folder, std::string account)
        : folder_(std::move(folder)), account_(std::move(account)) {}

    // How the step ends if the account is paused, or if its time has come and another one tries; nothing: it
    // may work, and if it is the one that tries, nobody else does until it is answered or gone. To be asked
    // before each start of the agent.
    [[nodiscard]] core::Result<std::optional<Ending>> enter();

    // The model has answered, so that the account works.
    [[nodiscard]] core::Result<void> answered();

    // Pauses the account, and says how the step ends.
    [[nodiscard]] Ending pause(const core::Judgement& judgement) const;

  private:
    [[nodiscard]] Ending waits(std::string why) const;

    std::string folder_;
    std::string account_;
    std::optional<core::AccountPause> tried_;  // that is over, as it seems
    std::optional<FileLock> try_lock_;
};

}  // namespace ralph::daemon
