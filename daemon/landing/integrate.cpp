// One run of the lane: the work of one or more tasks is put on the target, behind one run of the gate if all
// goes well. Which of them are tried together is decided in core/landing/merge_queue.h.
//
// Killed at any instant, it is simply run again. Nothing in a task's workspace is moved, candidates are built
// anew from there, and what was pushed is recognised on the target.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/landing/lanes.h"
#include "core/landing/merge_queue.h"
#include "core/supervisor/transition.h"
#include "daemon/git/checkout.h"
#include "daemon/landing/candidate.h"
#include "daemon/landing/gate.h"
#include "daemon/landing/integrate.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/landing/lane_member.h"
#include "daemon/landing/lane_progress.h"
#include "daemon/landing/push.h"
#include "daemon/landing/speculation.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/commit_range.h"

namespace ralph::daemon {
namespace {

using core::MergeQueue;
using core::Result;

class Lane {
  public:
    explicit Lane(const StepContext& context) : context_(context), speculation_(context) {
        members_.emplace_back(context);
        for (const std::string& task_id : context.batch) {
            members_.emplace_back(context_of(context, task_id));
        }
    }

    // How it ended for the run's own task, and in its outcome for the others.
    Ending run() {
        auto ran = land_all();
        bool is_reached = true;
        if (!ran && !ran.error().is_passing()) {
            is_reached = remote_answers();
            if (is_reached) {
                // Once: what is wrong with the place where candidates are built is no reason to hold up
                // anybody.
                note_all(fmt::format("candidates are built in a new place, since {}", ran.error().line()));
                ran = IntegrationWorkspace::renew(context_);
                ran = ran ? land_all() : ran;
            }
        }
        if (!ran) {
            const bool passes = ran.error().is_passing() || !is_reached;
            end_all(passes ? unavailable(ran.error().line()) : try_again(ran.error().line()));
        }
        bring_forward();
        Ending own = members_.front().finish();
        own.outcome.target_is_red = target_is_red_;
        for (std::size_t i = 1; i < members_.size(); ++i) {
            Ending ending = members_[i].finish();
            own.outcome.batch.push_back({members_[i].task_id(), static_cast<std::uint32_t>(ending.code),
                                         ending.outcome.summary, ending.outcome.note,
                                         ending.outcome.landed_sha, ending.outcome.landed_by});
        }
        return own;
    }

  private:
    // Everybody who has not ended yet.
    void end_all(const Ending& ending) {
        for (LaneMember& member : members_) {
            if (!member.has_ended()) {
                member.end(ending);
            }
        }
    }

    void note_all(const std::string& what) {
        for (LaneMember& member : members_) {
            member.note(what);
        }
    }

    [[nodiscard]] bool remote_answers() const {
        const auto answer = Git(context_.settings.paths.root)
                                .run({"ls-remote", "--exit-code", "--quiet", "origin",
                                      "refs/heads/" + context_.target_branch},
                                     Git::fetch_timeout);
        return answer && answer->status == 0;
    }

    void block(const std::vector<std::string>& tasks, const std::string& why) {
        for (const std::string& task_id : tasks) {
            LaneMember& member = member_of(task_id);
            member.end(blocked(fmt::format("{}; {}", why, retry_command(member.context()))));
        }
    }

    // Another one at each run.
    [[nodiscard]] std::uint32_t run_number() const {
        const auto run = core::parse_run_directory_name(
            context_.run_directory.substr(context_.run_directory.rfind('/') + 1));
        return run ? run->number : 0;
    }

    LaneMember& member_of(const std::string& task_id) {
        return *std::find_if(members_.begin(), members_.end(),
                             [&](const LaneMember& member) { return member.task_id() == task_id; });
    }

    [[nodiscard]] std::vector<std::string> waiting() const {
        std::vector<std::string> tasks;
        for (const LaneMember& member : members_) {
            if (!member.has_ended()) {
                tasks.push_back(member.task_id());
            }
        }
        return tasks;
    }

