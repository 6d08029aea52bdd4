// One run of the merge queue, decided on: the work of one or more tasks is put on the target. What to build,
// gate, gate ahead of time, push and put back, and who is to blame, is decided here; the integrate step
// performs it with git, and the simulation performs it with a model.
//
// `step` takes an event and returns actions, to be performed in order. The last of them wants an answer: the
// event that its comment names, or Failed. Nothing is returned after Finish.
//
//   Begun -> Open -> Prepare -> (Build -> Recall -> TakeAhead -> Gate -> Push)... -> BringForward -> Finish
//
// Which tasks are tried together is merge_queue.h's decision.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/landing/merge_queue.h"
#include "core/landing/partitions.h"

namespace ralph::core {

namespace landing {

using Tasks = std::vector<std::string>;

struct Rules {
    PartitionRules groups;
    std::size_t slots_ahead = 0;  // how many candidates can be gated ahead of time, side by side
    std::size_t turn = 0;         // another one at each run: who is tried alone on a red target
    bool may_run_again = true;    // another run may end what this one leaves undone
    std::string target;           // for messages: "origin/main"
};

struct Verdict {
    bool green = true;
    bool recalled = false;  // no gate ran now
    bool ran = true;        // false: the gate cannot be run at all, which is nobody's work's fault
    std::string reason = {};
};

// How the run ends for a task that has not landed.
enum class Conclusion {
    try_again,    // the target, or its remote, was in the way
    unavailable,  // a bad minute of the host or the remote
    blocked,      // an operator has to look
    fixable,      // blocked, but the worker may be able to repair it
};

enum class PushEnd {
    landed,       // the target holds the candidate
    refused,      // by the remote, once it had seen the candidate
    shut_out,     // by credentials or a hook on this side: anything else would be, too
    deferred,     // the target is another one now
    unavailable,  // a bad minute of the host or the remote
};

namespace event {
struct Begun {};
struct Opened {
    std::string obstacle = {};  // what keeps everybody from landing until an operator has looked; or nothing
};
struct Prepared {
    std::vector<Change> changes;  // of those whose work can be tried, in their order
    Tasks landed;                 // the target holds their work already; all others have ended otherwise
};
struct Built {
    Tasks candidate;
    Tasks ended;   // for reasons of their own; who is in neither conflicts with another one of the candidate
    Tasks landed;  // of those that have ended
};
struct Recalled {
    std::optional<Verdict> verdict;
};
struct TakenAhead {
    std::optional<Verdict> verdict;  // on the very same files, by the same gates
};
struct Gated {
    Verdict verdict;
};
struct Pushed {
    PushEnd end = PushEnd::landed;
    bool is_tip = true;            // landed: the candidate is the target's tip still
    bool answer_was_lost = false;  // landed, though the answer said nothing
    std::string why = {};
};
struct TipMadeBy {
    std::string tip;  // for messages
    Tasks makers;
};
struct RemoteAsked {
    bool answers = false;
};
struct Renewed {};
struct BroughtForward {
    bool again = false;  // another run should try it
    std::string note;
};
struct Failed {
    bool passes = false;  // by itself: a bad minute
    std::string why;
};
}  // namespace event

using Event = std::variant<event::Begun, event::Opened, event::Prepared, event::Built, event::Recalled,
                           event::TakenAhead, event::Gated, event::Pushed, event::TipMadeBy,
                           event::RemoteAsked, event::Renewed, event::BroughtForward, event::Failed>;

namespace action {
// Make the place for candidates usable, and fetch the target. Opened.
struct Open {};
// Commit what their workers have left, and take it over. Prepared.
struct Prepare {
    Tasks tasks;
};
// On top of the tip, as many of these as go together. Built.
struct Build {
    Tasks tasks;
};
// What is known of the candidate without running a gate. Recalled.
struct Recall {};
// What was gated ahead of time of these tasks on top of the tip that this run began with; wait for it if it
// is under way. TakenAhead.
struct TakeAhead {
    Tasks candidate;
    Tasks content;
};
// Run the gates on the candidate, or on the tip alone if it is empty; meanwhile, at other places, on what is
// `likely` to be asked for next, of which `landed` is on the tip already. Gated.
struct Gate {
    Tasks candidate;
    std::vector<Tasks> likely;
    Tasks landed;
};
// Pushed.
struct Push {
    Tasks candidate;
};
// Who has pushed the tip by himself. TipMadeBy.
struct FindMakers {};
// Whether the remote answers at all. RemoteAsked.
struct AskRemote {};
// Another place for candidates; why is told with each task. Renewed.
struct Renew {
    std::string why;
};
// The user's checkout, after a task has landed. BroughtForward.
struct BringForward {
    std::string task_id;
};
// No answer to these.
struct ForgetAhead {};
struct Landed {  // they have landed
    Tasks candidate;
    bool answer_was_lost = false;
};
struct End {
    std::string task_id;
    Conclusion conclusion = Conclusion::try_again;
    std::string why;
    bool red_alone = false;  // by the gate, whose output helps to repair it
};
struct Note {
    std::string task_id;
    std::string text;
};
struct RunAgain {  // it has landed, and the run is done again for what comes after that
    std::string task_id;
    std::string why;
};
struct Finish {
    bool target_is_red = false;
};
}  // namespace action

using Action = std::variant<action::Open, action::Prepare, action::Build, action::Recall, action::TakeAhead,
                            action::Gate, action::Push, action::FindMakers, action::AskRemote, action::Renew,
                            action::BringForward, action::ForgetAhead, action::Landed, action::End,
                            action::Note, action::RunAgain, action::Finish>;

}  // namespace landing

class LandingRun {
  public:
    // The run's own task first.
    LandingRun(const landing::Tasks& tasks, landing::Rules rules);

    [[nodiscard]] std::vector<landing::Action> step(const landing::Event& event);

  private:
    struct Handler;

    struct Task {
        std::string id;
        bool has_ended = false;
        bool has_landed = false;
    };

    landing::Rules rules_;
    std::vector<Task> tasks_;
    std::optional<MergeQueue> queue_;
    landing::Tasks landed_;     // by this run, with nobody else's work in between
    landing::Tasks candidate_;  // the present one
    landing::Tasks ended_;      // while it was built
    landing::Verdict verdict_;  // on it
    bool gates_tip_ = false;
    std::map<std::string, std::string> red_;  // why a candidate that began with this task was red
    std::string tip_reason_;
    bool target_is_red_ = false;  // by itself
    bool was_renewed_ = false;
    std::string fault_;  // that may be of the place, or of the remote
};

}  // namespace ralph::core
