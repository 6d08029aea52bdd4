// The only clocks of the product. The simulation replaces clock.cpp by one of its own.
#pragma once

#include <chrono>

#include "core/base/time.h"

namespace ralph::daemon {

// What people call the time. It may jump in either direction.
[[nodiscard]] core::Instant wall_clock();

// How far the host's time of day is ahead of UTC then.
[[nodiscard]] int utc_offset_minutes(core::Instant now);

// For pauses and durations: begins anywhere, and nobody sets it.
[[nodiscard]] core::Instant monotonic_clock();

[[nodiscard]] inline core::Moment present_moment() {
    return {monotonic_clock(), wall_clock()};
}

// Blocks the calling thread. For the rare waits for which the kernel offers no event.
void pause_for(std::chrono::milliseconds time);

}  // namespace ralph::daemon
