// What a host has left.
#pragma once

#include <cstdint>
#include <optional>

namespace ralph::core {

// Nothing: it could not be measured.
struct HostState {
    std::optional<std::uint64_t> available_memory;  // bytes
    std::optional<std::uint64_t> free_disk;         // bytes, where the workspaces are
    std::optional<double> memory_stall_percent;     // of the last ten seconds, in which all waited for memory
};

}  // namespace ralph::core
