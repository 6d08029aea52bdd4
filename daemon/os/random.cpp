#include "daemon/os/random.h"

#include <sys/random.h>

#include "core/base/check.h"

namespace ralph::daemon {

std::uint64_t random_number() {
    std::uint64_t number = 0;
    CHECK(::getrandom(&number, sizeof number, 0) == static_cast<ssize_t>(sizeof number));
    return number;
}

double random_fraction() {
    return static_cast<double>(random_number() >> 11U) / static_cast<double>(1ULL << 53U);
}

}  // namespace ralph::daemon
