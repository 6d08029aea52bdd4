// Looks whether a candidate takes back what another task has landed since its worker began
// (core/queue/undo.h).
#pragma once

#include <optional>
#include <string>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

struct Undone {
    std::string commit;   // that landed
    std::string subject;  // its first line
    std::string path;     // where it is taken back
};

// HEAD is the task's work on top of `below`. `begin`: the commit that its worker began at; what has come onto
// the line of `below` since then is what it may not take back. Queue and done file do not count, nor does a
// commit of which a message of the work, or the task's own text, says that it is to be reverted. Nothing
// where the settings allow all of that. Large differences are judged by whole files alone.
[[nodiscard]] core::Result<std::optional<Undone>> find_undone(const StepContext& task, const Git& git,
                                                              const std::string& begin,
                                                              const std::string& below);

}  // namespace ralph::daemon
