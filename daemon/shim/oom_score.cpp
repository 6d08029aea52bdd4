#include "daemon/shim/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "daemon/shim/files.h"

namespace ralph::shim {
namespace {

constexpr const char* score_file = "/proc/self/oom_score_adj";

bool set_score(std::string_view text) {
    const int fd = open(score_file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const bool written = write_all(fd, text);
    close(fd);
    return written;
}

}  // namespace

OomScore::OomScore() : inherited_(read_small_file(score_file)) {
    const long now = strtol(inherited_.c_str(), nullptr, 10);
    // Without privilege a score can be lowered to what it once was, which is mostly 0.
    for (const long wanted : {-900L, -500L, 0L}) {
        if (now <= wanted || set_score(std::to_string(wanted))) {
            return;
        }
    }
}

void OomScore::restore() const {
    if (!inherited_.empty()) {
        static_cast<void>(set_score(inherited_));
    }
}

}  // namespace ralph::shim
