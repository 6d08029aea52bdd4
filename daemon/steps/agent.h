// The work and the remediate step of agents: which phases are done, which is next, and what their end comes
// to.
#pragma once

#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// 0: the work is done, as the agent says; whether it lands is decided later. 72: the account is paused,
// nothing counts. Else it failed, or a marker in the workspace says why the task is blocked. Killed at any
// instant it is run again, and goes on with the phase and the session that agent.json tells.
[[nodiscard]] int run_agent_step(const StepContext& context);

}  // namespace ralph::daemon