    Result<void> land_all() {
        auto opened = IntegrationWorkspace::open(context_);
        if (!opened) {
            return opened.error();
        }
        IntegrationWorkspace& integration = *opened;
        tell_of_rewrite(integration);
        if (integration.tip().empty()) {
            block(waiting(),
                  fmt::format("branch {} is not on origin any more; push it", context_.target_branch));
            return {};
        }
        auto texts = fetch_bookkeeping(context_.settings, integration.git(), context_.target_branch);
        if (!texts) {
            return texts.error();
        }
        auto bookkeeping = parse_bookkeeping(context_.settings, std::move(*texts));
        if (!bookkeeping) {
            block(waiting(), bookkeeping.error().line());
            return {};
        }
        tracked_ = bookkeeping->tracked;
        for (LaneMember& member : members_) {
            if (!member.has_ended()) {
                member.get_ready(integration, *bookkeeping);
            }
        }
        if (waiting().empty()) {
            return {};
        }
        auto groups = group_members(integration);
        if (!groups) {
            return groups.error();
        }
        Gates gates(context_.settings, integration.git(), integration.ground());
        return try_all(integration, gates, *groups);
    }

    // Who shares a run of the gate.
    Result<std::vector<Speculation::Tasks>> group_members(const IntegrationWorkspace& integration) {
        const config::SupervisorConfig& settings = context_.settings.supervisor;
        std::vector<core::Change> changes;
        for (const LaneMember& member : members_) {
            if (!member.has_ended()) {
                auto change = change_of(member.context(), integration);
                if (!change) {
                    return change.error();
                }
                changes.push_back(std::move(*change));
            }
        }
        return group_changes(changes,
                             {settings.lane.by_scope, settings.lane.parallel_gates, settings.batch.max});
    }

    Result<void> try_all(IntegrationWorkspace& integration, Gates& gates,
                         const std::vector<Speculation::Tasks>& groups) {
        forget_what_is_ahead();
        MergeQueue queue(groups, run_number());
        while (true) {
            const MergeQueue::Next next = queue.next();
            if (const auto* const each = std::get_if<MergeQueue::Try>(&next)) {
                auto goes_on = attempt(integration, gates, queue, each->tasks);
                if (!goes_on || !*goes_on) {
                    return goes_on ? Result<void>{} : Result<void>{goes_on.error()};
                }
            } else if (std::holds_alternative<MergeQueue::GateTip>(next)) {
                if (auto judged = judge_tip(integration, gates, queue); !judged) {
                    return judged;
                }
            } else {
                break;
            }
        }
        for (const std::string& task_id : queue.blamed()) {
            LaneMember& member = member_of(task_id);
            const GateVerdict& verdict = red_[task_id];
            member.end(mendable(fmt::format("{}; {}", verdict.reason, retry_command(member.context()))), {},
                       Handoff::CiContext{verdict.command, verdict.output});
        }
        if (queue.tip_is_red()) {
            target_is_red_ = true;
            blame_for_tip(integration.tip());
            end_all(try_again(
                fmt::format("{} is red by itself, nobody is blamed: {}", context_.target(), tip_reason_)));
        }
        return {};
    }

    // A worker that has pushed by itself what makes the target red is told so, and may be given it back.
    void blame_for_tip(const std::string& tip) {
        for (LaneMember& member : members_) {
            if (member.has_ended() || !member.has_made(tip)) {
                continue;
            }
            const std::string why = fmt::format(
                "{} is red since {}, which the worker of {} has pushed by itself: {}; {}", context_.target(),
                tip.substr(0, 12), member.task_id(), tip_reason_, retry_command(member.context()));
            tip_reason_ = why;
            member.end(mendable(why));
        }
    }

    // Commits that were taken off the target are somebody's loss or somebody's secret: told with every task,
    // and by status and doctor until somebody has seen it.
    void tell_of_rewrite(IntegrationWorkspace& integration) {
        if (const auto rewrite = integration.take_rewrite()) {
            note_all(*rewrite);
            const std::string text = fmt::format("{}: {}\n", core::format_rfc3339(wall_clock()), *rewrite);
            if (auto kept = append_file(context_.settings.paths.rewritten_target(), text); !kept) {
                note_all(kept.error().line());
            }
        }
    }

    void show(const char* doing, const std::string& candidate = {},
              const std::vector<std::string>& tasks = {}, const std::string& gate = {}) const {
        note_lane_progress(context_.run_directory,
                           {doing, gate, candidate, tasks, speculation_.under_way(), {}});
    }

    // So that the gates tell when they begin.
    void announce(Gates& gates, const std::string& candidate, const std::vector<std::string>& tasks) const {
        gates.about_to_run = [this, candidate, tasks](const std::string& gate) {
            show("gating", candidate, tasks, gate);
        };
    }

