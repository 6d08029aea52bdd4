#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ralph::core {

void check_failed(const char* file, int line, const char* what) {
    static_cast<void>(std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what));
    std::abort();
}

}  // namespace ralph::core
