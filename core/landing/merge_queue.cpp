#include "core/landing/merge_queue.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "core/base/check.h"

namespace ralph::core {
namespace {

using Tasks = MergeQueue::Tasks;

bool contains(const Tasks& tasks, const std::string& task) {
    return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}

void remove(Tasks& from, const Tasks& tasks) {
    from.erase(std::remove_if(from.begin(), from.end(),
                              [&tasks](const std::string& task) { return contains(tasks, task); }),
               from.end());
}

// What may come, and how probable that is.
struct Future {
    double chance = 1;
    MergeQueue queue;
    Tasks landed = {};  // until then

    bool operator<(const Future& other) const { return chance < other.chance; }
};

constexpr int most_futures = 200;

}  // namespace

MergeQueue::MergeQueue(const std::vector<Tasks>& groups, std::size_t turn) : turn_(turn) {
    for (const Tasks& group : groups) {
        CHECK(!group.empty());
        groups_.push_back({group, {}});
    }
}

std::size_t MergeQueue::current() const {
    const auto wants = [this](bool red) {
        const auto group = std::find_if(groups_.begin(), groups_.end(), [red](const Group& each) {
            return !each.pending.empty() && each.red.empty() != red;
        });
        return static_cast<std::size_t>(group - groups_.begin());
    };
    const std::size_t untried = wants(false);
    return untried < groups_.size() ? untried : wants(true);
}

// Before anybody is judged; and when the rest is red, too, since then it may be the tip.
bool MergeQueue::must_know_tip() const {
    const std::size_t group = current();
    return tip_ == Tip::unknown && !suspects_.empty() &&
           (group == groups_.size() || !groups_[group].red.empty());
}

MergeQueue::Next MergeQueue::next() const {
    if (tip_ == Tip::red) {
        return next_on_red_tip();
    }
    if (must_know_tip()) {
        return GateTip{};
    }
    if (const std::size_t group = current(); group < groups_.size()) {
        const Tasks& red = groups_[group].red;
        return red.empty() ? Probe{groups_[group].pending}
                           : Probe{{red.begin() + static_cast<std::ptrdiff_t>(red.size() / 2), red.end()}};
    }
    if (!suspects_.empty()) {
        return Probe{{suspects_.front()}};
    }
    return Done{};
}

MergeQueue::Next MergeQueue::next_on_red_tip() const {
    Tasks left = suspects_;
    for (const Group& group : groups_) {
        left.insert(left.end(), group.pending.begin(), group.pending.end());
    }
    if (fixing_was_tried_ || left.empty()) {
        return Done{};
    }
    std::sort(left.begin(), left.end());
    return Probe{{left[turn_ % left.size()]}};
}

void MergeQueue::forget(const Tasks& tasks) {
    for (Group& group : groups_) {
        remove(group.pending, tasks);
        remove(group.red, tasks);
    }
    remove(suspects_, tasks);
}

void MergeQueue::probed(const Tasks& candidate, const Tasks& decided, Result result) {
    CHECK(!candidate.empty() || !decided.empty());
    CHECK(candidate.empty() == (result == Result::empty));
    const std::size_t group = current();
    const bool judging = group == groups_.size() && tip_ != Tip::red;
    fixing_was_tried_ = tip_ == Tip::red;
    forget(decided);
    switch (result) {
        case Result::landed:
            forget(candidate);
            tip_ = Tip::green;
            break;
        case Result::unproven:
            forget(candidate);
            tip_ = Tip::unknown;
            break;
        case Result::red:
            if (tip_ == Tip::red) {
                break;
            }
            if (judging) {
                CHECK(tip_ == Tip::green && candidate.size() == 1);
                forget(candidate);
                culprits_.push_back(candidate.front());
            } else {
                groups_[group].red = candidate;
            }
            break;
        case Result::empty:
            break;
    }
    for (Group& each : groups_) {
        if (each.red.size() == 1) {
            suspects_.push_back(each.red.front());
            remove(each.pending, suspects_);
            each.red.clear();
        }
    }
}

void MergeQueue::tip_gated(bool green) {
    tip_ = green ? Tip::green : Tip::red;
}

// Most work is good. Half of a red set is as likely good as not, and a suspect is not likely to be.
double MergeQueue::chance_of_green() const {
    const std::size_t group = current();
    if (group == groups_.size()) {
        return 0.1;
    }
    return groups_[group].red.empty() ? 0.8 : 0.5;
}

std::vector<Tasks> MergeQueue::predict(std::size_t count) const {
    std::vector<Tasks> candidates;
    std::priority_queue<Future> futures;
    futures.push({1, *this});
    const bool is_under_way = std::holds_alternative<Probe>(next());  // the first one, which is no guess then
    Tasks present;
    for (int i = 0; i < most_futures && !futures.empty() && candidates.size() < count; ++i) {
        Future future = futures.top();
        futures.pop();
        while (std::holds_alternative<GateTip>(future.queue.next())) {
            future.queue.tip_gated(true);
        }
        const Next next = future.queue.next();
        const auto* const each = std::get_if<Probe>(&next);
        if (each == nullptr || future.queue.tip_is_red()) {
            continue;
        }
        Tasks content = future.landed;
        content.insert(content.end(), each->tasks.begin(), each->tasks.end());
        if (i == 0 && is_under_way) {
            present = content;
        } else if (content != present &&
                   std::find(candidates.begin(), candidates.end(), content) == candidates.end()) {
            candidates.push_back(content);
        }
        const double green = future.queue.chance_of_green();
        Future red{future.chance * (1 - green), future.queue, future.landed};
        red.queue.probed(each->tasks, {}, Result::red);
        future.queue.probed(each->tasks, {}, Result::landed);
        futures.push({future.chance * green, std::move(future.queue), std::move(content)});
        futures.push(std::move(red));
    }
    return candidates;
}

}  // namespace ralph::core
