// The two clocks of a shim.
#pragma once

#include <string>

namespace ralph::shim {

// Milliseconds since the boot, suspended time included: what deadlines are measured with.
[[nodiscard]] long long now_ms();

// Now, in UTC with nanoseconds: "2026-02-20T00:00:00.000000000Z".
[[nodiscard]] std::string wall_clock();

}  // namespace ralph::shim