    Result<void> judge_tip(IntegrationWorkspace& integration, Gates& gates, MergeQueue& queue) {
        if (auto gone = integration.go_to(integration.tip()); !gone) {
            return gone;
        }
        announce(gates, integration.tip(), {});
        if (auto seeded = integration.seed(tracked_); !seeded) {
            return seeded;
        }
        // Really: what was green yesterday may be red today for reasons of the machine, and it is now that
        // somebody may be blamed.
        gate_ahead(integration, gates, queue);
        auto files = gates.files_of(integration.tip());
        auto verdict = files ? gates.judge(integration.tip(), *files, integration.tip(), {})
                             : Result<GateVerdict>{files.error()};
        if (!verdict) {
            return verdict.error();
        }
        tip_reason_ = verdict->reason;
        queue.tip_gated(verdict->green);
        return {};
    }

    struct Candidate {
        std::vector<IntegrationWorkspace::Landing> landings;  // in their order; the last one's commit is HEAD
        std::vector<std::string> decided;                     // who has ended without being tried

        [[nodiscard]] std::vector<std::string> tasks() const {
            std::vector<std::string> tasks;
            for (const IntegrationWorkspace::Landing& landing : landings) {
                tasks.push_back(landing.task_id);
            }
            return tasks;
        }
    };

    Result<Candidate> build(const IntegrationWorkspace& integration, const std::vector<std::string>& tasks) {
        Candidate candidate;
        show("building", {}, tasks);
        if (auto gone = integration.go_to(integration.tip()); !gone) {
            return gone.error();
        }
        for (const std::string& task_id : tasks) {
            LaneMember& member = member_of(task_id);
            auto added = add_to_candidate(member.context(), integration);
            auto head = added ? integration.git().head() : Result<std::string>{added.error()};
            if (!head) {
                return head.error();
            }
            switch (added->kind) {
                case Addition::Kind::added:
                    candidate.landings.push_back({task_id, std::move(*head)});
                    break;
                case Addition::Kind::conflict:
                    break;
                case Addition::Kind::stopped:
                    member.end(std::move(*added->stop), added->conflicts);
                    candidate.decided.push_back(task_id);
                    break;
            }
        }
        return candidate;
    }

    // There is more on the target than this run has landed.
    void forget_what_is_ahead() {
        landed_.clear();
        speculation_.forget();
    }

    // While the gate runs on the present candidate, or on the tip.
    void gate_ahead(const IntegrationWorkspace& integration, Gates& gates, const MergeQueue& queue) {
        if (speculation_.places() != 0 && !gates.are_none()) {
            // What is under way goes on for as long as it may still be asked for.
            speculation_.aim(queue.foresee(4 * speculation_.places()), integration.tip(), landed_);
        }
    }

    // The candidate is HEAD.
    Result<GateVerdict> judge(const IntegrationWorkspace& integration, Gates& gates, const MergeQueue& queue,
                              const std::string& commit, const std::vector<std::string>& tasks) {
        if (gates.are_none()) {
            return GateVerdict{};
        }
        auto files = gates.files_of(commit);
        if (!files) {
            return files.error();
        }
        if (auto known = gates.recall(*files)) {
            return std::move(*known);
        }
        announce(gates, commit, tasks);
        if (auto ahead = take_ahead(gates, *files, commit, tasks)) {
            return std::move(*ahead);
        }
        if (auto seeded = integration.seed(tracked_); !seeded) {
            return seeded.error();
        }
        gate_ahead(integration, gates, queue);
        return gates.judge(commit, *files, integration.tip(), tasks);
    }

    // A verdict from another place, if it is about these files. Nobody is blamed by it, since it may be red
    // for reasons of the place.
    std::optional<GateVerdict> take_ahead(Gates& gates, const std::string& files, const std::string& commit,
                                          const std::vector<std::string>& tasks) {
        std::vector<std::string> content = landed_;
        content.insert(content.end(), tasks.begin(), tasks.end());
        show("gating", commit, tasks, "ahead of time");
        auto ahead = speculation_.take(content);
        if (!ahead || ahead->files != files || ahead->commands != gates.commands() ||
            (!ahead->gates.green && tasks.size() == 1)) {
            return std::nullopt;
        }
        if (ahead->gates.green) {
            gates.learn_green(files);
        }
        return std::move(ahead->gates);
    }

