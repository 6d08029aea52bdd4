// The limits of a worker, as the kernel takes them.
#pragma once

#include <string>
#include <vector>

#include "config/supervisor_config.h"

namespace ralph::daemon {

struct CgroupLimit {
    std::string setting;  // "limits.memory"
    std::string controller;
    std::string file;  // of the worker's cgroup; cgroup v2 (Documentation/admin-guide/cgroup-v2.rst)
    std::string value;

    bool operator==(const CgroupLimit&) const = default;
};

// Those that are set.
[[nodiscard]] std::vector<CgroupLimit> cgroup_limits(const config::LimitSettings& settings);

}  // namespace ralph::daemon
