// Which tasks of a batch are tried together. One try puts a set of tasks on top of the target's tip, runs the
// gate once on the result, and lands it if the gate is green. The decisions are here; who tries, and how, is
// the integrate step's affair.
//
// Tasks come in groups, and all of a group are tried together first. A red set is halved: the later half is
// tried alone. If it is green, it lands, and what made the set red is among the others; if it is red, it is
// what is halved next. So each red task is isolated after log2(N) tries, which land the others on the way,
// and then the rest is tried as a whole. One bad task among N costs 2 + log2(N) runs of the gate, k of them
// O(k log N). A group is not halved before the others have been tried.
//
// A task that was isolated is only suspected: its gate was red together with a tip of which nobody knows
// whether it is green. At the end it is judged: alone, on a tip that is known to be green. Often that costs
// no run, since the same files have been gated before. Is the tip red by itself, nobody is blamed; one task
// of those that are left, which may be the one that fixes it, is tried alone.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace ralph::core {

class MergeQueue {
  public:
    using Tasks = std::vector<std::string>;

    // The groups in the order in which they are tried, none of them empty, with their tasks in the order of
    // the queue. `turn`: which task is tried alone on a tip that is red, so that it is another one each time.
    explicit MergeQueue(const std::vector<Tasks>& groups, std::size_t turn = 0);

    // Try these, in this order, and answer with probed().
    struct Probe {
        Tasks tasks;
        bool operator==(const Probe&) const = default;
    };
    // Run the gate on the tip itself, and answer with tip_gated().
    struct GateTip {
        bool operator==(const GateTip&) const = default;
    };
    struct Done {
        bool operator==(const Done&) const = default;
    };
    using Next = std::variant<Probe, GateTip, Done>;
    [[nodiscard]] Next next() const;

    enum class Result {
        landed,    // the gate was green, and the target is the candidate
        unproven,  // it has landed, but nobody knows whether the target is green now: there is more on it, or
                   // the gate did not run in this run of the merge queue
        red,
        empty,  // there is no candidate: all of the tasks are among `decided`
    };
    // `candidate`: who was in it. Who was to be tried and is in neither list conflicts with another one of
    // the candidate, and is tried again later. `decided`: who ended otherwise and is to be tried no more. At
    // least the first task of a try must be in one of the lists.
    void probed(const Tasks& candidate, const Tasks& decided, Result result);
    void tip_gated(bool green);

    // Candidates that may be asked for after the present one, the most probable first, at most `count`: each
    // as the tasks that it has on top of the present tip, those included that will have landed by then. What
    // is gated beforehand need not be waited for; a guess that turns out wrong costs nothing but its gate.
    [[nodiscard]] std::vector<Tasks> predict(std::size_t count) const;

    // Red alone on a tip that is green without them.
    [[nodiscard]] const Tasks& culprits() const { return culprits_; }
    [[nodiscard]] bool tip_is_red() const { return tip_ == Tip::red; }

  private:
    enum class Tip { unknown, green, red };
    struct Group {
        Tasks pending;  // neither landed nor suspected
        Tasks red;      // part of pending that holds a bad one; empty, or two and more
    };

    void forget(const Tasks& tasks);
    // The group that is tried next; groups_.size() if all have been dealt with.
    [[nodiscard]] std::size_t current() const;
    [[nodiscard]] bool must_know_tip() const;
    [[nodiscard]] Next next_on_red_tip() const;
    [[nodiscard]] double chance_of_green() const;

    std::vector<Group> groups_;
    std::size_t turn_;
    Tip tip_ = Tip::unknown;
    bool fixing_was_tried_ = false;
    Tasks suspects_;  // isolated, and to be judged
    Tasks culprits_;
};

}  // namespace ralph::core
