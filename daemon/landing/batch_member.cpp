#include "daemon/landing/batch_member.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/shown_text.h"
#include "core/supervisor/transition.h"
#include "daemon/landing/completeness.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/agent_records.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/commit_range.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/unfinished_operation.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {

using core::Result;

namespace {

// A hook or filter of one task's workspace must not hold up the others.
constexpr core::Milliseconds patience = std::chrono::minutes{10};

// What the agent said at its end, if one worked: why it found nothing to do.
std::string words_of_agent(const StepContext& context) {
    const auto runs = agent_runs(context.settings.paths, context.task_id);
    if (!runs || runs->empty() || runs->back().record.message.empty()) {
        return {};
    }
    const core::AgentRecord& record = runs->back().record;
    return fmt::format("{} said: {}; ", record.agent, core::shortened(record.message, 200));
}

}  // namespace

BatchMember::BatchMember(StepContext context)
    : context_(std::move(context)),
      workspace_(Git(context_.workspace, context_.workspace + "/.git").within(patience)) {}

void BatchMember::end_by(const core::Error& error) {
    end(error.is_passing() ? unavailable(error.line())
                           : blocked(fmt::format("{}; {}", error.line(), retry_command(context_))));
}

void BatchMember::end(Ending ending, const std::vector<std::string>& conflicts,
                      const std::optional<Handoff::CiContext>& gate) {
    if (ending.code == static_cast<int>(core::exit_fixable)) {
        hand_off(ending.outcome.summary, conflicts, gate);
    }
    ending_ = std::move(ending);
}

void BatchMember::hand_off(const std::string& reason, const std::vector<std::string>& conflicts,
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
    // Gates have run since it was looked at, and may have done anything to it.
    if (const auto workspace = open_workspace(context_.settings, context_.workspace, context_.task_id,
                                              {Purpose::work, context_.target_branch})) {
        const Git git = workspace->within(patience);
        const auto status = git.output({"--no-optional-locks", "status", "--porcelain", "-z"});
        handoff.git_status = status ? *status : "";
        // Whoever repairs it there shall see the target as it is; if that cannot be had, he can fetch it.
        static_cast<void>(git.fetch_origin());
    }
    if (const auto written = write_handoff(context_.settings.paths.in(context_.workspace), handoff);
        !written) {
        note(written.error().line());
    }
}

void BatchMember::run_again(const std::string& why) {
    Ending again = try_again(why);
    again.outcome.landed_sha = ending_->outcome.landed_sha;
    ending_ = std::move(again);
}

void BatchMember::get_ready(const IntegrationWorkspace& integration, const Bookkeeping& bookkeeping) {
    if (!path_exists(context_.workspace)) {
        end(without_workspace(bookkeeping));
        return;
    }
    auto stop = commit_all();
    if (stop && !*stop) {
        stop = take_over(integration, bookkeeping);
    }
    if (!stop) {
        end_by(stop.error());
    } else if (*stop) {
        end(std::move(**stop));
    }
}

Result<Stop> BatchMember::commit_all() {
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
    TRY(remove_marker(context_.settings.paths.in(context_.workspace)));
    TRY(recover_workspace(context_, workspace_, notes_));
    return commit_work(context_, workspace_);
}

Result<Stop> BatchMember::take_over(const IntegrationWorkspace& integration, const Bookkeeping& bookkeeping) {
    TRY_ASSIGN(auto work, integration.take_over(workspace_, context_.task_id));
    const bool is_archived = bookkeeping.tracked && is_done(bookkeeping.done, context_.task_id);
    const bool is_ours = work.has_landed && work.was_noted;
    if (is_archived && !is_ours) {
        return Stop{landed_elsewhere(context_, integration.git(), integration.tip())};
    }
    if (auto stop = check_completeness(context_, workspace_, integration.git(), work.head); !stop || *stop) {
        return stop;
    }
    TRY_ASSIGN(auto is_idle, is_ours ? Result<bool>{false} : is_without_work(integration, work));
    if (is_idle) {
        return Stop{nothing_to_land(fmt::format(
            "the worker exited with 0 and left nothing to land: {}. A commit, also an empty one (`git commit "
            "--allow-empty`), says that nothing needed changing; worker.no_change \"complete\" in "
            "supervisor.jsonc asks for none; {}{}",
            what_is_left(), words_of_agent(context_), retry_command(context_)))};
    }
    TRY(integration.note_work(context_.task_id, work));
    if (work.has_landed && (!bookkeeping.tracked || is_archived)) {
        finish_landed(work.landed_as, bookkeeping.tracked);
    }
    return Stop{};
}

// A worker that was denied every tool, or whose key is wrong, exits with 0, too. Commits that came onto the
// target by somebody else's push are not its word, unless it may push by itself. A proposal for new tasks is
// work: it lands with the bookkeeping.
Result<bool> BatchMember::is_without_work(const IntegrationWorkspace& integration,
                                          const IntegrationWorkspace::Work& work) const {
    const config::WorkerSettings& worker = context_.settings.supervisor.worker;
    const auto proposal = proposes_tasks(context_.settings.paths.in(context_.workspace), context_.task_id);
    if (!proposal || *proposal || worker.no_change_completes) {
        return proposal ? Result<bool>{false} : proposal.error();
    }
    TRY_ASSIGN(const auto prepared, newest_preparation(context_.settings.paths, context_.task_id));
    // What it began at is none of its own, also when that was taken off the target.
    TRY_ASSIGN(auto base, prepared.base_sha.empty()
                              ? Result<std::optional<std::string>>{std::nullopt}
                              : integration.git().resolve(prepared.base_sha + "^{commit}"));
    std::vector<std::string> arguments{"rev-list", "--max-count=1", work.head, "--not"};
    if (base) {
        arguments.push_back(*base);
    }
    if (!worker.may_push || !base) {
        arguments.push_back(integration.tip());
    }
    auto own = integration.git().line(arguments);
    return own ? Result<bool>{own->empty()} : own.error();
}

