// The prepare step: a workspace for the worker. It may be killed at any instant, and is simply run again.
#pragma once

#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// Makes <workspace_root>/<task>: a clone whose branch is the target branch as the remote has it, with what
// earlier attempts left on top (restore.h) and the ignored files that the worker needs. 0 ready, 10 the
// target branch already holds the task, 1 otherwise.
[[nodiscard]] int run_prepare_step(const StepContext& context);

}  // namespace ralph::daemon
