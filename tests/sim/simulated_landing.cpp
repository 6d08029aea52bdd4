#include "tests/sim/simulated_landing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/supervisor/transition.h"
#include "tests/sim/oracle.h"

namespace ralph::sim {

namespace action = core::landing::action;
namespace event = core::landing::event;
using core::landing::Conclusion;
using core::landing::PushEnd;
using core::landing::Verdict;

namespace {

constexpr std::uint32_t landed = 0;

bool contains(const std::vector<std::string>& tasks, const std::string& task) {
    return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}

std::uint32_t code_of(Conclusion conclusion) {
    switch (conclusion) {
        case Conclusion::try_again:
            return core::exit_try_again;
        case Conclusion::unavailable:
            return core::exit_unavailable;
        case Conclusion::blocked:
            return core::exit_blocked;
        case Conclusion::fixable:
            return core::exit_fixable;
    }
    return landed;
}

core::landing::Rules random_rules(Random& random) {
    core::landing::Rules rules;
    rules.groups = {random.chance(30), 1 + random.below(3), 1 + random.below(8)};
    rules.slots_ahead = rules.groups.partitions - 1;
    rules.turn = random.below(8);
    rules.may_run_again = random.chance(80);
    rules.target = "origin/main";
    return rules;
}

}  // namespace

SimulatedLanding::SimulatedLanding(Target& target, Model& model, Random& random,
                                   const LandingHazards& hazards, std::function<void(FakeTask&)> land,
                                   const std::vector<std::string>& tasks)
    : target_(&target),
      model_(&model),
      random_(&random),
      hazards_(&hazards),
      land_(std::move(land)),
      tasks_(tasks),
      rules_(random_rules(random)),
      decides_(tasks, rules_) {}

std::optional<std::uint32_t> SimulatedLanding::code(const std::string& task_id) const {
    const auto found = codes_.find(task_id);
    return found == codes_.end() ? std::nullopt : std::optional(found->second);
}

bool SimulatedLanding::advance() {
    if (has_finished_) {
        return false;
    }
    disturb();
    if (answer_) {
        actions_ = decides_.step(*answer_);
        if (actions_.empty()) {
            throw Violation{"the integrate run stands still"};
        }
    }
    answer_.reset();
    for (const core::landing::Action& each : actions_) {
        const bool wants_answer = &each == &actions_.back() && !std::holds_alternative<action::Finish>(each);
        if (wants_answer && random_->chance(hazards_->faults)) {
            trouble();
            answer_ = event::Failed{random_->chance(50), "a fault"};
            break;
        }
        answer_ = std::visit([&](const auto& what) { return perform(what); }, each);
        if (answer_.has_value() != wants_answer) {
            throw Violation{"an action is answered that is not the last one, or the last one is not"};
        }
    }
    return !has_finished_;
}

// Somebody else pushes, or lands one of the tasks.
void SimulatedLanding::disturb() {
    if (hazards_->landings != 0 && random_->chance(hazards_->landings)) {
        auto& tasks = model_->tasks();
        FakeTask& task = tasks[random_->below(tasks.size())];
        if (!task.landed && !task.bad) {
            ++target_->version;
            trouble();
            land_elsewhere(task);
        }
    }
    if (random_->chance(hazards_->foreign_pushes)) {
        ++target_->version;
        trouble();
        if (random_->chance(hazards_->reds)) {
            target_->is_red = !target_->is_red;
        }
    }
}

void SimulatedLanding::trouble() {
    ++troubles_;
    was_disturbed_ = true;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Open&) {
    tip_ = target_->version;
    tip_is_red_ = target_->is_red;
    if (tip_is_red_) {
        trouble();
    }
    return event::Opened{};
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Prepare& prepare) {
    constexpr std::array<const char*, 4> paths{"a", "a/b", "c", "d"};
    event::Prepared prepared;
    for (const std::string& task_id : prepare.tasks) {
        const FakeTask& task = model_->task(task_id);
        if (task.landed && tip_ == target_->version) {  // found on the target
            codes_[task_id] = landed;
            prepared.landed.push_back(task_id);
        } else if (task.nothing) {
            codes_[task_id] = core::exit_nothing_to_land;
        } else {
            prepared.changes.push_back(
                {task_id, {}, {paths.at(random_->below(paths.size()))}, random_->chance(5)});
            troubles_ += task.bad ? 1 : 0;
        }
    }
    groups_ += core::group_changes(prepared.changes, rules_.groups).size();
    tried_ += prepared.changes.size();
    return prepared;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Build& build) {
    Tasks on_target;
    for (const FakeTask& task : model_->tasks()) {
        if (task.landed) {
            on_target.push_back(task.id);
        }
    }
    event::Built built;
    for (const std::string& task_id : build.tasks) {
        const FakeTask& task = model_->task(task_id);
        if (task.landed && tip_ == target_->version) {  // by somebody else, meanwhile
            codes_[task_id] = landed;
            built.ended.push_back(task_id);
            built.landed.push_back(task_id);
        } else if (conflicts(task, on_target) || undoes(task, on_target)) {
            codes_[task_id] = core::exit_fixable;
            built.ended.push_back(task_id);
        } else if (conflicts(task, built.candidate) || undoes(task, built.candidate)) {
            ++troubles_;
        } else {
            built.candidate.push_back(task_id);
        }
    }
    return built;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Recall&) {
    was_recalled_ = random_->chance(hazards_->recalled);
    if (!was_recalled_) {
        return event::Recalled{};
    }
    trouble();
    return event::Recalled{Verdict{true, true}};
}

// Red at another place says nothing of the candidate.
SimulatedLanding::Answer SimulatedLanding::perform(const action::TakeAhead& take) {
    if (rules_.slots_ahead == 0 || !random_->chance(40)) {
        return event::TakenAhead{};
    }
    const bool is_place_bad = random_->chance(hazards_->flakes);
    if (is_place_bad) {
        trouble();
    }
    const bool green = !is_place_bad && !is_bad(take.candidate) && !tip_is_red_;
    if (green) {
        judged_[{tip_, take.candidate}] = true;
    }
    return event::TakenAhead{Verdict{green, false, true, "ahead"}};
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Gate& gate) {
    if (gate.likely.empty() != (rules_.slots_ahead == 0) && rules_.slots_ahead == 0) {
        throw Violation{"something is gated ahead of time where there is no place for it"};
    }
    const bool green = is_green(gate.candidate);
    if (gate.candidate.empty() && green) {
        green_tips_.insert(tip_);
    }
    return event::Gated{Verdict{green, false, true, "red"}};
}

bool SimulatedLanding::is_green(const Tasks& tasks) {
    ++gate_runs_;
    const bool flake = random_->chance(hazards_->flakes);
    if (flake) {
        trouble();
    }
    const bool green = !flake && !is_bad(tasks) && !tip_is_red_;
    judged_[{tip_, tasks}] = green;
    return green;
}

bool SimulatedLanding::is_bad(const Tasks& tasks) const {
    return std::any_of(tasks.begin(), tasks.end(),
                       [this](const std::string& id) { return model_->task(id).bad; });
}

bool SimulatedLanding::undoes(const FakeTask& task, const Tasks& on_target) {
    return std::any_of(task.undoes.begin(), task.undoes.end(),
                       [&](const std::string& other) { return contains(on_target, other); });
}

bool SimulatedLanding::conflicts(const FakeTask& task, const Tasks& with) const {
    return std::any_of(with.begin(), with.end(), [&](const std::string& other) {
        return contains(task.conflicts, other) || contains(model_->task(other).conflicts, task.id);
    });
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Push& push) {
    const auto not_landed = [](PushEnd end) { return event::Pushed{end, false, false, "a reason"}; };
    if (target_->version != tip_) {
        return not_landed(PushEnd::deferred);
    }
    if (random_->chance(hazards_->refusals)) {
        trouble();
        return not_landed(random_->chance(20) ? PushEnd::shut_out : PushEnd::refused);
    }
    land(push.candidate);
    const std::uint64_t ours = target_->version;
    if (random_->chance(hazards_->lost_answers)) {
        trouble();
        if (random_->chance(50)) {  // nor can the target be fetched
            return not_landed(PushEnd::unavailable);
        }
        return event::Pushed{PushEnd::landed, true, true};
    }
    disturb();
    tip_ = target_->version;
    tip_is_red_ = target_->is_red;
    return event::Pushed{PushEnd::landed, tip_ == ours};
}

void SimulatedLanding::land(const Tasks& candidate) {
    const auto judged = judged_.find({tip_, candidate});
    if (!was_recalled_ && (judged == judged_.end() || !judged->second)) {
        throw Violation{"something is pushed that was not green as a whole"};
    }
    ++target_->version;
    for (const std::string& task_id : candidate) {
        check_landing(model_->task(task_id));
        land_(model_->task(task_id));
    }
    if (was_recalled_) {  // and perhaps wrongly
        target_->is_red = target_->is_red || is_bad(candidate);
    } else {
        green_tips_.insert(target_->version);
    }
    tip_ = target_->version;
    tip_is_red_ = target_->is_red;
}

// Once, whoever did it, and without taking back what another one has landed.
void SimulatedLanding::check_landing(const FakeTask& task) const {
    if (task.landed) {
        throw Violation{fmt::format("{}: lands though somebody else has landed it", task.id)};
    }
    for (const std::string& other : task.undoes) {
        if (model_->task(other).landed) {
            throw Violation{fmt::format("{}: what {} has landed is undone without a word", task.id, other)};
        }
    }
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::FindMakers&) {
    event::TipMadeBy made{"0123456789abcdef", {}};
    if (random_->chance(30)) {
        made.makers.push_back(tasks_[random_->below(tasks_.size())]);
    }
    return made;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::AskRemote&) {
    return event::RemoteAsked{random_->chance(50)};
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Renew&) {
    return event::Renewed{};
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::BringForward& bring) {
    if (code(bring.task_id) != landed) {
        throw Violation{fmt::format("{}: the checkout is brought forward for it", bring.task_id)};
    }
    return event::BroughtForward{random_->chance(hazards_->faults), "a note"};
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::ForgetAhead&) {
    return std::nullopt;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Landed& settle) {
    for (const std::string& task_id : settle.candidate) {
        codes_[task_id] = landed;
    }
    return std::nullopt;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::End& end) {
    if (code(end.task_id)) {
        throw Violation{fmt::format("{}: ends twice", end.task_id)};
    }
    if (end.red_alone) {
        check_blame(end.task_id);
    }
    codes_[end.task_id] = code_of(end.conclusion);
    return std::nullopt;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Note&) {
    return std::nullopt;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::RunAgain& again) {
    codes_[again.task_id] = core::exit_try_again;
    was_disturbed_ = true;
    return std::nullopt;
}

SimulatedLanding::Answer SimulatedLanding::perform(const action::Finish& finish) {
    target_was_red_ = finish.target_is_red;
    has_finished_ = true;
    check_end();
    return std::nullopt;
}

void SimulatedLanding::check_blame(const std::string& task_id) const {
    const bool was_red_alone = std::any_of(green_tips_.begin(), green_tips_.end(), [&](std::uint64_t tip) {
        const auto alone = judged_.find({tip, {task_id}});
        return alone != judged_.end() && !alone->second;
    });
    if (!was_red_alone) {
        throw Violation{fmt::format("{}: blamed without being red alone on a green tip", task_id)};
    }
}

// If nobody and nothing disturbed it, all that is good has landed, within the bound.
void SimulatedLanding::check_end() const {
    for (const std::string& task_id : tasks_) {
        if (!code(task_id)) {
            throw Violation{fmt::format("{}: the run ends without a word about it", task_id)};
        }
        const FakeTask& task = model_->task(task_id);
        const bool conflicts_with_somebody =
            !task.conflicts.empty() || !task.undoes.empty() ||
            std::any_of(model_->tasks().begin(), model_->tasks().end(),
                        [&](const FakeTask& other) { return contains(other.conflicts, task_id); });
        if (!was_disturbed_ && !task.bad && !task.nothing && !conflicts_with_somebody &&
            codes_.at(task_id) != landed) {
            throw Violation{fmt::format("{}: good, and not landed", task_id)};
        }
    }
    const auto depth =
        tried_ == 0 ? 0 : static_cast<std::uint32_t>(std::ceil(std::log2(static_cast<double>(tried_)))) + 1;
    if (gate_runs_ > 3 + groups_ + troubles_ * (depth + 3)) {
        throw Violation{
            fmt::format("{} runs of the gate for {} tasks and {} troubles", gate_runs_, tried_, troubles_)};
    }
}

}  // namespace ralph::sim
