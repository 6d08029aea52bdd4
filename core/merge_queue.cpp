#include "core/merge_queue.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/check.h"

namespace ralph::core {
namespace {

bool contains(const std::vector<std::string>& tasks, const std::string& task) {
    return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}

}  // namespace

MergeQueue::MergeQueue(std::vector<std::string> tasks) : pending_(std::move(tasks)) {}

// Before anybody is judged; and when the rest is red, too, since then it may be the tip.
bool MergeQueue::must_know_tip() const {
    return tip_ == Tip::unknown && !suspects_.empty() && (pending_.empty() || !red_.empty());
}

MergeQueue::Next MergeQueue::next() const {
    if (tip_ == Tip::red) {
        return Done{};
    }
    if (must_know_tip()) {
        return GateTip{};
    }
    if (!red_.empty()) {
        return Try{{red_.begin() + static_cast<std::ptrdiff_t>(red_.size() / 2), red_.end()}};
    }
    if (!pending_.empty()) {
        return Try{pending_};
    }
    if (!suspects_.empty()) {
        return Try{{suspects_.front()}};
    }
    return Done{};
}

void MergeQueue::forget(const std::vector<std::string>& tasks) {
    for (auto* const list : {&pending_, &red_, &suspects_}) {
        list->erase(std::remove_if(list->begin(), list->end(),
                                   [&tasks](const std::string& task) { return contains(tasks, task); }),
                    list->end());
    }
}

void MergeQueue::tried(const std::vector<std::string>& candidate, const std::vector<std::string>& decided,
                       Result result) {
    CHECK(!candidate.empty() || !decided.empty());
    CHECK(candidate.empty() == (result == Result::empty));
    const bool judging = pending_.empty();
    forget(decided);
    switch (result) {
        case Result::landed:
            forget(candidate);
            tip_ = Tip::green;
            break;
        case Result::overtaken:
            forget(candidate);
            tip_ = Tip::unknown;
            break;
        case Result::red:
            if (judging) {
                CHECK(tip_ == Tip::green && candidate.size() == 1);
                forget(candidate);
                blamed_.push_back(candidate.front());
            } else {
                red_ = candidate;
            }
            break;
        case Result::empty:
            break;
    }
    if (red_.size() == 1) {
        suspects_.push_back(red_.front());
        pending_.erase(std::remove(pending_.begin(), pending_.end(), red_.front()), pending_.end());
        red_.clear();
    }
}

void MergeQueue::tip_gated(bool green) {
    tip_ = green ? Tip::green : Tip::red;
}

}  // namespace ralph::core
