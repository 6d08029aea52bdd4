// What the parts of the integrate step share. Internal to landing.cpp and rebase.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "daemon/steps/git.h"
#include "daemon/steps/step_context.h"

namespace ralph::daemon {

// Recognises our own commits: at most 100 bytes, always the same for a task.
[[nodiscard]] std::string bookkeeping_subject(const StepContext& context);

// The first few paths, for a message.
[[nodiscard]] std::string named(const std::vector<std::string>& paths);

// What to do when the cause is mended, to end a sentence with.
[[nodiscard]] std::string retry_command(const StepContext& context);

// Nothing but queue and done file.
[[nodiscard]] bool are_bookkeeping_files(const StepContext& context, const std::vector<std::string>& paths);

// Puts the two files into index and working tree as `commit` has them; one that it has not is removed if it
// is tracked.
[[nodiscard]] core::Result<void> restore_bookkeeping_files(const StepContext& context, const Git& workspace,
                                                           const std::string& commit);

}  // namespace ralph::daemon
