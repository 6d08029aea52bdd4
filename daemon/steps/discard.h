// The discard step: the workspace goes. It may be killed at any instant, and is simply run again.
#pragma once

#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// Removes the workspace after what is not on the remote has been kept as refs of the repository. 0 gone, 1
// otherwise.
[[nodiscard]] int run_discard_step(const StepContext& context);

}  // namespace ralph::daemon
