#include "core/landing/landing_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace ralph::core {

using landing::Conclusion;
using landing::Tasks;
namespace action = landing::action;
namespace event = landing::event;

namespace {

// Of candidates that are looked ahead to, for each place.
constexpr std::size_t likely_for_each_place = 4;
constexpr std::size_t shown_object = 12;

}  // namespace

// What one event leads to.
struct LandingRun::Handler {
    LandingRun& run;
    std::vector<landing::Action>& actions;

    void operator()(const event::Begun&) const { actions.emplace_back(action::Open{}); }

    void operator()(const event::Opened& opened) const {
        if (!opened.obstacle.empty()) {
            end_waiting(Conclusion::blocked, opened.obstacle);
            bring_forward();
            return;
        }
        actions.emplace_back(action::Prepare{waiting()});
    }

    void operator()(const event::Prepared& prepared) const {
        Tasks can_be_tried;
        for (const Change& change : prepared.changes) {
            can_be_tried.push_back(change.task_id);
        }
        for (Task& task : run.tasks_) {
            if (!task.has_ended && !contains(can_be_tried, task.id)) {
                set_ended(task, prepared.landed);
            }
        }
        forget_ahead();
        run.queue_.emplace(group_changes(prepared.changes, run.rules_.groups), run.rules_.turn);
        go_on();
    }

    void operator()(const event::Built& built) const {
        run.candidate_ = built.candidate;
        run.ended_ = built.ended;
        for (const std::string& task_id : built.ended) {
            set_ended(task(task_id), built.landed);
        }
        if (built.candidate.empty()) {
            tried({}, MergeQueue::Result::empty);
            return;
        }
        actions.emplace_back(action::Recall{});
    }

    void operator()(const event::Recalled& recalled) const {
        if (recalled.verdict) {
            judged(*recalled.verdict);
            return;
        }
        Tasks content = run.landed_;
        content.insert(content.end(), run.candidate_.begin(), run.candidate_.end());
        actions.emplace_back(action::TakeAhead{run.candidate_, std::move(content)});
    }

    // It may be red for reasons of the other place, so that nobody is blamed by it.
    void operator()(const event::TakenAhead& taken) const {
        if (taken.verdict && (taken.verdict->green || run.candidate_.size() > 1)) {
            judged(*taken.verdict);
            return;
        }
        gate(run.candidate_);
    }

    void operator()(const event::Gated& gated) const {
        if (std::exchange(run.gates_tip_, false)) {
            run.tip_reason_ = gated.verdict.reason;
            run.queue_->tip_gated(gated.verdict.green);
            go_on();
            return;
        }
        judged(gated.verdict);
    }

    void operator()(const event::Pushed& pushed) const {
        switch (pushed.end) {
            case landing::PushEnd::landed:
                landed(pushed);
                return;
            case landing::PushEnd::refused:
                refused(pushed.why);
                return;
            case landing::PushEnd::shut_out:
                end_waiting(Conclusion::blocked, pushed.why);
                break;
            case landing::PushEnd::deferred:
                end_waiting(Conclusion::try_again, pushed.why);
                break;
            case landing::PushEnd::unavailable:
                end_waiting(Conclusion::unavailable, pushed.why);
                break;
        }
        bring_forward();
    }

    // A worker that has pushed by itself what makes the target red is told so, and may be given it back.
    void operator()(const event::TipMadeBy& made) const {
        run.target_is_red_ = true;
        for (Task& each : run.tasks_) {
            if (!each.has_ended && contains(made.makers, each.id)) {
                run.tip_reason_ = fmt::format(
                    "{} is red since {}, which the worker of {} has pushed by itself: {}", run.rules_.target,
                    made.tip.substr(0, shown_object), each.id, run.tip_reason_);
                end(each, Conclusion::fixable, run.tip_reason_);
            }
        }
        end_waiting(Conclusion::try_again, fmt::format("{} itself fails the gate, nobody is blamed: {}",
                                                       run.rules_.target, run.tip_reason_));
        bring_forward();
    }

    void operator()(const event::Failed& failed) const {
        run.gates_tip_ = false;
        run.fault_ = failed.why;
        if (failed.passes) {
            give_up(Conclusion::unavailable);
        } else if (run.was_renewed_) {
            give_up(Conclusion::try_again);
        } else {
            actions.emplace_back(action::AskRemote{});
        }
    }

    // Once: what is wrong with the place where candidates are built is no reason to hold up anybody.
    void operator()(const event::RemoteAsked& remote) const {
        if (!remote.answers) {
            give_up(Conclusion::unavailable);
            return;
        }
        run.was_renewed_ = true;
        actions.emplace_back(action::Renew{run.fault_});
    }

    void operator()(const event::Renewed&) const { actions.emplace_back(action::Open{}); }

    // A checkout that a fault left half-way may keep new tasks from starting, and nobody else comes by who
    // would end that; so the step is done again for one of those that have landed, but what has landed is
    // never blocked by it.
    void operator()(const event::BroughtForward& forward) const {
        const Task& first = *first_landed();
        if (forward.again && run.rules_.may_run_again) {
            actions.emplace_back(action::RunAgain{
                first.id,
                fmt::format("{} has landed on {}, but {}", first.id, run.rules_.target, forward.note)});
        } else {
            actions.emplace_back(action::Note{first.id, forward.note});
        }
        finish();
    }

