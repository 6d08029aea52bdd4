// Waiting for one descriptor, in steps and commands that have nothing else to do meanwhile.
#pragma once

#include <chrono>

namespace ralph::daemon {

// Whether it has one of these events of poll(2), or an error, before that moment. A signal that arrives
// changes nothing. With no descriptor (-1) the time passes.
[[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point moment, int descriptor, short events);

}  // namespace ralph::daemon
