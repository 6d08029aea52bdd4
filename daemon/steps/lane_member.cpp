#include "daemon/steps/lane_member.h"

#include <fmt/format.h>

#include <utility>

#include "core/transition.h"
#include "daemon/clock.h"
#include "daemon/steps/kept_refs.h"
#include "daemon/steps/landing_details.h"
#include "daemon/steps/workspace.h"
#include "daemon/steps/workspace_owner.h"
#include "daemon/store/files.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {

using core::Result;

namespace {

// A hook or filter of one task's workspace must not hold up the others.
constexpr core::Milliseconds patience = std::chrono::minutes{10};

}  // namespace

LaneMember::LaneMember(StepContext context)
    : context_(std::move(context)),
      workspace_(Git(context_.workspace, context_.workspace + "/.git").within(patience)) {}

void LaneMember::end(Ending ending, const std::vector<std::string>& conflicts,
                     const std::optional<Handoff::CiContext>& gate) {
    if (ending.code == static_cast<int>(core::exit_mendable)) {
        hand_off(ending.outcome.summary, conflicts, gate);
    }
    ending_ = std::move(ending);
}

void LaneMember::hand_off(const std::string& reason, const std::vector<std::string>& conflicts,
                          const std::optional<Handoff::CiContext>& gate) {
    Handoff handoff;
    handoff.task_id = context_.task_id;
    handoff.task_title = context_.task_title;
    handoff.target_branch = context_.target_branch;
    handoff.attempt = context_.integration;
    handoff.max_attempts = context_.max_integrations;
    handoff.conflict_files = conflicts;
    handoff.phase_summary = reason;
    handoff.task_intent = context_.task_title;
    if (const auto task = read_kept_task(context_.settings.paths, context_.task_id)) {
        handoff.task_intent = task->description.value_or(task->title);
    }
    handoff.ci_context = gate;
    handoff.generated_at = core::format_rfc3339(wall_clock());
    const auto status = workspace_.output({"--no-optional-locks", "status", "--porcelain", "-z"});
    handoff.git_status = status ? *status : "";
    // Whoever mends it there shall see the target as it is; if that cannot be had, he can fetch himself.
    static_cast<void>(workspace_.fetch_origin());
    if (const auto written = write_handoff(context_.workspace, handoff); !written) {
        note(written.error().line());
    }
}

void LaneMember::come_again(const std::string& why) {
    Ending again = try_again(why);
    again.outcome.landed_sha = ending_->outcome.landed_sha;
    ending_ = std::move(again);
}

void LaneMember::get_ready(const IntegrationWorkspace& integration, const Bookkeeping& bookkeeping) {
    if (!path_exists(context_.workspace)) {
        end(without_workspace(bookkeeping));
        return;
    }
    auto stop = commit_all();
    if (stop && !*stop) {
        stop = take_over(integration, bookkeeping);
    }
    if (!stop) {
        // The world may be better at the next attempt: a full disk, for one. When attempts run out, the
        // workspace stays.
        put_off(stop.error().line());
    } else if (*stop) {
        end(std::move(**stop));
    }
}

Result<Stop> LaneMember::commit_all() {
    auto opened = open_workspace(context_.settings, context_.workspace, context_.task_id,
                                 {Purpose::work, context_.target_branch});
    if (!opened && !opened.error().is_passing()) {
        return Stop{blocked(fmt::format("{}; {}", opened.error().line(), retry_command(context_)))};
    }
    if (!opened) {
        return opened.error();
    }
    workspace_ = opened->within(patience);
    auto usable = is_usable_workspace(workspace_);
    if (!usable) {
        return usable.error();
    }
    if (!*usable) {
        return Stop{blocked(
            fmt::format("{} is no usable git repository; repair it, or move it away and run the task again",
                        context_.workspace))};
    }
    if (auto removed = remove_marker(context_.workspace); !removed) {
        return removed.error();
    }
    if (auto recovered = recover_workspace(context_, workspace_, notes_); !recovered) {
        return recovered.error();
    }
    return commit_work(context_, workspace_);
}

Result<Stop> LaneMember::take_over(const IntegrationWorkspace& integration, const Bookkeeping& bookkeeping) {
    auto work = integration.take_over(context_.workspace, context_.task_id);
    if (!work) {
        return work.error();
    }
    if (auto stop = check_completeness(context_, workspace_, integration.git(), work->head); !stop || *stop) {
        return stop;
    }
    if (work->has_landed && (!bookkeeping.tracked || is_done(bookkeeping.done, context_.task_id))) {
        settle(work->landed_as, bookkeeping.tracked);
    }
    return Stop{};
}

// The workspace may have been removed after the landing; the remote knows.
Ending LaneMember::without_workspace(const Bookkeeping& bookkeeping) {
    if (!is_done(bookkeeping.done, context_.task_id)) {
        return blocked(
            fmt::format("the workspace {} is gone and {} is not done on {}; see with `ralph kept list` what "
                        "is kept, then "
                        "run `ralph run parallel retry --task {}`, which goes on from it",
                        context_.workspace, context_.task_id, context_.target(), context_.task_id));
    }
    mark_kept();
    return {0, {fmt::format("{} is done on {}", context_.task_id, context_.target()), {}, {}, {}}};
}

// What was kept on the way is history from now on.
void LaneMember::mark_kept() {
    if (auto marked = mark_kept_landed(Git(context_.settings.paths.root), context_.task_id); !marked) {
        note(marked.error().line());
    }
}

void LaneMember::settle(const std::string& commit, bool tracked) {
    bool is_settled = true;
    if (!tracked) {
        const Paths& paths = context_.settings.paths;
        auto lock = FileLock::acquire(paths.repository_lock(), FileLock::Wait::yes);
        auto reconciled = lock ? reconcile_repository(context_.settings, context_.workspace, context_.task_id)
                               : Result<void>{lock.error()};
        if (!reconciled) {
            is_settled = false;
            note(fmt::format("{} has landed, but its entry was not moved to {}: {}", context_.task_id,
                             context_.settings.done_file, reconciled.error().line()));
        }
    }
    mark_kept();
    if (is_settled) {  // the proposal has been used
        if (auto removed = remove_followups(context_.workspace, context_.task_id); !removed) {
            note(removed.error().line());
        }
    }
    // The integration workspace remembers the landing for as long as there is this workspace.
    end({0,
         {fmt::format("{} landed on {} as {}", context_.task_id, context_.target(), commit.substr(0, 12)),
          {},
          {},
          commit}});
}

// For the Rust tools and for `retry`: the work is there but did not land.
void LaneMember::leave_marker() {
    const bool is_wanted = ending_->code == static_cast<int>(core::exit_blocked) ||
                           ending_->code == static_cast<int>(core::exit_mendable) ||
                           ending_->code == static_cast<int>(core::exit_try_again);
    if (!is_wanted || !is_directory(context_.workspace)) {
        return;
    }
    const core::BlockMarker marker{context_.task_id, ending_->outcome.summary, context_.integration,
                                   context_.max_integrations, core::format_rfc3339(wall_clock())};
    if (const auto written = write_marker(context_.workspace, marker); !written) {
        note(written.error().line());
    }
}

Ending LaneMember::finish() {
    leave_marker();
    add_note(ending_->outcome, notes_.note);
    return std::move(*ending_);
}

}  // namespace ralph::daemon