  private:
    static bool contains(const Tasks& tasks, const std::string& task) {
        return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
    }

    [[nodiscard]] Task& task(const std::string& id) const {
        const auto found = std::find_if(run.tasks_.begin(), run.tasks_.end(),
                                        [&id](const Task& each) { return each.id == id; });
        CHECK(found != run.tasks_.end());
        return *found;
    }

    [[nodiscard]] Tasks waiting() const {
        Tasks tasks;
        for (const Task& each : run.tasks_) {
            if (!each.has_ended) {
                tasks.push_back(each.id);
            }
        }
        return tasks;
    }

    [[nodiscard]] std::vector<Task>::const_iterator first_landed() const {
        return std::find_if(run.tasks_.begin(), run.tasks_.end(),
                            [](const Task& each) { return each.has_landed; });
    }

    static void set_ended(Task& task, const Tasks& landed) {
        task.has_ended = true;
        task.has_landed = contains(landed, task.id);
    }

    void end(Task& task, Conclusion conclusion, const std::string& why, bool red_alone = false) const {
        task.has_ended = true;
        actions.emplace_back(action::End{task.id, conclusion, why, red_alone});
    }

    void end_waiting(Conclusion conclusion, const std::string& why) const {
        for (Task& each : run.tasks_) {
            if (!each.has_ended) {
                end(each, conclusion, why);
            }
        }
    }

    void give_up(Conclusion conclusion) const {
        end_waiting(conclusion, run.fault_);
        bring_forward();
    }

    void bring_forward() const {
        if (const auto first = first_landed(); first != run.tasks_.end()) {
            actions.emplace_back(action::BringForward{first->id});
        } else {
            finish();
        }
    }

    void finish() const { actions.emplace_back(action::Finish{run.target_is_red_}); }

    // There is more on the target than this run has landed.
    void forget_ahead() const {
        run.landed_.clear();
        actions.emplace_back(action::ForgetAhead{});
    }

    void go_on() const {
        const MergeQueue::Next next = run.queue_->next();
        if (const auto* const each = std::get_if<MergeQueue::Probe>(&next)) {
            actions.emplace_back(action::Build{each->tasks});
        } else if (std::holds_alternative<MergeQueue::GateTip>(next)) {
            // Really: what was green yesterday may be red today for reasons of the machine, and it is now
            // that somebody may be blamed.
            run.gates_tip_ = true;
            gate({});
        } else {
            conclude();
        }
    }

    void gate(const Tasks& candidate) const {
        const std::size_t places = run.rules_.slots_ahead;
        // What is under way ahead of time goes on for as long as it may still be asked for.
        actions.emplace_back(action::Gate{
            candidate,
            places == 0 ? std::vector<Tasks>{} : run.queue_->predict(likely_for_each_place * places),
            run.landed_});
    }

    void conclude() const {
        for (const std::string& task_id : run.queue_->culprits()) {
            end(task(task_id), Conclusion::fixable, run.red_[task_id], true);
        }
        if (run.queue_->tip_is_red()) {
            actions.emplace_back(action::FindMakers{});
        } else {
            bring_forward();
        }
    }

    void tried(const Tasks& candidate, MergeQueue::Result result) const {
        run.queue_->probed(candidate, std::exchange(run.ended_, {}), result);
        go_on();
    }

    void judged(const landing::Verdict& verdict) const {
        if (!verdict.ran) {
            end_waiting(Conclusion::blocked, verdict.reason);
            bring_forward();
        } else if (!verdict.green) {
            run.red_[run.candidate_.front()] = verdict.reason;
            tried(run.candidate_, MergeQueue::Result::red);
        } else {
            run.verdict_ = verdict;
            actions.emplace_back(action::Push{run.candidate_});
        }
    }

    void landed(const event::Pushed& pushed) const {
        for (const std::string& task_id : run.candidate_) {
            set_ended(task(task_id), run.candidate_);
        }
        actions.emplace_back(action::Landed{run.candidate_, pushed.answer_was_lost});
        if (pushed.is_tip) {
            run.landed_.insert(run.landed_.end(), run.candidate_.begin(), run.candidate_.end());
        } else {
            forget_ahead();
        }
        tried(run.candidate_, pushed.is_tip && !run.verdict_.recalled ? MergeQueue::Result::landed
                                                                      : MergeQueue::Result::unproven);
    }

    // One of them may be the reason: a file that is too large, a commit without a signature.
    void refused(const std::string& why) const {
        if (run.candidate_.size() > 1) {
            tried(run.candidate_, MergeQueue::Result::red);
            return;
        }
        end(task(run.candidate_.front()), Conclusion::blocked, why);
        run.ended_.push_back(run.candidate_.front());
        tried({}, MergeQueue::Result::empty);
    }
};

LandingRun::LandingRun(const Tasks& tasks, landing::Rules rules) : rules_(std::move(rules)) {
    for (const std::string& task_id : tasks) {
        tasks_.push_back({task_id});
    }
}

std::vector<landing::Action> LandingRun::step(const landing::Event& event) {
    std::vector<landing::Action> actions;
    std::visit(Handler{*this, actions}, event);
    return actions;
}

}  // namespace ralph::core
