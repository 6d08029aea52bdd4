// The three built-in steps. Each is a short program of its own under the shim and returns its exit code; the
// table of what the codes mean is in core/transition.h. A step may be killed at any instant and is simply run
// again: it ends in the same place.
#pragma once

#include "daemon/steps/step_context.h"

namespace ralph::daemon {

// Makes <workspace_root>/<task>: a clone whose branch is the target branch as the remote has it, with what
// earlier attempts left on top (revival.h) and the ignored files that the worker needs. 0 ready, 10 the
// target branch already holds the task, 1 otherwise.
[[nodiscard]] int run_prepare_step(const StepContext& context);

// One attempt to land the workspace's work on the target branch of the remote. 0 landed, 75 try again, 65 an
// operator must resolve it, 1 the step itself could not work.
[[nodiscard]] int run_integrate_step(const StepContext& context);

// Removes the workspace after what is not on the remote has been kept as refs of the repository. 0 gone, 1
// otherwise.
[[nodiscard]] int run_discard_step(const StepContext& context);

}  // namespace ralph::daemon
