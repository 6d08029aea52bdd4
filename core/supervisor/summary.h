// The supervisor in one line, for those who look at it from outside.
#pragma once

#include <string>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// "4 running, 1 integrating, 12 queued; merge queue 3": runs of prepare and work, runs that land, tasks that
// may still be selected, and finished work that waits to land.
[[nodiscard]] std::string summary(const Supervisor& supervisor);

}  // namespace ralph::core
