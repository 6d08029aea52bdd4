// Measures what the host has left.
#pragma once

#include <string>

#include "core/base/host_state.h"

namespace ralph::daemon {

// Memory from MemAvailable of /proc/meminfo, disk where `folder` is, stalls from "full avg10" of
// /proc/pressure/memory.
[[nodiscard]] core::HostState measure_host(const std::string& folder);

}  // namespace ralph::daemon
