// Nothing that a worker made is left behind.
#pragma once

#include <string>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/landing/endings.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// Whether HEAD is all that the worker made. Commits on another branch, and commits of a repository within the
// workspace that exist nowhere else, would be left behind when the workspace is removed: an operator has to
// decide. `integration` holds the work and the target as refs.
[[nodiscard]] core::Result<Stop> check_completeness(const StepContext& context, const Git& workspace,
                                                    const Git& integration, const std::string& work);

}  // namespace ralph::daemon
