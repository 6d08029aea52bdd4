// Which gates there are, as the settings say.
#pragma once

#include <string>
#include <vector>

#include "core/base/time.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct NamedGate {
    std::string name;
    std::vector<std::string> command;
    core::Milliseconds timeout;
};

// agent.ci_gate as "ci", then those of `gates` in supervisor.jsonc, in the order in which they run.
[[nodiscard]] std::vector<NamedGate> gates_of(const Settings& settings);

}  // namespace ralph::daemon
