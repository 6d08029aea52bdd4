// What the host has left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ralph::daemon {

// Nothing: it cannot be measured here.
struct HostMeasurement {
    std::optional<std::uint64_t> available_memory;  // bytes: MemAvailable of /proc/meminfo
    std::optional<std::uint64_t> free_disk;         // bytes for us, where `folder` is
    std::optional<double> memory_stall_percent;     // "full avg10" of /proc/pressure/memory
};

[[nodiscard]] HostMeasurement measure_host(const std::string& folder);

}  // namespace ralph::daemon
