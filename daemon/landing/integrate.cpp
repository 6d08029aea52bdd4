#include "daemon/landing/integrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/landing/landing_run.h"
#include "core/supervisor/transition.h"
#include "daemon/git/checkout.h"
#include "daemon/landing/batch_member.h"
#include "daemon/landing/candidate.h"
#include "daemon/landing/gate.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/landing/landing_progress.h"
#include "daemon/landing/push.h"
#include "daemon/landing/speculation.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

namespace action = core::landing::action;
namespace event = core::landing::event;
using core::Result;
using core::landing::Conclusion;
using core::landing::Tasks;
using core::landing::Verdict;

core::landing::Rules rules_of(const StepContext& context) {
    const config::SupervisorConfig& settings = context.settings.supervisor;
    const auto run =
        core::parse_run_directory_name(context.run_directory.substr(context.run_directory.rfind('/') + 1));
    return {{settings.partitions.by_scope, settings.partitions.parallel_gates, settings.batch.max},
            settings.partitions.parallel_gates - 1,
            run ? run->number : 0,
            context.integration < context.max_integrations,
            context.target()};
}

struct Nothing {};

Verdict facts_of(const GateVerdict& verdict) {
    return {verdict.green, verdict.recalled, verdict.ran, verdict.reason};
}

// Performs what core/landing/landing_run.h decides. Killed at any instant, it is simply run again: nothing in
// a task's workspace is moved, candidates are built anew from there, and what was pushed is recognised on the
// target.
class Performer {
  public:
    explicit Performer(const StepContext& context) : context_(context), speculation_(context) {
        members_.emplace_back(context);
        for (const std::string& task_id : context.batch) {
            members_.emplace_back(context_of(context, task_id));
        }
    }

    // How it ended for the run's own task, and in its outcome for the others.
    Ending run() {
        Tasks tasks;
        for (const BatchMember& member : members_) {
            tasks.push_back(member.task_id());
        }
        core::LandingRun decides(tasks, rules_of(context_));
        std::optional<core::landing::Event> answer = event::Begun{};
        while (answer) {
            const auto actions = decides.step(*answer);
            answer.reset();
            for (const core::landing::Action& each : actions) {
                auto performed =
                    std::visit([this](const auto& what) { return answer_of(perform(what)); }, each);
                answer = performed ? std::move(*performed)
                                   : event::Failed{performed.error().is_passing(), performed.error().line()};
            }
        }
        return finish();
    }

  private:
    using Answer = Result<std::optional<core::landing::Event>>;

    template <typename Event>
    static Answer answer_of(Result<Event> event) {
        return event ? Answer{core::landing::Event{std::move(*event)}} : Answer{event.error()};
    }
    static Answer answer_of(Nothing) { return Answer{std::nullopt}; }

