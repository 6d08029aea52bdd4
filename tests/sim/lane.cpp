#include "tests/sim/lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/sim/oracle.h"

namespace ralph::sim {
namespace {

constexpr std::uint32_t landed = 0;
constexpr std::uint32_t blocked = 65;
constexpr std::uint32_t mendable = 66;
constexpr std::uint32_t nothing_to_land = 67;
constexpr std::uint32_t try_again = 75;

bool contains(const std::vector<std::string>& tasks, const std::string& task) {
    return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}

}  // namespace

LaneRun::LaneRun(Target& target, Model& model, Random& random, const LaneHazards& hazards,
                 std::function<void(FakeTask&)> land, const std::vector<std::string>& tasks)
    : target_(&target),
      model_(&model),
      random_(&random),
      hazards_(&hazards),
      land_(std::move(land)),
      tip_(target.version),
      tip_is_red_(target.is_red),
      troubles_(target.is_red ? 1 : 0),
      was_disturbed_(target.is_red) {
    Tasks waiting;
    for (const std::string& task_id : tasks) {
        if (model_->task(task_id).landed) {  // found on the target
            codes_[task_id] = landed;
        } else if (model_->task(task_id).nothing) {
            codes_[task_id] = nothing_to_land;
        } else {
            waiting.push_back(task_id);
            troubles_ += model_->task(task_id).bad ? 1 : 0;
        }
    }
    while (!waiting.empty()) {
        const auto size =
            static_cast<std::ptrdiff_t>(std::min<std::size_t>(waiting.size(), 1 + random_->below(8)));
        groups_.emplace_back(waiting.begin(), waiting.begin() + size);
        waiting.erase(waiting.begin(), waiting.begin() + size);
    }
    queue_.emplace(groups_, random_->below(8));
}

std::optional<std::uint32_t> LaneRun::code(const std::string& task_id) const {
    const auto found = codes_.find(task_id);
    return found == codes_.end() ? std::nullopt : std::optional(found->second);
}

// Somebody else pushes, or lands one of the tasks.
void LaneRun::disturb() {
    if (hazards_->landings != 0 && random_->chance(hazards_->landings)) {
        auto& tasks = model_->tasks();
        FakeTask& task = tasks[random_->below(tasks.size())];
        if (!task.landed && !task.bad) {
            ++target_->version;
            ++troubles_;
            was_disturbed_ = true;
            land_elsewhere(task);
        }
    }
    if (random_->chance(hazards_->foreign_pushes)) {
        ++target_->version;
        ++troubles_;
        was_disturbed_ = true;
        if (random_->chance(hazards_->reds)) {
            target_->is_red = !target_->is_red;
        }
    }
}

bool LaneRun::advance() {
    disturb();
    if (green_) {
        push();
    } else {
        const auto next = queue_->next();
        if (const auto* const each = std::get_if<core::MergeQueue::Try>(&next)) {
            attempt(each->tasks);
        } else if (std::holds_alternative<core::MergeQueue::GateTip>(next)) {
            queue_->tip_gated(gate({}));
        } else {
            finish();
            return false;
        }
    }
    return !was_put_off_;
}

bool LaneRun::gate(const Tasks& tasks) {
    ++gate_runs_;
    const bool flake = random_->chance(hazards_->flakes);
    troubles_ += flake ? 1 : 0;
    was_disturbed_ = was_disturbed_ || flake;
    const bool green = !flake && !is_bad(tasks) && !tip_is_red_;
    judged_[{tip_, tasks}] = green;
    if (tasks.empty() && green) {
        green_tips_.insert(tip_);
    }
    return green;
}

bool LaneRun::is_bad(const Tasks& tasks) const {
    return std::any_of(tasks.begin(), tasks.end(),
                       [this](const std::string& id) { return model_->task(id).bad; });
}

bool LaneRun::undoes(const FakeTask& task, const Tasks& on_target) {
    return std::any_of(task.undoes.begin(), task.undoes.end(),
                       [&](const std::string& other) { return contains(on_target, other); });
}

bool LaneRun::conflicts(const FakeTask& task, const Tasks& with) const {
    return std::any_of(with.begin(), with.end(), [&](const std::string& other) {
        return contains(task.conflicts, other) || contains(model_->task(other).conflicts, task.id);
    });
}

void LaneRun::attempt(const Tasks& tasks) {
    Tasks on_target;
    for (const FakeTask& task : model_->tasks()) {
        if (task.landed) {
            on_target.push_back(task.id);
        }
    }
    Green built;
    built.tip = tip_;
    for (const std::string& task_id : tasks) {
        const FakeTask& task = model_->task(task_id);
        if (task.landed && tip_ == target_->version) {  // by somebody else, meanwhile
            codes_[task_id] = landed;
            built.decided.push_back(task_id);
        } else if (conflicts(task, on_target) || undoes(task, on_target)) {
            codes_[task_id] = mendable;
            built.decided.push_back(task_id);
        } else if (conflicts(task, built.candidate) || undoes(task, built.candidate)) {
            ++troubles_;
        } else {
            built.candidate.push_back(task_id);
        }
    }
    if (built.candidate.empty()) {
        queue_->tried({}, built.decided, core::MergeQueue::Result::empty);
    } else if (random_->chance(hazards_->recalled)) {
        built.recalled = true;
        was_disturbed_ = true;
        ++troubles_;
        green_ = std::move(built);
    } else if (gate(built.candidate)) {
        green_ = std::move(built);
    } else {
        queue_->tried(built.candidate, built.decided, core::MergeQueue::Result::red);
    }
}

void LaneRun::push() {
    const Green green = std::move(*green_);
    green_.reset();
    if (target_->version != tip_) {
        put_off();
        return;
    }
    if (random_->chance(hazards_->refusals)) {
        ++troubles_;
        was_disturbed_ = true;
        if (green.candidate.size() > 1) {
            queue_->tried(green.candidate, green.decided, core::MergeQueue::Result::red);
            return;
        }
        codes_[green.candidate.front()] = blocked;
        Tasks decided = green.decided;
        decided.push_back(green.candidate.front());
        queue_->tried({}, decided, core::MergeQueue::Result::empty);
        return;
    }
    if (green.tip != target_->version || (!green.recalled && !judged_[{green.tip, green.candidate}])) {
        throw Violation{"something is pushed that was not green as a whole"};
    }
    ++target_->version;
    for (const std::string& task_id : green.candidate) {
        check_landing(model_->task(task_id));
        codes_[task_id] = landed;
        land_(model_->task(task_id));
    }
    const std::uint64_t ours = target_->version;
    if (green.recalled) {  // and perhaps wrongly
        target_->is_red = target_->is_red || is_bad(green.candidate);
    } else {
        green_tips_.insert(ours);
    }
    disturb();
    tip_ = target_->version;
    tip_is_red_ = target_->is_red;
    queue_->tried(green.candidate, green.decided,
                  tip_ == ours && !green.recalled ? core::MergeQueue::Result::landed
                                                  : core::MergeQueue::Result::unproven);
}

// Once, whoever did it, and without taking back what another one has landed.
void LaneRun::check_landing(const FakeTask& task) const {
    if (task.landed) {
        throw Violation{fmt::format("{}: lands though somebody else has landed it", task.id)};
    }
    for (const std::string& other : task.undoes) {
        if (model_->task(other).landed) {
            throw Violation{fmt::format("{}: what {} has landed is undone without a word", task.id, other)};
        }
    }
}

void LaneRun::put_off() {
    was_put_off_ = true;
    for (const Tasks& group : groups_) {
        for (const std::string& task_id : group) {
            codes_.emplace(task_id, try_again);
        }
    }
}

void LaneRun::finish() {
    for (const std::string& task_id : queue_->blamed()) {
        const bool was_red_alone =
            std::any_of(green_tips_.begin(), green_tips_.end(), [&](std::uint64_t tip) {
                const auto alone = judged_.find({tip, {task_id}});
                return alone != judged_.end() && !alone->second;
            });
        if (!was_red_alone) {
            throw Violation{fmt::format("{}: blamed without being red alone on a green tip", task_id)};
        }
        codes_[task_id] = mendable;
    }
    target_was_red_ = queue_->tip_is_red();
    check_end();
    put_off();
}

// If nobody and nothing disturbed it, all that is good has landed, within the bound.
void LaneRun::check_end() const {
    std::size_t tasks = 0;
    for (const Tasks& group : groups_) {
        tasks += group.size();
        for (const std::string& task_id : group) {
            if (!target_was_red_ && codes_.count(task_id) == 0) {
                throw Violation{fmt::format("{}: the lane ends without a word about it", task_id)};
            }
            const FakeTask& task = model_->task(task_id);
            const bool conflicts_with_somebody =
                !task.conflicts.empty() || !task.undoes.empty() ||
                std::any_of(model_->tasks().begin(), model_->tasks().end(),
                            [&](const FakeTask& other) { return contains(other.conflicts, task_id); });
            if (!was_disturbed_ && !task.bad && !conflicts_with_somebody && codes_.at(task_id) != landed) {
                throw Violation{fmt::format("{}: good, and not landed", task_id)};
            }
        }
    }
    const auto depth =
        tasks == 0 ? 0 : static_cast<std::uint32_t>(std::ceil(std::log2(static_cast<double>(tasks)))) + 1;
    if (gate_runs_ > 3 + groups_.size() + troubles_ * (depth + 3)) {
        throw Violation{
            fmt::format("{} runs of the gate for {} tasks and {} troubles", gate_runs_, tasks, troubles_)};
    }
}

}  // namespace ralph::sim