    // False: nothing more can be done in this run, and everybody has ended or is to be put off.
    Result<bool> attempt(IntegrationWorkspace& integration, Gates& gates, MergeQueue& queue,
                         const std::vector<std::string>& tasks) {
        auto built = build(integration, tasks);
        if (!built) {
            return built.error();
        }
        const std::vector<IntegrationWorkspace::Landing>& candidate = built->landings;
        const std::vector<std::string> names = built->tasks();
        std::vector<std::string>& decided = built->decided;
        if (candidate.empty()) {
            queue.tried({}, decided, MergeQueue::Result::empty);
            return true;
        }
        const std::string& commit = candidate.back().commit;
        auto verdict = judge(integration, gates, queue, commit, names);
        if (!verdict) {
            return verdict.error();
        }
        if (!verdict->ran) {
            block(waiting(), verdict->reason);
            return false;
        }
        if (!verdict->green) {
            red_[names.front()] = *verdict;
            queue.tried(names, decided, MergeQueue::Result::red);
            return true;
        }
        member_of(names.front()).note(verdict->note);
        show("pushing", commit, names);
        auto pushed = push_candidate(context_, integration, candidate);
        tell_of_rewrite(integration);
        if (!pushed) {
            return pushed.error();
        }
        switch (pushed->kind) {
            case PushEnd::Kind::landed:
                settle(candidate, pushed->answer_was_lost);
                if (integration.tip() == commit) {
                    landed_.insert(landed_.end(), names.begin(), names.end());
                } else {
                    forget_what_is_ahead();
                }
                queue.tried(names, decided,
                            integration.tip() == commit && !verdict->recalled ? MergeQueue::Result::landed
                                                                              : MergeQueue::Result::unproven);
                return true;
            case PushEnd::Kind::refused:
                // One of them may be the reason: a file that is too large, a commit without a signature.
                if (names.size() > 1) {
                    queue.tried(names, decided, MergeQueue::Result::red);
                    return true;
                }
                block(names, pushed->why);
                decided.push_back(names.front());
                queue.tried({}, decided, MergeQueue::Result::empty);
                return true;
            case PushEnd::Kind::shut_out:
                block(waiting(), pushed->why);
                break;
            case PushEnd::Kind::put_off:
                end_all(try_again(pushed->why));
                break;
            case PushEnd::Kind::unavailable:
                end_all(unavailable(pushed->why));
                break;
        }
        return false;
    }

    void settle(const std::vector<IntegrationWorkspace::Landing>& landings, bool answer_was_lost) {
        for (const IntegrationWorkspace::Landing& landing : landings) {
            if (answer_was_lost) {
                member_of(landing.task_id).note("the answer to the push was lost, but it has arrived");
            }
            member_of(landing.task_id).settle(landing.commit, tracked_);
        }
    }

    // A checkout that a fault left half-way may keep new tasks from starting, and nobody else comes by who
    // would mend it; so the step is done again for one of those that have landed, but what has landed is
    // never blocked by it.
    void bring_forward() {
        const auto has_landed = [](LaneMember& member) { return member.has_landed(); };
        const auto landed = std::find_if(members_.begin(), members_.end(), has_landed);
        if (landed == members_.end()) {
            return;
        }
        const CheckoutEnd end = bring_checkout_forward(context_.settings, context_.target_branch);
        if (end.try_again && context_.integration < context_.max_integrations) {
            landed->come_again(
                fmt::format("{} has landed on {}, but {}", landed->task_id(), context_.target(), end.note));
        } else {
            landed->note(end.note);
        }
    }

    const StepContext& context_;
    std::vector<LaneMember> members_;  // the run's own task first
    Speculation speculation_;
    std::vector<std::string> landed_;         // by this run, with nobody else's work in between
    std::map<std::string, GateVerdict> red_;  // of a candidate that began with this task
    std::string tip_reason_;
    bool tracked_ = false;
    bool target_is_red_ = false;
};

Ending integrate(const StepContext& context) {
    const Paths& paths = context.settings.paths;
    auto made = make_directories(paths.parallel());
    if (!made) {
        return made.error().is_passing() ? unavailable(made.error().line()) : try_again(made.error().line());
    }
    // One landing at a time: each has the tip of the branch for itself, so that nearly every first push
    // succeeds.
    auto lock = FileLock::acquire(paths.integrate_lock(), FileLock::Wait::yes);
    if (!lock) {
        return lock.error().is_passing() ? unavailable(lock.error().line()) : try_again(lock.error().line());
    }
    return Lane(context).run();
}

}  // namespace

int run_integrate_step(const StepContext& context) {
    return finish_step(context, integrate(context));
}

}  // namespace ralph::daemon
