// What a person asks of all tasks until it is taken back: to pause, and how many workers there are. It is
// kept on disk, and outlives the supervisor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"

namespace ralph::core {

inline constexpr std::uint32_t most_workers = 255;

struct Pause {
    Instant since;
    std::optional<Instant> until;  // of the wall clock; nothing: until somebody ends it
    std::string note;              // why, one line; may be empty

    bool operator==(const Pause&) const = default;
};

struct Steering {
    std::optional<Pause> pause;            // no worker starts; what runs goes on, and lands
    std::optional<std::uint32_t> workers;  // instead of the setting's number

    bool operator==(const Steering&) const = default;
};

// Whether the pause still forbids every start.
[[nodiscard]] bool is_paused(const Steering& steering, Instant now);

// "paused until 2026-11-28T14:00:00Z: the host is updated"
[[nodiscard]] std::string describe(const Pause& pause);

[[nodiscard]] std::string steering_text(const Steering& steering);
[[nodiscard]] Result<Steering> read_steering(const JsonDocument& document);

}  // namespace ralph::core
