// The parts of the integrate step that change the workspace's commits. Each does nothing if it was done
// before.
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

// Exit 65: an operator must resolve it. Exit 75: the world was in the way, try again.
[[nodiscard]] Ending blocked(std::string summary);
[[nodiscard]] Ending try_again(std::string summary);

// Ends what a killed git, rebase or gate of an earlier run left, and what the worker left unfinished; what
// could be somebody's work is kept first.
[[nodiscard]] core::Result<void> recover_workspace(const StepContext& context, const Git& workspace,
                                                   core::Outcome& outcome);

// One commit of everything that the worker left uncommitted, except queue and done.
// Whether HEAD is all that the worker made. Commits on another branch, and commits of a repository within the
// workspace that exist nowhere else, would be left behind when the workspace is removed: an operator has to
// decide.
[[nodiscard]] core::Result<Stop> check_completeness(const StepContext& context, const Git& workspace);

[[nodiscard]] core::Result<Stop> commit_work(const StepContext& context, const Git& workspace);

// Takes back the bookkeeping commit of an earlier attempt, then puts the work on top of origin/<branch>.
// After a conflict the workspace is as it was.
[[nodiscard]] core::Result<Stop> rebase_work(const StepContext& context, const Git& workspace);

// Archives the task, and commits that if queue and done are tracked.
[[nodiscard]] core::Result<Stop> commit_bookkeeping(const StepContext& context, const Git& workspace,
                                                    Bookkeeping bookkeeping);

// Runs the gate in the workspace, on HEAD; a red one again as often as gate.retries says, before the task is
// blamed. What it leaves in the working tree, and in the background, is removed again.
[[nodiscard]] core::Result<Stop> pass_gate(const StepContext& context, const Git& workspace,
                                           const std::string& base, core::Outcome& outcome);

}  // namespace ralph::daemon
