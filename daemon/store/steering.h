// steering.json: what a person asks of all tasks until it is taken back (core/supervisor/steering.h). It
// holds whether a supervisor runs or not, and over every restart.
#pragma once

#include <functional>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/supervisor/steering.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Empty if there is none.
[[nodiscard]] core::Result<core::Steering> read_steering_file(const Paths& paths);

// Durable when it returns. What cannot be understood is replaced, and is a pause until `change` ends that.
[[nodiscard]] core::Result<void> steer(const Paths& paths,
                                       const std::function<void(core::Steering&)>& change);

}  // namespace ralph::daemon
