// What must be true at every instant. It looks at the world and at what was made durable, never into the
// supervisor, and uses core's types but none of its functions.
#pragma once

#include <cstdint>
#include <string>

#include "core/supervisor/supervisor.h"
#include "tests/sim/model.h"

namespace ralph::sim {

struct Violation {
    std::string what;
};

struct Circumstances {
    std::uint32_t workers = 1;
    std::uint32_t max_push_attempts = 1;
    std::uint32_t max_restarts = 0;
    std::uint32_t max_remediations = 0;
    bool stop_requested = false;
    // What a step says of itself may be lost; then a red target counts as an attempt.
    bool outcome_unread = false;
    bool state_was_lost = false;  // an older state was put back: some countings do not hold
};

// All throw Violation.
class Oracle {
  public:
    explicit Oracle(const Model& model) : model_(model) {}

    // Before a step executes anything; `durable` is the state that a loss of power would leave.
    void on_start(const std::string& task_id, const FakeRun& start, const core::ParallelState& durable,
                  const Circumstances& circumstances) const;
    void on_saved(const core::ParallelState& before, const core::ParallelState& after,
                  const Circumstances& circumstances) const;
    // What the doctor makes of the run directories.
    void on_rebuilt(const core::ParallelState& rebuilt, const Circumstances& circumstances) const;
    void on_acknowledged(const std::string& task_id, std::uint32_t number) const;
    void on_runs_removed(const std::string& task_id) const;
    // At any time.
    void check_model() const;
    [[nodiscard]] static bool is_unpushed(const FakeTask& task);
    // After a session in which nothing went wrong.
    void on_quiet_end(const core::ParallelState& durable, int exit_code, bool limited) const;

  private:
    void check_slot(const std::string& task_id, const FakeRun& start,
                    const Circumstances& circumstances) const;
    void check_integration(const std::string& task_id, const core::ParallelState& durable,
                           const Circumstances& circumstances) const;
    void check_remediation(const std::string& task_id, const Circumstances& circumstances) const;
    void check_companion(const std::string& task_id, const core::ParallelState& durable,
                         const Circumstances& circumstances) const;
    [[nodiscard]] bool in_living_batch(const std::string& task_id, const FakeRun& start) const;
    void check_completed(const core::WorkerRecord& record, const Circumstances& circumstances) const;
    void check_failed(const core::WorkerRecord& record, const Circumstances& circumstances) const;
    void check_blocked(const core::WorkerRecord& record, const Circumstances& circumstances) const;
    void check_move(const core::WorkerRecord* from, const core::WorkerRecord& to,
                    const Circumstances& circumstances) const;

    const Model& model_;
};

}  // namespace ralph::sim
