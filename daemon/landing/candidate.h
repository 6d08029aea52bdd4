// Building a candidate in the integration workspace: one task's work on top of HEAD, and its bookkeeping.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/landing/partitions.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/landing/landing_commits.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

struct Addition {
    enum class Kind {
        added,     // HEAD is the candidate with the task
        conflict,  // with what others have put on top of the tip: HEAD is as it was
        stopped,   // the task ends, for a reason of its own: HEAD is as it was
    };
    Kind kind = Kind::added;
    Stop stop;  // of a stopped one
    // The files in which it conflicts with the tip, if that is the reason.
    std::vector<std::string> conflicts = {};
};

// What the work that was taken over last touches, as far as the settings ask for it.
[[nodiscard]] core::Result<core::Change> change_of(const StepContext& task,
                                                   const IntegrationWorkspace& integration);

// Puts the work that was taken over last on top of HEAD, archives the task in a commit of its own, and
// follows the worker's proposals for new tasks. A conflict in nothing but queue and done is none. A conflict
// with the tip itself stops the task.
[[nodiscard]] core::Result<Addition> add_to_candidate(const StepContext& task,
                                                      const IntegrationWorkspace& integration);

}  // namespace ralph::daemon
