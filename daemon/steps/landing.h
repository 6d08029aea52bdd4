// The parts of the integrate step that change commits. Each does nothing if it was done before.
#pragma once

#include <optional>
#include <string>

#include "core/error.h"
#include "daemon/steps/bookkeeping.h"
#include "daemon/steps/git.h"
#include "daemon/steps/step_context.h"

namespace ralph::daemon {

// How the step ends early; nothing means that it goes on.
using Stop = std::optional<Ending>;

// Exit 65: an operator must resolve it. Exit 66: the same, but the worker may be able to mend it. Exit 67:
// the worker left nothing to land. Exit 69: a bad minute of the host or the remote. Exit 75: the target was
// in the way, try again.
[[nodiscard]] Ending blocked(std::string summary);
[[nodiscard]] Ending mendable(std::string summary);
[[nodiscard]] Ending nothing_to_land(std::string summary);
[[nodiscard]] Ending unavailable(std::string summary);
[[nodiscard]] Ending try_again(std::string summary);

// The target's done file holds the task, by somebody else's doing: "RQ-0001 is done on origin/main by commit
// ...", with what is to be told of the work here.
[[nodiscard]] Ending landed_elsewhere(const StepContext& context, const Git& git, const std::string& tip);

// Removes what a killed git left, and ends what the worker left unfinished; what could be somebody's work is
// kept first.
[[nodiscard]] core::Result<void> recover_workspace(const StepContext& context, const Git& workspace,
                                                   core::Outcome& outcome);

// One commit of everything that the worker left uncommitted, except queue and done.
[[nodiscard]] core::Result<Stop> commit_work(const StepContext& context, const Git& workspace);

// Whether HEAD is all that the worker made. Commits on another branch, and commits of a repository within the
// workspace that exist nowhere else, would be left behind when the workspace is removed: an operator has to
// decide. `integration` holds the work and the target as refs.
[[nodiscard]] core::Result<Stop> check_completeness(const StepContext& context, const Git& workspace,
                                                    const Git& integration, const std::string& work);

// Archives the task in the bookkeeping of the commit `below`, and commits that on top of HEAD if queue and
// done are tracked; whatever the work has done to the two files is undone thereby.
[[nodiscard]] core::Result<Stop> commit_bookkeeping(const StepContext& context, const Git& git,
                                                    Bookkeeping bookkeeping, const std::string& below);

}  // namespace ralph::daemon
