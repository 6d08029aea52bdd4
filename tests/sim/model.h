// What is true in the simulated world, whoever believes what: which runs there were, which of them live, what
// the workspaces hold and what has landed. The oracle judges by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/supervisor/run_record.h"

namespace ralph::sim {

struct FakeRun {
    enum class Status {
        made,   // there is a shim, and nothing was executed
        alive,  // the step runs, and the shim holds its lock
        exited,
        lost,
    };
    core::Run run;
    std::uint32_t slot = 0;
    Status status = Status::made;
    core::ExitRecord exit;  // what it will be while it is alive
    bool will_be_lost = false;
    bool will_land = false;
    bool leaves_marker = false;
    bool target_is_red = false;
    bool says_landed_elsewhere = false;
    bool by_agent = false;        // an agent works in it
    bool meets_limit = false;     // of its account, which is paused then
    bool account_paused = false;  // so that nothing of it counts
    // Of an integrate run: what it will say of the other tasks of its batch; nothing: it says nothing of it.
    std::vector<std::pair<std::string, std::optional<std::uint32_t>>> batch;
    bool orphaned = false;  // the shim was killed, and the step goes on

    // A run for several tasks that says nothing of what came of them counts as none.
    // Nor does an agent that is killed.
    [[nodiscard]] bool comes_to_no_verdict() const {
        if (by_agent) {
            return status == Status::exited && exit.kind == core::ExitRecord::Kind::signalled &&
                   !exit.stopped && !exit.timed_out;
        }
        const bool is_verdict = !exit.timed_out && (exited_with(0) || exited_with(65) || exited_with(66) ||
                                                    exited_with(67) || exited_with(69) || exited_with(75));
        return status == Status::exited && run.step == core::StepKind::integrate && !batch.empty() &&
               !exit.stopped && !is_verdict;
    }
    [[nodiscard]] bool waits_for_account() const { return account_paused && exited_with(72); }
    [[nodiscard]] bool executed() const { return status != Status::made; }
    [[nodiscard]] bool alive() const { return status == Status::alive || orphaned; }
    [[nodiscard]] bool exited_with(std::uint32_t status_code) const {
        return status == Status::exited && exit.kind == core::ExitRecord::Kind::exited &&
               exit.value == status_code;
    }
};

struct FakeTask {
    std::string id;
    std::vector<std::string> depends_on;
    std::vector<FakeRun> runs;  // of the run directories that were not removed
    std::uint32_t acknowledged = 0;
    bool workspace = false;
    bool finished = false;               // the workspace holds what a work step that exited with 0 left there
    bool landed = false;                 // the target branch holds it
    bool bad = false;                    // its work is red, wherever it is
    bool nothing = false;                // the worker exited with 0 and left nothing to land
    bool landed_elsewhere = false;       // somebody else has put it on the target branch
    std::vector<std::string> conflicts;  // with the work of these
    std::vector<std::string> undoes;     // its work would take back what these have landed
    std::uint32_t landings = 0;
    bool done_in_queue = false;
    bool retry_requested = false;
    bool cancel_requested = false;
    // What the batches of others have said of it since its last run: how it ended for it, and how often it
    // was put off.
    std::optional<std::uint32_t> told;
    std::uint32_t deferred = 0;
    std::uint32_t told_after = 0;  // the number of its own newest run then

    [[nodiscard]] const FakeRun* last_executed() const;
    [[nodiscard]] const FakeRun* live() const;
};

class Model {
  public:
    [[nodiscard]] FakeTask& task(std::string_view id);
    [[nodiscard]] const FakeTask& task(std::string_view id) const;
    [[nodiscard]] const std::vector<FakeTask>& tasks() const { return tasks_; }
    [[nodiscard]] std::vector<FakeTask>& tasks() { return tasks_; }

  private:
    std::vector<FakeTask> tasks_;
};

}  // namespace ralph::sim
