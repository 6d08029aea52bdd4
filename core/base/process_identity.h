// Who a process is.
#pragma once

#include <cstdint>
#include <string>

namespace ralph::core {

// Proves that a process is the one that was recorded: a pid means nothing without the other two.
struct ProcessIdentity {
    std::int32_t pid = 0;
    std::uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
    std::string boot_id;            // /proc/sys/kernel/random/boot_id

    bool operator==(const ProcessIdentity&) const = default;
};

}  // namespace ralph::core
