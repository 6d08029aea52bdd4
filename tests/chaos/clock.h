// The clock of the ledger and of the log of faults: one for all processes, never set back.
#pragma once

#include <cstdint>
#include <ctime>

namespace ralph::chaos {

using Nanoseconds = std::int64_t;

inline constexpr Nanoseconds millisecond = 1'000'000;

[[nodiscard]] inline Nanoseconds boot_clock() {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace ralph::chaos
