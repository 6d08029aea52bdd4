// The host stays alive: a worker starts only while enough memory and disk are left, and before the kernel has
// to choose a victim the youngest worker is put back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// What is short; nothing if all that is looked at is there. What could not be measured is not short.
[[nodiscard]] std::optional<HostPressure> pressure_of(const HostState& host, const HostLimits& limits);

// Whether a worker may start now. If that is not known, since the last measurement is too old, one is asked
// for.
[[nodiscard]] bool admits_worker(Supervisor& supervisor, Instant now, std::vector<Action>& actions);

// While workers run, the host is measured now and then.
void watch_host(Supervisor& supervisor, Instant now, std::vector<Action>& actions);

// The worker to put back: of those that run the one that has begun last, and never the only one. Null: none.
[[nodiscard]] ActiveTask* to_put_back(Supervisor& supervisor);

}  // namespace ralph::core
