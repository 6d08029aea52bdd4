#include <fmt/format.h>

#include <utility>

#include "core/transition.h"
#include "daemon/clock.h"
#include "daemon/steps/checkout.h"
#include "daemon/steps/kept_refs.h"
#include "daemon/steps/landing.h"
#include "daemon/steps/steps.h"
#include "daemon/steps/workspace.h"
#include "daemon/store/files.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

// The stations of one attempt, in their order. Each returns how the step ends there, or nothing.
class Integration {
  public:
    explicit Integration(const StepContext& context)
        : context_(context),
          repository_(context.settings.paths.root),
          workspace_(context.workspace),
          target_(origin_ref(context.target_branch)) {}

    Ending run() {
        Ending ending = attempt();
        add_note(ending.outcome, outcome_.note);
        return ending;
    }

  private:
    // The world may be better at the next attempt: a full disk, for one. When attempts run out, the workspace
    // stays.
    static Ending not_now(const Error& error) { return try_again(error.line()); }

    Ending attempt() {
        if (!path_exists(context_.workspace)) {
            return without_workspace();
        }
        auto usable = is_usable_workspace(workspace_);
        if (!usable) {
            return not_now(usable.error());
        }
        if (!*usable) {
            return blocked(fmt::format(
                "{} is no usable git repository; repair it, or move it away and run the task again",
                context_.workspace));
        }
        if (auto removed = remove_marker(context_.workspace); !removed) {
            return not_now(removed.error());
        }
        if (auto recovered = recover_workspace(context_, workspace_, outcome_); !recovered) {
            return not_now(recovered.error());
        }
        if (auto stop = commit_work(context_, workspace_); !stop || *stop) {
            return stop ? std::move(**stop) : not_now(stop.error());
        }
        if (auto configured = configure_workspace(context_.settings, workspace_); !configured) {
            return not_now(configured.error());
        }
        if (auto fetched = workspace_.fetch_origin(); !fetched) {
            return not_now(fetched.error());
        }
        auto there = workspace_.ref_exists(target_);
        if (!there || !*there) {
            return there ? blocked(fmt::format("branch {} is not on origin any more; push it, then run "
                                               "`ralph run parallel retry --task {}`",
                                               context_.target_branch, context_.task_id))
                         : not_now(there.error());
        }
        if (auto stop = check_completeness(context_, workspace_); !stop || *stop) {
            return stop ? std::move(**stop) : not_now(stop.error());
        }
        auto texts = fetch_bookkeeping(context_.settings, workspace_, context_.target_branch);
        if (!texts) {
            return not_now(texts.error());
        }
        auto bookkeeping = parse_bookkeeping(context_.settings, std::move(*texts));
        if (!bookkeeping) {
            return blocked(bookkeeping.error().line());
        }
        auto contained = workspace_.is_ancestor("HEAD", target_);
        if (!contained) {
            return not_now(contained.error());
        }
        const bool landed =
            *contained && (!bookkeeping->tracked || is_done(bookkeeping->done, context_.task_id));
        if (!landed) {
            if (auto stop = land(*bookkeeping)) {
                return std::move(*stop);
            }
        }
        return verify(bookkeeping->tracked);
    }

    // Rebase, bookkeeping, gate, push.
    Stop land(const Bookkeeping& bookkeeping) {
        auto base = workspace_.resolve(target_);
        if (!base) {
            return not_now(base.error());
        }
        auto stop = rebase_work(context_, workspace_);
        if (stop && !*stop) {
            stop = commit_bookkeeping(context_, workspace_, bookkeeping);
        }
        if (stop && !*stop) {
            stop = pass_gate(context_, workspace_, base->value_or(""), outcome_);
        }
        if (!stop || *stop) {
            return stop ? std::move(*stop) : Stop{not_now(stop.error())};
        }
        return push(base->value_or(""));
    }

    // No error text is trusted before it is known whether the push arrived.
    Stop push(const std::string& base) {
        auto pushed = workspace_.run({"push", "--porcelain", "--no-follow-tags", "--no-recurse-submodules",
                                      "origin", "HEAD:refs/heads/" + context_.target_branch},
                                     Git::push_timeout);
        if (pushed && pushed->status == 0) {
            return std::nullopt;
        }
        const std::string words =
            pushed ? last_words(pushed->errors + "\n" + pushed->output) : pushed.error().line();
        if (auto fetched = workspace_.fetch_origin(); !fetched) {
            return try_again(fmt::format("the push to {} failed, and origin cannot be reached: {}",
                                         context_.target(), words));
        }
        auto arrived = workspace_.is_ancestor("HEAD", target_);
        if (!arrived) {
            return not_now(arrived.error());
        }
        if (*arrived) {
            add_note(outcome_, "the answer to the push was lost, but it has arrived");
            return std::nullopt;
        }
        auto tip = workspace_.resolve(target_);
        if (!tip || tip->value_or("") != base) {
            return try_again(fmt::format("somebody else pushed to {} in the meantime", context_.target()));
        }
        if (!pushed || words.find("cannot lock ref") != std::string::npos || is_passing_fault(words)) {
            return try_again(fmt::format("the push to {} failed: {}", context_.target(), words));
        }
        return blocked(
            fmt::format("the push to {} was refused: {}; mend it, then run "
                        "`ralph run parallel retry --task {}`",
                        context_.target(), words, context_.task_id));
    }

