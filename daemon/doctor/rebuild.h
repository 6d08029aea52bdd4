// The state made anew from the run directories.
#pragma once

#include <string>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/supervisor/state.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// A state made from what the run directories tell, when both generations are lost: tasks whose runs were not
// dealt with are in progress, as recovery takes them up again; the others end as their last run did.
[[nodiscard]] core::Result<core::ParallelState> rebuild_state(const Settings& settings,
                                                              const std::string& branch, core::Instant now);

}  // namespace ralph::daemon
