// Instants and RFC 3339 text. Instants are nanoseconds of UTC since the epoch; they come in as arguments,
// since core reads no clock.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace ralph::core {

using Instant = std::chrono::sys_time<std::chrono::nanoseconds>;
using Milliseconds = std::chrono::milliseconds;

// One moment on the two clocks there are. Pauses and durations are measured on the monotonic one, which
// nobody sets; `wall` is what people call the time, and may jump in either direction.
struct Moment {
    Instant monotonic;
    Instant wall;
};

struct Timestamp {
    Instant instant;         // saturated at the ends of what 64 bits of nanoseconds can hold (1678 to 2261)
    int offset_minutes = 0;  // as written; 0 for "Z" and "+00:00"
};

// RFC 3339 date-time: "2026-02-20T12:30:00.25+01:00". Lower-case t and z and a space for T are accepted, as
// RFC 3339 section 5.6 allows; a leap second 60 is read as 59.
[[nodiscard]] Result<Timestamp> parse_rfc3339(std::string_view text);

// Always UTC with nine fractional digits and Z: "2026-02-20T00:00:00.000000000Z".
[[nodiscard]] std::string format_rfc3339(Instant instant);
// The same without the part of a second, for people.
[[nodiscard]] std::string format_rfc3339_seconds(Instant instant);

// "250ms", "90s", "15m", "2h" or "7d", and "0". Anything else is an error that says so.
[[nodiscard]] Result<Milliseconds> parse_duration(std::string_view text);

// The shortest exact form that parse_duration reads back.
[[nodiscard]] std::string format_duration(Milliseconds duration);

}  // namespace ralph::core
