// When a limit ends, as agents tell it to people: "try again at 1:44 PM", "resets 3pm", "try again in 2 hours
// 5 minutes", "Please try again in 1.5s", "limit reached|1767225600". There is no format for it; these are
// the forms that were seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/time.h"

namespace ralph::core {

// Nothing if the text tells none. A time of day is the next one from now on; what lies in the past, or more
// than 31 days ahead, is none.
[[nodiscard]] std::optional<Instant> reset_time(std::string_view text, Instant now, int utc_offset_minutes);

// The same for what is told in seconds since 1970.
[[nodiscard]] std::optional<Instant> reset_at(std::uint64_t seconds, Instant now);

}  // namespace ralph::core
