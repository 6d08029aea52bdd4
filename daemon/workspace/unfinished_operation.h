// What git, or a worker, has begun in a workspace and not ended.
#pragma once

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// A rebase, merge, cherry-pick or revert that was begun and not ended.
[[nodiscard]] bool has_unfinished_operation(const Git& workspace);
// Forgets it, as if it had been ended. Files, index and HEAD stay; a reset must follow.
[[nodiscard]] core::Result<void> forget_unfinished_operation(const Git& workspace);

// Removes what a killed git left, and ends what the worker left unfinished; what could be somebody's work is
// kept first.
[[nodiscard]] core::Result<void> recover_workspace(const StepContext& context, const Git& workspace,
                                                   core::Outcome& outcome);

}  // namespace ralph::daemon
