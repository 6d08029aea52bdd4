// The world around the decision maker, as far as it matters: run directories with shims that outlive the
// supervisor, workspaces, the target branch and the queue. Time is in milliseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/supervisor.h"
#include "tests/sim/random.h"

namespace ralph::sim {

struct FakeRun {
    enum class Status {
        made,   // there is a directory, and nothing was executed
        alive,  // the shim holds its lock
        exited,
        lost,
    };
    core::Run run;
    std::uint32_t slot = 0;
    bool has_spec = true;
    Status status = Status::made;
    core::ExitRecord exit;  // what it will be while it is alive
    bool will_be_lost = false;
    bool will_land = false;
    bool leaves_marker = false;
    bool watched = false;  // by the supervisor that lives now
    std::int64_t ends_at = 0;

    [[nodiscard]] bool executed() const { return status != Status::made; }
    [[nodiscard]] bool alive() const { return status == Status::alive; }
    [[nodiscard]] bool exited_with(std::uint32_t status_code) const;
};

struct FakeTask {
    std::string id;
    std::vector<std::string> depends_on;
    std::vector<FakeRun> runs;
    std::uint32_t settled = 0;
    bool workspace = false;
    bool finished = false;  // the workspace holds what a work step that exited with 0 left there
    bool landed = false;    // the target branch holds it
    std::uint32_t landings = 0;
    bool done_in_queue = false;
    bool retry_request = false;  // kept durably until it is forgotten

    [[nodiscard]] const FakeRun* last_executed() const;
    [[nodiscard]] const FakeRun* live() const;
};

struct Hazards {
    std::uint32_t start_fails = 5;  // percent
    std::uint32_t lost = 8;
    std::uint32_t try_again = 25;
    std::uint32_t fails = 15;
};

class World {
  public:
    World(Random& random, std::uint32_t task_count);

    // A new run directory. `with_spec` is false when the crash came before the spec was written.
    FakeRun& make_run(const core::action::StartRun& start, bool with_spec);
    // Whether the shim could be started; the run is alive then.
    bool launch(FakeRun& run, FakeTask& task);
    void ask_to_end(FakeRun& run);
    void kill_shim(FakeRun& run) { run.will_be_lost = true, run.ends_at = now_; }

    // The next time at which something ends by itself.
    [[nodiscard]] std::optional<std::int64_t> next_end() const;
    // Ends what is due, and returns its tasks.
    std::vector<FakeTask*> end_due_runs();
    void advance_to(std::int64_t time) { now_ = time > now_ ? time : now_; }
    [[nodiscard]] std::int64_t now() const { return now_; }

    [[nodiscard]] core::RunHistory history(const FakeTask& task) const;
    [[nodiscard]] static core::RunEnd end_of(const FakeRun& run);
    [[nodiscard]] static std::optional<core::BlockMarker> marker_of(const FakeTask& task, const FakeRun& run);
    [[nodiscard]] std::shared_ptr<const core::QueueSnapshot> snapshot();
    void add_task();

    [[nodiscard]] FakeTask& task(std::string_view id);
    [[nodiscard]] const FakeTask& task(std::string_view id) const;
    [[nodiscard]] const std::vector<FakeTask>& tasks() const { return tasks_; }
    [[nodiscard]] std::vector<FakeTask>& tasks() { return tasks_; }

    Hazards hazards;

  private:
    void plan(FakeRun& run, const FakeTask& task);
    void end_run(FakeTask& task, FakeRun& run);

    Random& random_;
    std::vector<FakeTask> tasks_;
    std::int64_t now_ = 0;
};

}  // namespace ralph::sim
