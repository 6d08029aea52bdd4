// Pushing a candidate, and what the remote says to it.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

struct PushEnd {
    enum class Kind {
        landed,       // the target holds the candidate
        refused,      // by the remote, once it had seen the candidate
        shut_out,     // by credentials or a hook on this side: anything else would be, too
        put_off,      // the target is another one now
        unavailable,  // a bad minute of the host or the remote
    };
    Kind kind = Kind::landed;
    std::string why = {};          // it has not landed
    bool answer_was_lost = false;  // it has landed all the same
};

// Pushes HEAD of the integration workspace, which is the last of the landings, as a fast-forward of the
// target, if that is still the very commit that it was built on and judged on (a compare-and-swap): what was
// taken off the target meanwhile does not come back. The landings are noted before, and the target is fetched
// afterwards: no error text is trusted before it is known whether the push arrived. An error: that could not
// be found out.
[[nodiscard]] core::Result<PushEnd> push_candidate(
    const StepContext& context, IntegrationWorkspace& integration,
    const std::vector<IntegrationWorkspace::Landing>& landings);

}  // namespace ralph::daemon
