// The target branch of the simulated world, and an integrate run that lands a batch on it: the decisions are
// the product's (core/landing/landing_run.h), what they do to the world is a model's. It can be killed
// between any two actions, and others may push.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/landing/landing_run.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace ralph::sim {

struct Target {
    std::uint64_t version = 0;  // grows with every push
    bool is_red = false;        // by itself
};

// In percent, for each action of a run.
struct LandingHazards {
    std::uint32_t foreign_pushes = 5;
    std::uint32_t reds = 20;         // of those, or repairs what is red
    std::uint32_t flakes = 4;        // red, though nobody is to blame
    std::uint32_t refusals = 2;      // of a push
    std::uint32_t recalled = 4;      // green from memory, which may be wrong by now
    std::uint32_t landings = 0;      // of a task, by somebody else
    std::uint32_t faults = 1;        // of the host, the remote or the place where candidates are built
    std::uint32_t lost_answers = 2;  // to a push that has arrived
};

class SimulatedLanding {
  public:
    SimulatedLanding(Target& target, Model& model, Random& random, const LandingHazards& hazards,
                     std::function<void(FakeTask&)> land, const std::vector<std::string>& tasks);
    // Somebody else lands one of the tasks.
    std::function<void(FakeTask&)> land_elsewhere;

    // The next thing it does; false if that was the last one. Throws Violation.
    bool advance();
    // With which exit code it ended for the task, as far as it came.
    [[nodiscard]] std::optional<std::uint32_t> code(const std::string& task_id) const;
    [[nodiscard]] bool target_is_red() const { return target_was_red_; }

  private:
    using Tasks = core::landing::Tasks;
    using Answer = std::optional<core::landing::Event>;

    Answer perform(const core::landing::action::Open& open);
    Answer perform(const core::landing::action::Prepare& prepare);
    Answer perform(const core::landing::action::Build& build);
    Answer perform(const core::landing::action::Recall& recall);
    Answer perform(const core::landing::action::TakeAhead& take);
    Answer perform(const core::landing::action::Gate& gate);
    Answer perform(const core::landing::action::Push& push);
    Answer perform(const core::landing::action::FindMakers& find);
    Answer perform(const core::landing::action::AskRemote& ask);
    Answer perform(const core::landing::action::Renew& renew);
    Answer perform(const core::landing::action::BringForward& bring);
    Answer perform(const core::landing::action::ForgetAhead& forget);
    Answer perform(const core::landing::action::Landed& settle);
    Answer perform(const core::landing::action::End& end);
    Answer perform(const core::landing::action::Note& note);
    Answer perform(const core::landing::action::RunAgain& again);
    Answer perform(const core::landing::action::Finish& finish);

    void disturb();
    void trouble();
    void land(const Tasks& candidate);
    // Of the tasks on top of the tip as it was fetched last.
    [[nodiscard]] bool is_green(const Tasks& tasks);
    [[nodiscard]] bool is_bad(const Tasks& tasks) const;
    [[nodiscard]] bool conflicts(const FakeTask& task, const Tasks& with) const;
    [[nodiscard]] static bool undoes(const FakeTask& task, const Tasks& landed);
    void check_landing(const FakeTask& task) const;
    void check_blame(const std::string& task_id) const;
    void check_end() const;

    Target* target_;
    Model* model_;
    Random* random_;
    const LandingHazards* hazards_;  // which may change meanwhile
    std::function<void(FakeTask&)> land_;
    Tasks tasks_;
    core::landing::Rules rules_;
    core::LandingRun decides_;
    Answer answer_ = core::landing::event::Begun{};
    std::vector<core::landing::Action> actions_;
    std::uint64_t tip_ = 0;  // as fetched last
    bool tip_is_red_ = false;
    std::map<std::string, std::uint32_t> codes_;
    bool target_was_red_ = false;
    bool has_finished_ = false;

    std::size_t groups_ = 0;
    std::size_t tried_ = 0;  // tasks
    bool was_recalled_ = false;
    std::map<std::pair<std::uint64_t, Tasks>, bool> judged_;  // by tip and tasks on top of it
    std::set<std::uint64_t> green_tips_;                      // by themselves
    std::uint32_t gate_runs_ = 0;
    std::uint32_t troubles_ = 0;  // bad tasks, conflicts, flakes, refusals and pushes of others
    bool was_disturbed_ = false;  // by other things than its tasks
};

}  // namespace ralph::sim
