// The memory of the simulated host: it becomes short now and then, so that workers wait or are put back.
#pragma once

#include <cstdint>

#include "tests/fake_world/fake_world.h"
#include "tests/sim/random.h"

namespace ralph::sim {

class SimulatedHost {
  public:
    // What must stay free, in MiB.
    static constexpr std::uint64_t must_stay_free = 512;

    SimulatedHost(fake::World& world, std::uint64_t seed) : world_(world), random_(seed ^ 0x6c62272eULL) {}

    // It tells its memory from now on.
    void use();
    // There is enough for good.
    void settle_down();
    [[nodiscard]] bool is_used() const { return used_; }
    // May change it.
    void turn();

  private:
    void show(std::uint64_t mebibytes);

    fake::World& world_;
    Random random_;
    bool used_ = false;
};

}  // namespace ralph::sim
