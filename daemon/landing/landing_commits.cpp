#include "daemon/landing/landing_commits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task_codec.h"
#include "core/supervisor/transition.h"
#include "daemon/git/plain_git.h"
#include "daemon/os/clock.h"
#include "daemon/workspace/commit_range.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

Result<Stop> commit(const StepContext& context, const Git& workspace, const std::string& subject) {
    auto end = workspace.run({"commit", "--quiet", "-m", subject});
    if (!end) {  // a hook of the workspace that hangs or kills: the task's own bad minute, and nobody else's
        return Stop{try_again(end.error().line())};
    }
    if (end->status != 0) {  // a hook of the repository, most likely
        return Stop{blocked(fmt::format("the commit \"{}\" was refused: {}; fix it in {}, {}", subject,
                                        last_lines(end->errors.empty() ? end->output : end->errors),
                                        workspace.directory(), retry_command(context)))};
    }
    return Stop{};
}

Result<bool> has_staged_changes(const Git& workspace) {
    TRY_ASSIGN(auto end, workspace.run({"diff", "--cached", "--quiet"}));
    if (end.status > 1) {
        return Error{fmt::format("git diff in {}: {}", workspace.directory(), last_lines(end.errors))};
    }
    return end.status == 1;
}

}  // namespace

Result<Stop> commit_work(const StepContext& context, const Git& workspace) {
    TRY_ASSIGN(auto unmerged, workspace.unmerged_paths());
    if (!unmerged.empty()) {  // `add -A` would take the conflict markers for the solution
        return Stop{blocked(fmt::format("unresolved conflict in {}; resolve it in {}, {}",
                                        core::named(unmerged), context.workspace, retry_command(context)))};
    }
    // Queue and done are ours: whatever the worker wrote there is not its work.
    for (const std::string* path : {&context.settings.queue_relative, &context.settings.done_relative}) {
        TRY_ASSIGN(auto tracked, workspace.resolve("HEAD:" + *path));
        auto restored =
            tracked ? workspace.expect({"--literal-pathspecs", "checkout", "--quiet", "HEAD", "--", *path})
                    : Result<void>{};
        if (!restored) {
            return restored.error();
        }
    }
    auto added = check_files(workspace);  // git leaves out in silence what it cannot read
    added = added ? look_at_all_files(workspace) : added;
    added = added ? workspace.expect({"add", "--all"}) : added;
    if (!added && !added.error().is_passing()) {
        return Stop{blocked(fmt::format("what the worker left cannot be added: {}; fix it in {}, {}",
                                        added.error().line(), context.workspace, retry_command(context)))};
    }
    if (!added) {
        return added.error();
    }
    TRY_ASSIGN(auto changed, has_staged_changes(workspace));
    return changed ? commit(context, workspace.for_hooks(),
                            core::subject_line(context.task_id + ": " + context.task_title))
                   : Result<Stop>{Stop{}};
}

Result<Stop> commit_bookkeeping(const StepContext& context, const Git& git, Bookkeeping bookkeeping,
                                const std::string& below) {
    const Settings& settings = context.settings;
    const auto stop = [&context](const Error& error) {
        return Stop{blocked(fmt::format("bookkeeping: {}; {}", error.line(), retry_command(context)))};
    };
    if (bookkeeping.tracked) {
        TRY(restore_bookkeeping_files(context, git, below));
    }
    const std::string queue_before = core::task_file_text(bookkeeping.queue);
    const std::string done_before = core::task_file_text(bookkeeping.done);
    auto archived =
        core::archive_finished_task(bookkeeping.queue, bookkeeping.done, context.task_id, wall_clock());
    if (archived) {
        archived = add_followups(settings, settings.paths.in(context.workspace), context.task_id,
                                 bookkeeping.queue, bookkeeping.done);
    }
    if (!archived) {
        return stop(archived.error());
    }
    if (auto valid = core::validate_queue(bookkeeping.queue, bookkeeping.done, settings.queue_rules());
        !valid) {
        return stop(valid.error());
    }
    const bool is_changed = core::task_file_text(bookkeeping.queue) != queue_before ||
                            core::task_file_text(bookkeeping.done) != done_before;
    if (bookkeeping.tracked && is_changed) {
        auto queue_path = path_inside(git.directory(), settings.queue_relative);
        auto done_path = path_inside(git.directory(), settings.done_relative);
        if (!queue_path || !done_path) {
            return stop(queue_path ? done_path.error() : queue_path.error());
        }
        if (auto saved = save_bookkeeping(*queue_path, bookkeeping.queue, *done_path, bookkeeping.done, "");
            !saved) {
            return saved.error();
        }
        TRY(git.expect({"--literal-pathspecs", "add", "--force", "--", settings.queue_relative,
                        settings.done_relative}));
    }
    TRY_ASSIGN(auto staged, has_staged_changes(git));
    return staged ? commit(context, git, bookkeeping_subject(context)) : Result<Stop>{Stop{}};
}

}  // namespace ralph::daemon
