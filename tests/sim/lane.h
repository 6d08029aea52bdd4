// The target branch of the simulated world, and an integrate run that lands a batch on it as the real one
// does: try by try, with core/landing/merge_queue.h deciding, so that it can be killed between any two, and
// others may push.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/landing/merge_queue.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace ralph::sim {

struct Target {
    std::uint64_t version = 0;  // grows with every push
    bool is_red = false;        // by itself
};

// In percent, for each step of a run.
struct LaneHazards {
    std::uint32_t foreign_pushes = 5;
    std::uint32_t reds = 20;     // of those, or mends what is red
    std::uint32_t flakes = 4;    // red, though nobody is to blame
    std::uint32_t refusals = 2;  // of a push
    std::uint32_t recalled = 4;  // green from memory, which may be wrong by now
    std::uint32_t landings = 0;  // of a task, by somebody else
};

class LaneRun {
  public:
    LaneRun(Target& target, Model& model, Random& random, const LaneHazards& hazards,
            std::function<void(FakeTask&)> land, const std::vector<std::string>& tasks);
    // Somebody else lands one of the tasks.
    std::function<void(FakeTask&)> land_elsewhere;

    // The next thing it does; false if that was the last one. Throws Violation.
    bool advance();
    // With which exit code it ended for the task, as far as it came.
    [[nodiscard]] std::optional<std::uint32_t> code(const std::string& task_id) const;
    [[nodiscard]] bool target_is_red() const { return target_was_red_; }

  private:
    using Tasks = core::MergeQueue::Tasks;

    void disturb();
    void attempt(const Tasks& tasks);
    void push();
    void finish();
    // Of the tasks on top of the tip as it was fetched last.
    bool gate(const Tasks& tasks);
    void put_off();
    [[nodiscard]] bool is_bad(const Tasks& tasks) const;
    [[nodiscard]] bool conflicts(const FakeTask& task, const Tasks& with) const;
    [[nodiscard]] static bool undoes(const FakeTask& task, const Tasks& landed);
    void check_landing(const FakeTask& task) const;
    void check_end() const;

    Target* target_;
    Model* model_;
    Random* random_;
    const LaneHazards* hazards_;  // which may change meanwhile
    std::function<void(FakeTask&)> land_;
    std::vector<Tasks> groups_;
    std::optional<core::MergeQueue> queue_;
    std::uint64_t tip_ = 0;  // as fetched last
    bool tip_is_red_ = false;
    std::map<std::string, std::uint32_t> codes_;
    bool target_was_red_ = false;
    bool was_put_off_ = false;

    // A candidate whose gate was green.
    struct Green {
        Tasks candidate;
        Tasks decided;
        std::uint64_t tip = 0;
        bool recalled = false;
    };
    std::optional<Green> green_;
    std::map<std::pair<std::uint64_t, Tasks>, bool> judged_;  // by tip and tasks on top of it
    std::set<std::uint64_t> green_tips_;                      // by themselves
    std::uint32_t gate_runs_ = 0;
    std::uint32_t troubles_ = 0;  // bad tasks, conflicts, flakes, refusals and pushes of others
    bool was_disturbed_ = false;  // by other things than its tasks
};

}  // namespace ralph::sim
