#include "tests/sim/simulated_host.h"

#include <fmt/format.h>

#include "core/base/check.h"

namespace ralph::sim {

void SimulatedHost::use() {
    used_ = true;
    world_.disk.put_directory("/proc");
    show(2 * must_stay_free);
}

void SimulatedHost::settle_down() {
    if (used_) {
        show(2 * must_stay_free);
    }
}

void SimulatedHost::turn() {
    if (!used_ || random_.below(60) != 0) {
        return;
    }
    switch (random_.below(5)) {
        case 0:
            show(must_stay_free - 1);  // no worker starts
            break;
        case 1:
        case 2:
            show(must_stay_free / 2 - 1);  // the youngest is put back
            break;
        default:
            show(2 * must_stay_free);
            break;
    }
}

void SimulatedHost::show(std::uint64_t mebibytes) {
    world_.disk.put("/proc/meminfo", fmt::format("MemAvailable: {} kB\n", mebibytes << 10U));
    CHECK(world_.disk.content("/proc/meminfo") != nullptr);
}

}  // namespace ralph::sim
