#include "daemon/os/descriptor_limit.h"

#include <sys/resource.h>

#include "core/base/check.h"

namespace ralph::daemon {

std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const std::uint64_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));  // if not, there are as many as before
    return before;
}

}  // namespace ralph::daemon
