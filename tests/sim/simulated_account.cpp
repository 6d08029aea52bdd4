#include "tests/sim/simulated_account.h"

#include <utility>

namespace ralph::sim {
namespace {

// Who was decided on before the pause was known may still begin.
constexpr std::int64_t known_after_ms = 10'000;

bool is_by_agent(const FakeRun& run) {
    return run.run.step == core::StepKind::work || run.run.step == core::StepKind::remediate;
}

void end_with_72(FakeRun& run) {
    run.exit = core::ExitRecord{};
    run.exit.value = 72;
    run.account_paused = true;
    run.leaves_marker = false;
}

}  // namespace

void SimulatedAccount::use(std::string folder, std::uint32_t limited_percent) {
    folder_ = std::move(folder);
    limited_ = limited_percent;
    world_.disk.put_directory(folder_);
}

void SimulatedAccount::begin(FakeRun& run) {
    if (!is_used() || !is_by_agent(run)) {
        return;
    }
    run.by_agent = true;
    if (pause_ && core::holds(*pause_, world_.wall_clock())) {
        intrusions_ += world_.now_ms - paused_at_ms_ > known_after_ms && limited_ == 0 ? 1 : 0;
        end_with_72(run);
    } else if (random_.chance(limited_)) {
        end_with_72(run);
        run.meets_limit = true;
    }
}

void SimulatedAccount::end(FakeRun& run) {
    if (!is_used() || !is_by_agent(run) || run.exit.stopped) {
        run.account_paused = run.account_paused && !run.exit.stopped;
        return;
    }
    if (run.meets_limit) {
        const core::Instant now = world_.wall_clock();
        pause_ = core::next_pause(pause_, name, core::Verdict::limited, "limit",
                                  now + std::chrono::seconds{1 + random_.below(120)}, now, 0.5);
        paused_at_ms_ = world_.now_ms;
        world_.disk.put(file(), core::account_pause_text(*pause_));
        world_.tell_watchers(file());
    } else if (!run.account_paused && pause_ && !core::holds(*pause_, world_.wall_clock())) {
        pause_.reset();  // its model has answered
        world_.disk.remove(file());
        world_.tell_watchers(file());
    }
}

}  // namespace ralph::sim
