// How the integrate step ends for a task; what the codes mean is in core/supervisor/transition.h.
#pragma once

#include <optional>
#include <string>

#include "daemon/git/git.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// How the step ends early; nothing means that it goes on.
using Stop = std::optional<Ending>;

// Exit 65: an operator must resolve it. Exit 66: the same, but the worker may be able to fix it. Exit 67:
// the worker left nothing to land. Exit 69: a bad minute of the host or the remote. Exit 75: the target was
// in the way, try again.
[[nodiscard]] Ending blocked(std::string summary);
[[nodiscard]] Ending fixable(std::string summary);
[[nodiscard]] Ending nothing_to_land(std::string summary);
[[nodiscard]] Ending unavailable(std::string summary);
[[nodiscard]] Ending try_again(std::string summary);

// The target's done file holds the task, by somebody else's doing: "RQ-0001 is done on origin/main by commit
// ...", with what is to be told of the work here.
[[nodiscard]] Ending landed_elsewhere(const StepContext& context, const Git& git, const std::string& tip);

}  // namespace ralph::daemon