    // Only what the remote answers now counts as landed.
    Ending verify(bool bookkeeping_is_tracked) {
        if (auto fetched = workspace_.fetch_origin(); !fetched) {
            return not_now(fetched.error());
        }
        auto head = workspace_.head();
        auto contained = workspace_.is_ancestor("HEAD", target_);
        if (!head || !contained) {
            return not_now(head ? contained.error() : head.error());
        }
        if (!*contained) {
            return try_again(fmt::format("{} does not hold the work after the push", context_.target()));
        }
        return settle(*head, bookkeeping_is_tracked);
    }

    // The work has landed; from here on nothing can take that back.
    Ending settle(const std::string& head, bool bookkeeping_is_tracked) {
        bool is_settled = true;
        if (auto reconciled = bookkeeping_is_tracked ? Result<void>{} : reconcile(); !reconciled) {
            is_settled = false;
            add_note(outcome_,
                     fmt::format("{} has landed, but its entry was not moved to {}: {}", context_.task_id,
                                 context_.settings.done_file, reconciled.error().line()));
        }
        mark_landed();
        if (auto stop = bring_forward(head)) {
            return std::move(*stop);
        }
        if (is_settled) {  // the proposal has been used
            if (auto removed = remove_file(followups_path(context_.workspace, context_.task_id)); !removed) {
                add_note(outcome_, removed.error().line());
            }
        }
        const std::string known = head.substr(0, 12);
        return {
            0,
            {fmt::format("{} landed on {} as {}", context_.task_id, context_.target(), known), {}, {}, head}};
    }

    // A checkout that a fault left half-way may keep new tasks from starting, and nobody else comes by who
    // would mend it; so the step is done again, but what has landed is never blocked by it.
    Stop bring_forward(const std::string& head) {
        const CheckoutEnd end = bring_checkout_forward(context_.settings, context_.target_branch);
        if (end.try_again && context_.integration < context_.max_integrations) {
            Ending ending = try_again(
                fmt::format("{} has landed on {}, but {}", context_.task_id, context_.target(), end.note));
            ending.outcome.landed_sha = head;
            return ending;
        }
        add_note(outcome_, end.note);
        return std::nullopt;
    }

    // What was kept on the way is history from now on.
    void mark_landed() {
        if (auto marked = mark_kept_landed(repository_, context_.task_id); !marked) {
            add_note(outcome_, marked.error().line());
        }
    }

    Result<void> reconcile() {
        const Paths& paths = context_.settings.paths;
        if (auto made = make_directories(paths.parallel()); !made) {
            return made;
        }
        auto lock = FileLock::acquire(paths.repository_lock(), FileLock::Wait::yes);
        if (!lock) {
            return lock.error();
        }
        return reconcile_repository(context_.settings, context_.workspace, context_.task_id);
    }

    // The workspace may have been removed after the landing; the remote knows.
    Ending without_workspace() {
        if (auto fetched = fetch_into_repository(context_.settings, context_.target_branch); !fetched) {
            return not_now(fetched.error());
        }
        auto texts = fetch_bookkeeping(context_.settings, repository_, context_.target_branch);
        if (!texts) {
            return not_now(texts.error());
        }
        auto bookkeeping = parse_bookkeeping(context_.settings, std::move(*texts));
        if (!bookkeeping) {
            return blocked(bookkeeping.error().line());
        }
        if (!is_done(bookkeeping->done, context_.task_id)) {
            return blocked(fmt::format(
                "the workspace {} is gone and {} is not done on {}; see with `ralph kept list` what "
                "is kept, then run `ralph run parallel retry --task {}`, which goes on from it",
                context_.workspace, context_.task_id, context_.target(), context_.task_id));
        }
        mark_landed();
        if (auto stop = bring_forward({})) {
            return std::move(*stop);
        }
        return {0, {fmt::format("{} is done on {}", context_.task_id, context_.target()), {}, {}, {}}};
    }

    const StepContext& context_;
    Git repository_;
    Git workspace_;
    std::string target_;
    core::Outcome outcome_;
};

// For the Rust tools and for `retry`: the work is there but did not land.
void leave_marker(const StepContext& context, Ending& ending) {
    const bool is_wanted = ending.code == static_cast<int>(core::exit_blocked) ||
                           ending.code == static_cast<int>(core::exit_try_again);
    if (!is_wanted || !is_directory(context.workspace)) {
        return;
    }
    const core::BlockMarker marker{context.task_id, ending.outcome.summary, context.integration,
                                   context.max_integrations, core::format_rfc3339(wall_clock())};
    if (const auto written = write_marker(context.workspace, marker); !written) {
        add_note(ending.outcome, written.error().line());
    }
}

Ending integrate(const StepContext& context) {
    const Paths& paths = context.settings.paths;
    auto made = make_directories(paths.parallel());
    if (!made) {
        return try_again(made.error().line());
    }
    // One landing at a time: each has the tip of the branch for itself, so that nearly every first push
    // succeeds.
    auto lock = FileLock::acquire(paths.integrate_lock(), FileLock::Wait::yes);
    if (!lock) {
        return try_again(lock.error().line());
    }
    Ending ending = Integration(context).run();
    leave_marker(context, ending);
    return ending;
}

}  // namespace

int run_integrate_step(const StepContext& context) {
    return finish_step(context, integrate(context));
}

}  // namespace ralph::daemon
