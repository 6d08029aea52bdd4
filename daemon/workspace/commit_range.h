// The commits of a workspace that are the worker's own, and those of ours on top of them, which archive the
// task in queue and done file and can be made again at any time.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/os/program.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// Recognises our own commits: at most 100 bytes, always the same for a task.
[[nodiscard]] std::string bookkeeping_subject(const StepContext& context);

// Nothing but queue and done file.
[[nodiscard]] bool are_bookkeeping_files(const StepContext& context, const std::vector<std::string>& paths);

// Puts the two files into index and working tree as `commit` has them; one that it has not is removed if it
// is tracked.
[[nodiscard]] core::Result<void> restore_bookkeeping_files(const StepContext& context, const Git& workspace,
                                                           const std::string& commit);

// Whether the commit is one of ours that touches nothing but queue and done.
[[nodiscard]] core::Result<bool> is_our_bookkeeping(const StepContext& context, const Git& git,
                                                    const std::string& commit);

// After which commit the worker's own work begins: after the base that it was given, if the target has lost
// that base meanwhile (somebody removed commits by force, and they must not come back with the work); else
// after the target.
[[nodiscard]] core::Result<std::string> begin_of_work(const StepContext& context, const Git& git,
                                                      const std::string& work, const std::string& target);

// Takes back commits of ours at HEAD that touch nothing but queue and done, as an earlier attempt left them.
[[nodiscard]] core::Result<void> take_back_bookkeeping(const StepContext& context, const Git& workspace);

// Runs the rebase of what comes after `begin`. A conflict in nothing but queue and done is no conflict, since
// the bookkeeping that follows takes both from the target anyway.
[[nodiscard]] core::Result<ProgramEnd> rebase_onto(const StepContext& context, const Git& workspace,
                                                   const std::string& target, const std::string& begin);

}  // namespace ralph::daemon
