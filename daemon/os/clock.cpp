#include "daemon/os/clock.h"

#include <ctime>
#include <thread>

namespace ralph::daemon {

core::Instant wall_clock() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

int utc_offset_minutes(core::Instant now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
    std::tm local{};
    return ::localtime_r(&seconds, &local) == nullptr ? 0 : static_cast<int>(local.tm_gmtoff / 60);
}

core::Instant monotonic_clock() {
    return core::Instant{std::chrono::steady_clock::now().time_since_epoch()};
}

void pause_for(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
}

}  // namespace ralph::daemon
