#include "daemon/os/clock.h"

#include <thread>

namespace ralph::daemon {

core::Instant wall_clock() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

core::Instant monotonic_clock() {
    return core::Instant{std::chrono::steady_clock::now().time_since_epoch()};
}

void pause_for(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
}

}  // namespace ralph::daemon