// For the message: what an idle worker has left all the same.
std::string BatchMember::what_is_left() const {
    const auto status =
        workspace_.output({"--no-optional-locks", "status", "--porcelain=v1", "-z", "--ignored=traditional"});
    std::vector<std::string> ignored;
    for (const std::string& entry : status ? split_at_nul(*status) : std::vector<std::string>{}) {
        const bool is_ours = entry.rfind("!! .ralph/", 0) == 0 || entry.rfind("!! .cueloop/", 0) == 0;
        if (entry.rfind("!! ", 0) == 0 && !is_ours) {
            ignored.push_back(entry.substr(3));
        }
    }
    const auto stash = workspace_.ref_exists("refs/stash");
    if (stash && *stash) {
        return "there is only a stash (`git stash pop` brings it back)";
    }
    return ignored.empty() ? "there is no commit and no changed file"
                           : fmt::format("there are only files that git ignores ({})", core::named(ignored));
}

// By HEAD's history there. Not knowing blames nobody.
bool BatchMember::has_made(const std::string& commit) const {
    const auto history = workspace_.output({"log", "--walk-reflogs", "-z", "--no-show-signature",
                                            "--format=%H %gs", "--end-of-options", "HEAD"});
    const auto entries = history ? split_at_nul(*history) : std::vector<std::string>{};
    return std::any_of(entries.begin(), entries.end(), [&commit](const std::string& entry) {
        const std::string made = commit + " commit";  // also "commit (amend)", "commit (merge)"
        return entry.rfind(made, 0) == 0 || entry.rfind(commit + " cherry-pick", 0) == 0 ||
               entry.rfind(commit + " rebase", 0) == 0;
    });
}

// The workspace may have been removed after the landing; the remote knows.
Ending BatchMember::without_workspace(const Bookkeeping& bookkeeping) {
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
void BatchMember::mark_kept() {
    if (auto marked = mark_kept_landed(Git(context_.settings.paths.root), context_.task_id); !marked) {
        note(marked.error().line());
    }
}

void BatchMember::finish_landed(const std::string& commit, bool tracked) {
    bool is_acknowledged = true;
    if (!tracked) {
        const Paths& paths = context_.settings.paths;
        auto lock = FileLock::acquire(paths.repository_lock(), FileLock::Wait::yes);
        auto reconciled = lock ? reconcile_repository(context_.settings, context_.workspace, context_.task_id)
                               : Result<void>{lock.error()};
        if (!reconciled) {
            is_acknowledged = false;
            note(fmt::format("{} has landed, but its entry was not moved to {}: {}", context_.task_id,
                             context_.settings.done_file, reconciled.error().line()));
        }
    }
    mark_kept();
    if (is_acknowledged) {  // the proposal has been used
        if (auto removed = remove_followups(context_.settings.paths.in(context_.workspace), context_.task_id);
            !removed) {
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
void BatchMember::leave_marker() {
    const bool is_wanted = ending_->code == static_cast<int>(core::exit_blocked) ||
                           ending_->code == static_cast<int>(core::exit_fixable) ||
                           ending_->code == static_cast<int>(core::exit_try_again);
    if (!is_wanted || !is_directory(context_.workspace)) {
        return;
    }
    const core::BlockMarker marker{context_.task_id, ending_->outcome.summary, context_.integration,
                                   context_.max_integrations, core::format_rfc3339(wall_clock())};
    if (const auto written = write_marker(context_.settings.paths.in(context_.workspace), marker); !written) {
        note(written.error().line());
    }
}

// A gate, or somebody else, has removed the workspace: what has not landed is kept from the merge queue,
// which then forgets it.
void BatchMember::keep_what_was_taken() {
    const Git lane = integration_git(context_.settings);
    if (path_exists(context_.workspace) || !is_directory(lane.folder())) {
        return;
    }
    const auto work = lane.resolve(work_ref(context_.task_id) + "^{commit}");
    if (ending_->code != 0 && work && *work) {
        const auto kept = keep_commit(context_.settings, lane, context_.task_id, **work);
        if (!kept) {
            note(kept.error().line());
            return;
        }
        note(kept->made.empty()
                 ? std::string{}
                 : fmt::format("the workspace is gone, its work is kept as {}; a retry goes on from it",
                               fmt::join(kept->made, ", ")));
    }
    for (const std::string& ref : {landing_ref(context_.task_id), work_ref(context_.task_id)}) {
        if (auto forgotten = lane.expect({"update-ref", "-d", ref}); !forgotten) {
            note(forgotten.error().line());
        }
    }
}

Ending BatchMember::finish() {
    leave_marker();
    keep_what_was_taken();
    add_note(ending_->outcome, notes_.note);
    return std::move(*ending_);
}

}  // namespace ralph::daemon
