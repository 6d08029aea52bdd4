// One simulated life of a repository: the real core::step, a fake runtime around it, and a world that goes
// wrong in every way a seed can think of. The runtime keeps the house rule, decide -> make durable -> act,
// and may be cut off between any two of them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/supervisor.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/world.h"

namespace ralph::sim {

struct Report {
    std::string violation;  // empty: all went well
    std::vector<std::string> trace;
    std::uint32_t steps = 0;
    std::uint32_t crashes = 0;
};

[[nodiscard]] inline bool is_active(const core::WorkerRecord& record) {
    return record.lifecycle == core::Lifecycle::running || record.lifecycle == core::Lifecycle::integrating;
}

class Simulation {
  public:
    Simulation(std::uint64_t seed, bool keep_trace);

    [[nodiscard]] Report run();

  private:
    struct Message {
        std::string task_id;  // messages of one task keep their order
        core::Event event;
    };
    // Thrown where the supervisor dies.
    struct Crash {};

    void run_session();
    void start_supervisor(bool new_session);
    [[nodiscard]] core::ParallelState consult_run_directories();
    void recover_one(const core::WorkerRecord& record);
    void turn();
    void advance();
    void misfortune();
    void disturb_supervisor(std::uint32_t kind);
    void disturb_world(std::uint32_t kind);
    void crash();
    [[nodiscard]] core::Event take_message();
    void deliver(const core::Event& event);
    void perform(const core::Action& action);
    void perform_start(const core::action::StartRun& start);
    void adopt(const std::string& task_id, const core::Run& run);
    void deliver_ends();
    void post(std::string task_id, core::Event event);
    void post_end(const FakeTask& task, FakeRun& run);
    void post_queue(bool requested);
    void maybe_crash(std::uint32_t per_thousand);
    void record(std::string line);
    [[nodiscard]] core::Instant wall_clock() const;

    Random random_;
    bool keep_trace_;
    Report report_;
    World world_;
    Oracle oracle_;
    core::SupervisorSettings settings_;
    Circumstances circumstances_;

    // Durable.
    core::ParallelState durable_;
    core::ParallelState previous_;
    std::set<std::string, std::less<>> attempted_;
    std::string session_started_at_;
    bool queue_is_valid_ = true;
    std::int64_t clock_error_ms_ = 0;

    // Gone with the supervisor.
    core::Supervisor supervisor_;
    std::vector<Message> messages_;
    std::optional<core::Instant> wake_;
    std::optional<int> finished_;

    std::uint32_t misfortunes_left_ = 0;
    bool state_fallback_ = false;
    bool calm_ = false;
};

}  // namespace ralph::sim
