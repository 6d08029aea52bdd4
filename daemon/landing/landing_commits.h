// The commits that the integrate step makes. Each is made once, however often it is asked for.
#pragma once

#include <optional>
#include <string>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/landing/endings.h"
#include "daemon/workspace/bookkeeping.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// One commit of everything that the worker left uncommitted, except queue and done.
[[nodiscard]] core::Result<Stop> commit_work(const StepContext& context, const Git& workspace);

// Archives the task in the bookkeeping of the commit `below`, and commits that on top of HEAD if queue and
// done are tracked; whatever the work has done to the two files is undone thereby.
[[nodiscard]] core::Result<Stop> commit_bookkeeping(const StepContext& context, const Git& git,
                                                    Bookkeeping bookkeeping, const std::string& below);

}  // namespace ralph::daemon
