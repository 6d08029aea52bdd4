#include "daemon/supervisor/cgroup_limits.h"

#include <fmt/format.h>

namespace ralph::daemon {
namespace {

constexpr std::uint64_t cpu_period = 100'000;  // microseconds, the kernel's own

}  // namespace

std::vector<CgroupLimit> cgroup_limits(const config::LimitSettings& settings) {
    std::vector<CgroupLimit> limits;
    if (settings.memory != 0) {
        limits.push_back({"limits.memory", "memory", "memory.max", std::to_string(settings.memory)});
    }
    if (settings.cpu_percent != 0) {
        limits.push_back({"limits.cpu", "cpu", "cpu.max",
                          fmt::format("{} {}", settings.cpu_percent * cpu_period / 100, cpu_period)});
    }
    if (settings.tasks != 0) {
        limits.push_back({"limits.tasks", "pids", "pids.max", std::to_string(settings.tasks)});
    }
    if (settings.io_weight != 0) {
        // Which of the two there is depends on the scheduler of the disk.
        for (const char* file : {"io.weight", "io.bfq.weight"}) {
            limits.push_back({"limits.io_weight", "io", file, fmt::format("default {}", settings.io_weight)});
        }
    }
    return limits;
}

}  // namespace ralph::daemon
