// The account that the agents of the simulated world work for: it reaches its limit now and then, tells until
// when, and keeps count of who comes before that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/agents/account.h"
#include "tests/fake_world/fake_world.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace ralph::sim {

class SimulatedAccount {
  public:
    SimulatedAccount(fake::World& world, std::uint64_t seed) : world_(world), random_(seed ^ 0x7f4a7c15ULL) {}

    // Agents work from now on; their pauses are in this folder.
    void use(std::string folder, std::uint32_t limited_percent);
    // Nobody meets a limit any more; what was paused stays so until its time.
    void settle_down() { limited_ = 0; }
    [[nodiscard]] bool is_used() const { return !folder_.empty(); }

    // A work or remediate step begins: it may end at once, since the account is paused, or meet the limit.
    void begin(FakeRun& run);
    // It ends, as it was to end or as it was told to.
    void end(FakeRun& run);
    // How often somebody began although the account had been paused for a while and nothing was in the way.
    [[nodiscard]] std::uint32_t intrusions() const { return intrusions_; }

    static constexpr const char* name = "claude";

  private:
    [[nodiscard]] std::string file() const { return folder_ + "/" + name + ".json"; }

    fake::World& world_;
    Random random_;
    std::string folder_;
    std::uint32_t limited_ = 0;
    std::optional<core::AccountPause> pause_;
    std::int64_t paused_at_ms_ = 0;
    std::uint32_t intrusions_ = 0;
};

}  // namespace ralph::sim
