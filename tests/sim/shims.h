// Shims and the steps under them, as actors of the simulated world: they keep the protocol of
// docs/run-directory.md, live on when the supervisor dies, and go wrong as the hazards say.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/fake_world/fake_world.h"
#include "tests/sim/model.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/simulated_account.h"
#include "tests/sim/simulated_landing.h"

namespace ralph::sim {

// In percent.
struct Hazards {
    std::uint32_t start_fails = 5;
    std::uint32_t deaf = 2;  // a shim that never reports ready
    std::uint32_t lost = 8;
    std::uint32_t orphans = 50;   // of the steps whose shim is killed
    std::uint32_t stubborn = 10;  // orphaned trees that do not end in time
    std::uint32_t try_again = 25;
    std::uint32_t fails = 15;
    std::uint32_t target_is_red = 5;  // of the batches
    std::uint32_t fixable = 0;        // of the failed integrations
    std::uint32_t unavailable = 0;    // of the prepare and integrate steps: the host has a bad minute
    std::uint32_t in_use = 0;         // of the workspaces that are prepared: somebody else is in there
    std::uint32_t unpushed = 0;       // the same: nobody has pushed the task yet
    std::uint32_t nothing = 0;        // of the workers that succeed: they leave nothing to land
};

class Shims : public fake::ShimHost {
  public:
    Shims(fake::World& world, Model& model, Random& random, std::uint64_t seed)
        : account(world, seed),
          world_(world),
          model_(model),
          random_(random),
          waits_random_(seed ^ 0x5bd1e995ULL) {}

    // Just before a step executes its first instruction.
    std::function<void(const std::string& task_id, const FakeRun& run)> about_to_execute;
    // A task has landed on the target branch.
    std::function<void(FakeTask& task)> landed;
    // The same, by somebody else.
    std::function<void(FakeTask& task)> landed_elsewhere;
    std::function<void(const Violation& violation)> violated;
    std::function<void(const std::string& line)> trace;
    Hazards hazards;
    // Batches are landed try by try, on this target, instead of at the end of a run as the dice fall.
    bool lands_batches = false;
    Target target;
    LandingHazards landing_hazards;
    std::uint32_t batches_told = 0;
    SimulatedAccount account;

    // The next time at which something happens by itself.
    [[nodiscard]] std::optional<std::int64_t> next_event() const;
    // One thing that is due; false if nothing is.
    bool happen();
    // Kills the shims of about half of the steps that run; for one: of a task.
    void kill_some();
    // The sockets of the dead supervisor are closed.
    void supervisor_died();
    // Everything dies, nothing is recorded.
    void lose_power();

    std::optional<int> start_shim(const daemon::ShimRequest& request) override;
    bool is_alive(const core::ProcessIdentity& identity) const override;
    void let_go(int pid) override;
    void withdraw(int pid) override;
    void signal(int pid, int number) override;
    bool process_exists(int pid) const override;
    std::optional<std::size_t> end_orphaned_tree(const std::string& run_id) override;

  private:
    enum class Stage { starting, ready, released, working, orphaned };
    struct Shim {
        Stage stage = Stage::starting;
        std::uint64_t start_ticks = 0;
        std::string directory;
        std::string task_id;
        std::string run_id;
        std::uint32_t number = 0;
        std::optional<std::int64_t> due;
        fake::NodePointer lock;
        bool socket_open = true;
        bool told_to_end = false;
        std::optional<SimulatedLanding> landing;  // of an integrate run under way
    };

    void get_ready(int pid, Shim& shim);
    void execute(int pid, Shim& shim);
    void begin_landing(Shim& shim, FakeRun& run);
    // Whether the run goes on.
    bool go_on_landing(Shim& shim, FakeRun& run);
    void end_step(int pid, Shim& shim);
    void end_orphan(int pid, const Shim& shim);
    void kill_shim(int pid, Shim& shim);
    void go(int pid);
    void plan(FakeRun& run, const FakeTask& task);
    void plan_waiting(FakeRun& run, const FakeTask& task);
    void take_effect(FakeTask& task, FakeRun& run);
    void leave_marker(const FakeRun& run, const std::string& task_id);
    void ask_to_end(Shim& shim);
    void plan_batch(FakeRun& run);
    void tell_batch(const FakeRun& run);
    void land_batch(const FakeRun& run);
    [[nodiscard]] FakeRun& run_of(const Shim& shim);
    [[nodiscard]] std::string identity(int pid, const Shim& shim) const;
    void say(const Shim& shim, const std::string& what) const;

    fake::World& world_;
    Model& model_;
    Random& random_;
    Random waits_random_{7};  // of its own, so that seeds without these hazards mean what they meant
    std::map<int, Shim> shims_;
    int next_pid_ = 100;
    std::uint64_t next_ticks_ = 1000;
};

}  // namespace ralph::sim