    Ending finish() {
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

    BatchMember& member_of(const std::string& task_id) {
        return *std::find_if(members_.begin(), members_.end(),
                             [&](const BatchMember& member) { return member.task_id() == task_id; });
    }

    void note_all(const std::string& what) {
        for (BatchMember& member : members_) {
            member.note(what);
        }
    }

    // Commits that were taken off the target are somebody's loss or somebody's secret: told with every task,
    // and by status and doctor until somebody has seen it.
    void tell_of_rewrite() {
        if (const auto rewrite = integration_->take_rewrite()) {
            note_all(*rewrite);
            const std::string text = fmt::format("{}: {}\n", core::format_rfc3339(wall_clock()), *rewrite);
            if (auto kept = append_file(context_.settings.paths.rewritten_target(), text); !kept) {
                note_all(kept.error().line());
            }
        }
    }

    void show(const char* doing, const std::string& candidate = {}, const Tasks& tasks = {},
              const std::string& gate = {}) const {
        note_landing_progress(context_.run_directory,
                              {doing, gate, candidate, tasks, speculation_.under_way(), {}});
    }

    Result<event::Opened> perform(const action::Open&) {
        gates_.reset();
        integration_.reset();
        TRY_ASSIGN(auto opened, IntegrationWorkspace::open(context_));
        integration_.emplace(std::move(opened));
        gates_.emplace(context_.settings, integration_->git(), integration_->ground());
        tell_of_rewrite();
        if (integration_->tip().empty()) {
            return event::Opened{
                fmt::format("branch {} is not on origin any more; push it", context_.target_branch)};
        }
        TRY_ASSIGN(auto texts,
                   fetch_bookkeeping(context_.settings, integration_->git(), context_.target_branch));
        auto bookkeeping = parse_bookkeeping(context_.settings, std::move(texts));
        if (!bookkeeping) {
            return event::Opened{bookkeeping.error().line()};
        }
        bookkeeping_ = std::move(*bookkeeping);
        return event::Opened{};
    }

    Result<event::Prepared> perform(const action::Prepare& prepare) {
        event::Prepared prepared;
        for (const std::string& task_id : prepare.tasks) {
            BatchMember& member = member_of(task_id);
            member.get_ready(*integration_, bookkeeping_);
            if (member.has_landed()) {
                prepared.landed.push_back(task_id);
            }
        }
        for (const std::string& task_id : prepare.tasks) {
            if (!member_of(task_id).has_ended()) {
                TRY_ASSIGN(auto change, change_of(member_of(task_id).context(), *integration_));
                prepared.changes.push_back(std::move(change));
            }
        }
        return prepared;
    }

    Result<event::Built> perform(const action::Build& build) {
        event::Built built;
        landings_.clear();
        show("building", {}, build.tasks);
        TRY(integration_->go_to(integration_->tip()));
        for (const std::string& task_id : build.tasks) {
            BatchMember& member = member_of(task_id);
            auto added = add_to_candidate(member.context(), *integration_);
            TRY_ASSIGN(auto head, added ? integration_->git().head() : Result<std::string>{added.error()});
            switch (added->kind) {
                case Addition::Kind::added:
                    built.candidate.push_back(task_id);
                    landings_.push_back({task_id, std::move(head)});
                    break;
                case Addition::Kind::conflict:
                    break;
                case Addition::Kind::stopped:
                    member.end(std::move(*added->stop), added->conflicts);
                    built.ended.push_back(task_id);
                    if (member.has_landed()) {
                        built.landed.push_back(task_id);
                    }
                    break;
            }
        }
        return built;
    }

    Result<event::Recalled> perform(const action::Recall&) {
        if (gates_->are_none()) {
            return event::Recalled{remember(GateVerdict{})};
        }
        TRY_ASSIGN(files_, gates_->files_of(commit()));
        auto known = gates_->recall(files_);
        return known ? event::Recalled{remember(std::move(*known))} : event::Recalled{};
    }

    Result<event::TakenAhead> perform(const action::TakeAhead& take) {
        show("gating", commit(), take.candidate, "ahead of time");
        auto ahead = speculation_.take(take.content);
        if (!ahead || ahead->files != files_ || ahead->commands != gates_->commands()) {
            return event::TakenAhead{};
        }
        if (ahead->gates.green) {
            gates_->learn_green(files_);
        }
        return event::TakenAhead{remember(std::move(ahead->gates))};
    }

    Result<event::Gated> perform(const action::Gate& gate) {
        const std::string commit = gate.candidate.empty() ? integration_->tip() : this->commit();
        if (gate.candidate.empty()) {
            TRY(integration_->go_to(commit));
        }
        gates_->about_to_run = [this, commit, tasks = gate.candidate](const std::string& name) {
            show("gating", commit, tasks, name);
        };
        TRY(integration_->seed(bookkeeping_.tracked));
        if (speculation_.slots() != 0 && !gates_->are_none()) {
            speculation_.schedule(gate.likely, integration_->tip(), gate.landed);
        }
        TRY_ASSIGN(auto files, gates_->files_of(commit));
        TRY_ASSIGN(auto verdict, gates_->judge(commit, files, integration_->tip(), gate.candidate));
        return event::Gated{gate.candidate.empty() ? facts_of(verdict) : remember(std::move(verdict))};
    }

    Result<event::Pushed> perform(const action::Push& push) {
        member_of(push.candidate.front()).note(verdict_.note);
        show("pushing", commit(), push.candidate);
        auto pushed = push_candidate(context_, *integration_, landings_);
        tell_of_rewrite();
        return pushed;
    }

    Result<event::TipMadeBy> perform(const action::FindMakers&) {
        event::TipMadeBy made{integration_->tip(), {}};
        for (const BatchMember& member : members_) {
            if (!member.has_ended() && member.has_made(made.tip)) {
                made.makers.push_back(member.task_id());
            }
        }
        return made;
    }

    Result<event::RemoteAsked> perform(const action::AskRemote&) {
        const auto answer = Git(context_.settings.paths.root)
                                .run({"ls-remote", "--exit-code", "--quiet", "origin",
                                      "refs/heads/" + context_.target_branch},
                                     Git::fetch_timeout);
        return event::RemoteAsked{answer && answer->status == 0};
    }

    Result<event::Renewed> perform(const action::Renew& renew) {
        note_all(fmt::format("candidates are built in a new place, since {}", renew.why));
        auto renewed = IntegrationWorkspace::renew(context_);
        return renewed ? Result<event::Renewed>{event::Renewed{}} : renewed.error();
    }

    Result<event::BroughtForward> perform(const action::BringForward&) {
        const CheckoutEnd end = bring_checkout_forward(context_.settings, context_.target_branch);
        return event::BroughtForward{end.try_again, end.note};
    }

    Nothing perform(const action::ForgetAhead&) {
        speculation_.forget();
        return {};
    }

    Nothing perform(const action::Landed& landed) {
        for (const IntegrationWorkspace::Landing& landing : landings_) {
            if (landed.answer_was_lost) {
                member_of(landing.task_id).note("the answer to the push was lost, but it has arrived");
            }
            member_of(landing.task_id).finish_landed(landing.commit, bookkeeping_.tracked);
        }
        return {};
    }

    Nothing perform(const action::End& end) {
        BatchMember& member = member_of(end.task_id);
        const auto with_remedy = [&] {
            return fmt::format("{}; {}", end.why, retry_command(member.context()));
        };
        switch (end.conclusion) {
            case Conclusion::try_again:
                member.end(try_again(end.why));
                break;
            case Conclusion::unavailable:
                member.end(unavailable(end.why));
                break;
            case Conclusion::blocked:
                member.end(blocked(with_remedy()));
                break;
            case Conclusion::fixable:
                member.end(fixable(with_remedy()), {}, end.red_alone ? said_red(end.task_id) : std::nullopt);
                break;
        }
        return {};
    }

    Nothing perform(const action::Note& note) {
        member_of(note.task_id).note(note.text);
        return {};
    }

    Nothing perform(const action::RunAgain& again) {
        member_of(again.task_id).run_again(again.why);
        return {};
    }

    Nothing perform(const action::Finish& finish) {
        target_is_red_ = finish.target_is_red;
        return {};
    }

    [[nodiscard]] const std::string& commit() const { return landings_.back().commit; }

    // Of the present candidate.
    Verdict remember(GateVerdict verdict) {
        verdict_ = std::move(verdict);
        if (!verdict_.green) {
            red_[landings_.front().task_id] = {verdict_.command, verdict_.output};
        }
        return facts_of(verdict_);
    }

    [[nodiscard]] std::optional<Handoff::CiContext> said_red(const std::string& task_id) const {
        const auto said = red_.find(task_id);
        return said == red_.end() ? std::nullopt : std::optional(said->second);
    }

    const StepContext& context_;
    std::vector<BatchMember> members_;  // the run's own task first
    Speculation speculation_;
    std::optional<IntegrationWorkspace> integration_;
    std::optional<Gates> gates_;                           // of that
    Bookkeeping bookkeeping_;                              // of the tip that it was opened with
    std::vector<IntegrationWorkspace::Landing> landings_;  // the candidate; the last one's commit is HEAD
    std::string files_;                                    // of the candidate
    GateVerdict verdict_;                                  // on that
    std::map<std::string, Handoff::CiContext> red_;        // of a candidate that began with this task
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
    return Performer(context).run();
}

}  // namespace

int run_integrate_step(const StepContext& context) {
    return finish_step(context, integrate(context));
}

}  // namespace ralph::daemon
