// One simulated life of a repository: the real supervisor, from its locks to its runtime and store, in a
// world of fake clock, files and processes that goes wrong in every way a seed can think of. It may die at
// any call it makes, and between any two of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/supervisor/supervise.h"
#include "tests/fake_world/fake_world.h"
#include "tests/sim/model.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/shims.h"
#include "tests/sim/simulated_host.h"
#include "tests/sim/simulated_person.h"

namespace ralph::sim {

struct Report {
    std::string violation;  // empty: all went well
    std::uint32_t turns = 0;
    std::uint32_t lives = 0;    // of supervisors
    std::uint32_t crashes = 0;  // power losses included
    std::uint64_t file_calls = 0;
    std::uint32_t batches = 0;  // that said how they ended
};

class Simulation {
  public:
    // Without batches every task is landed by a run of its own, and the seeds mean what they meant before
    // there were any.
    Simulation(std::uint64_t seed, bool keep_trace, bool batches);

    [[nodiscard]] Report run();

  private:
    // How likely what is: chosen by the seed, zero in the calm end.
    struct FaultProfile {
        std::uint32_t fault_in = 0;  // one call in so many fails; 0: none
        std::uint32_t crash_in = 0;  // the supervisor dies at one call in so many; 0: at none
        bool power_fails = false;
        bool state_rots = false;
        bool disk_fills = false;
    };

    void use_agents(std::uint64_t seed);
    void make_world();
    void add_task();
    void live();
    void explain_all(const core::Supervisor& supervisor);
    void between_lives();
    void settle_down();

    void turn();
    void advance();
    void nothing_happens();
    void inject_fault();
    void disturb_supervisor(std::uint32_t kind);
    void disturb_world(std::uint32_t kind);
    void start_second_supervisor();
    void rot_state();
    void make_state_anew();
    void put_file(const std::string& path, const std::string& content);
    void write_queue();
    void land(FakeTask& task);
    void archive_landed(std::uint32_t percent);

    [[nodiscard]] fake::Fault before_call(fake::Operation operation);
    [[nodiscard]] fake::Fault disk_trouble(fake::Operation operation);
    void on_renamed(const std::string& path);
    void on_state_written(const std::string& text);
    void judge(const std::function<void()>& check);
    [[nodiscard]] core::ParallelState durable_state();
    [[nodiscard]] daemon::Supervision supervision();
    void record(const std::string& line);

    Random random_;
    Random service_random_;  // of its own, so that seeds without a service mean what they meant
    bool is_service_ = false;
    bool keep_trace_;
    Report report_;
    fake::World world_;
    Model model_;
    Oracle oracle_;
    Shims shims_;
    SimulatedHost host_;
    daemon::Settings settings_;
    SimulatedPerson person_;
    core::SupervisorSettings limits_;
    Circumstances circumstances_;
    FaultProfile faults_;
    core::TaskFile queue_;
    core::TaskFile done_;
    bool queue_is_valid_ = true;
    core::ParallelState last_state_;  // as the newest state.json says
    std::uint32_t faults_left_ = 0;
    std::int64_t disk_full_until_ms_ = 0;
    std::int64_t read_only_until_ms_ = 0;
    std::uint32_t decisions_ = 0;
    bool is_quiet_ = false;
};

}  // namespace ralph::sim
