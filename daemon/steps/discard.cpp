#include <fmt/format.h>

#include "core/supervisor/transition.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/steps/discard.h"
#include "daemon/workspace/bookkeeping.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/quarantine.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

// What is kept of a task that has landed is history. A task whose record only became too old is gone on from.
Result<void> mark_if_landed(const StepContext& context, const Git& workspace) {
    auto bookkeeping = read_bookkeeping(context.settings, workspace, context.target_branch);
    if (!bookkeeping || !is_done(bookkeeping->done, context.task_id)) {
        return {};  // a target that cannot be read says nothing about the task
    }
    return mark_kept_landed(Git(context.settings.paths.root), context.task_id);
}

void prune(const StepContext& context, core::Outcome& outcome) {
    if (auto pruned = prune_kept_work(context.settings, present_moment()); !pruned) {
        add_note(outcome, fmt::format("old kept work was not pruned: {}", pruned.error().line()));
    }
    const auto pruned = prune_quarantined(context.settings, present_moment());
    if (!pruned) {
        add_note(outcome, fmt::format("what was quarantined was not pruned: {}", pruned.error().line()));
        return;
    }
    for (const std::string& path : pruned->removed) {
        add_note(outcome, fmt::format("{} was quarantined long ago and is removed", path));
    }
    if (!pruned->made.empty()) {
        add_note(outcome, fmt::format("what it held is kept as {}", fmt::join(pruned->made, ", ")));
    }
    for (const std::string& why : pruned->stayed) {
        add_note(outcome, fmt::format("quarantined long ago, but not removed: {}", why));
    }
}

Result<core::Outcome> discard(const StepContext& context) {
    const std::string& root = context.settings.workspace_root;
    const std::string discarded = fmt::format(".{}.discarded", context.task_id);
    core::Outcome outcome;
    // Left by an earlier try, after its work had been kept; and by a prepare step, without any work in it.
    for (const std::string& leftover : {discarded, fmt::format(".{}.preparing", context.task_id)}) {
        TRY(remove_tree(root, leftover));
    }
    if (path_exists(context.workspace)) {
        TRY_ASSIGN(auto user, user_of_workspace(context.workspace));
        if (user) {
            return Error{fmt::format("{} is not removed, since process {} ({}) works in it",
                                     context.workspace, user->pid, user->command)};
        }
        auto opened = open_workspace_of_any_task(context.settings, context.workspace, context.task_id,
                                                 {Purpose::work, context.target_branch});
        if (!opened) {
            return opened.error().told_as(fmt::format("{} is not removed, since it cannot be used: {}",
                                                      context.workspace, opened.error().message));
        }
        const Git& workspace = *opened;
        auto usable = is_usable_workspace(workspace);
        if (!usable) {
            return usable.error();
        }
        if (!*usable) {
            return Error{
                fmt::format("{} is not removed, since it is no usable git repository", context.workspace),
                "look what is in it, then remove it"};
        }
        remove_stale_files(context.settings, workspace);
        // What is on the remote is only known when the remote was asked, and when it is the right one.
        if (const auto known = workspace.fetch_origin(); !known) {
            return known.error().told_as(
                fmt::format("{} is not removed, since origin cannot be asked what it holds: {}",
                            context.workspace, known.error().message));
        }
        auto kept = keep_work(context.settings, workspace, context.task_id);
        if (!kept) {
            return kept.error().told_as(fmt::format("{} is not removed, since its work cannot be kept: {}",
                                                    context.workspace, kept.error().message));
        }
        if (!kept->made.empty()) {
            outcome.note = fmt::format("what the workspace held is kept as {}", fmt::join(kept->made, ", "));
        }
        TRY(mark_if_landed(context, workspace));
        // Renamed first, so that a removal that is interrupted leaves nothing that looks like a workspace.
        TRY(rename_durably(context.workspace, root + "/" + discarded));
        TRY(remove_tree(root, discarded));
    }
    prune(context, outcome);
    outcome.summary = fmt::format("{} is gone", context.workspace);
    return outcome;
}

}  // namespace

int run_discard_step(const StepContext& context) {
    auto outcome = discard(context);
    if (outcome) {
        return finish_step(context, Ending{0, std::move(*outcome)});
    }
    const int code = outcome.error().is_passing() ? static_cast<int>(core::exit_unavailable) : 1;
    return finish_step(context, Ending{code, {outcome.error().line(), {}, {}, {}}});
}

}  // namespace ralph::daemon
