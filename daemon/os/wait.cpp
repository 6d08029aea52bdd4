#include "daemon/os/wait.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace ralph::daemon {

bool wait_until(std::chrono::steady_clock::time_point moment, int descriptor, short events) {
    pollfd wait{descriptor, events, 0};
    while (true) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(moment - std::chrono::steady_clock::now()).count();
        const int ready =
            ::poll(&wait, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000)));
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

}  // namespace ralph::daemon
