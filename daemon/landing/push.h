// Pushing a candidate, and what the remote says to it.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/landing/landing_run.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// Pushes HEAD of the integration workspace, which is the last of the landings, as a fast-forward of the
// target, if that is still the very commit that it was built on and judged on (a compare-and-swap): what was
// taken off the target meanwhile does not come back. The landings are noted before, and the target is fetched
// afterwards: no error text is trusted before it is known whether the push arrived. An error: that could not
// be found out.
[[nodiscard]] core::Result<core::landing::event::Pushed> push_candidate(
    const StepContext& context, IntegrationWorkspace& integration,
    const std::vector<IntegrationWorkspace::Landing>& landings);

}  // namespace ralph::daemon
