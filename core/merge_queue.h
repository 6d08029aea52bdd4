// Which tasks of a batch are tried together. One try puts a set of tasks on top of the target's tip, runs the
// gate once on the result, and lands it if the gate is green. The decisions are here; who tries, and how, is
// the integrate step's affair.
//
// All are tried together first. A red set is halved: the later half is tried alone. If it is green, it lands,
// and what made the set red is among the others; if it is red, it is what is halved next. So each red task
// is isolated after log2(N) tries, which land the others on the way, and then the rest is tried as a whole.
// One bad task among N costs 2 + log2(N) runs of the gate, k of them O(k log N).
//
// A task that was isolated is only suspected: its gate was red together with a tip of which nobody knows
// whether it is green. At the end it is judged: alone, on a tip that is known to be green. Often that costs
// no run, since the same files have been gated before. Is the tip red by itself, nobody is blamed.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace ralph::core {

class MergeQueue {
  public:
    // In the order of the queue.
    explicit MergeQueue(std::vector<std::string> tasks);

    // Try these, in this order, and answer with tried().
    struct Try {
        std::vector<std::string> tasks;
        bool operator==(const Try&) const = default;
    };
    // Run the gate on the tip itself, and answer with tip_gated().
    struct GateTip {
        bool operator==(const GateTip&) const = default;
    };
    struct Done {
        bool operator==(const Done&) const = default;
    };
    using Next = std::variant<Try, GateTip, Done>;
    [[nodiscard]] Next next() const;

    enum class Result {
        landed,     // the gate was green, and the target is the candidate
        overtaken,  // the same, but somebody has put more on top of it
        red,
        empty,  // there is no candidate: all of the tasks are among `decided`
    };
    // `candidate`: who was in it. Who was to be tried and is in neither list conflicts with another one of
    // the candidate, and is tried again later. `decided`: who ended otherwise and is to be tried no more. At
    // least the first task of a try must be in one of the lists.
    void tried(const std::vector<std::string>& candidate, const std::vector<std::string>& decided,
               Result result);
    void tip_gated(bool green);

    // Red alone on a tip that is green without them.
    [[nodiscard]] const std::vector<std::string>& blamed() const { return blamed_; }
    [[nodiscard]] bool tip_is_red() const { return tip_ == Tip::red; }

  private:
    enum class Tip { unknown, green, red };

    void forget(const std::vector<std::string>& tasks);
    [[nodiscard]] bool must_know_tip() const;

    Tip tip_ = Tip::unknown;
    std::vector<std::string> pending_;   // neither landed nor suspected
    std::vector<std::string> red_;       // part of pending_ that holds a bad one; empty, or two and more
    std::vector<std::string> suspects_;  // isolated, and to be judged
    std::vector<std::string> blamed_;
};

}  // namespace ralph::core
