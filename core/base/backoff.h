// How long to wait between attempts to integrate (contract section 9).
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/time.h"

namespace ralph::core {

// The pause after failed attempt number `attempt` (from 1): schedule[attempt - 1], the last value repeats, an
// empty schedule means no pause.
[[nodiscard]] inline Milliseconds backoff_after(std::uint32_t attempt,
                                                const std::vector<Milliseconds>& schedule) {
    if (schedule.empty() || attempt == 0) {
        return Milliseconds{0};
    }
    return attempt <= schedule.size() ? schedule[attempt - 1] : schedule.back();
}

}  // namespace ralph::core
