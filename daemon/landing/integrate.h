// The integrate step: the work of finished tasks on the target branch. It may be killed at any instant, and
// is simply run again.
#pragma once

#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// One attempt to land the workspace's work on the target branch of the remote. 0 landed, 75 try again, 65 an
// operator must resolve it, 1 the step itself could not work.
[[nodiscard]] int run_integrate_step(const StepContext& context);

}  // namespace ralph::daemon
