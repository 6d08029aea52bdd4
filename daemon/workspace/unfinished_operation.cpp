#include "daemon/workspace/unfinished_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/git/plain_git.h"
#include "daemon/os/files.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {

using core::Error;
using core::Result;

bool has_unfinished_operation(const Git& workspace) {
    const std::string folder = workspace.folder();
    constexpr std::array names{"/rebase-merge", "/rebase-apply",     "/sequencer",
                               "/MERGE_HEAD",   "/CHERRY_PICK_HEAD", "/REVERT_HEAD"};
    return std::any_of(names.begin(), names.end(),
                       [&folder](const char* name) { return path_exists(folder + name); });
}

Result<void> forget_unfinished_operation(const Git& workspace) {
    TRY_ASSIGN(auto git, git_folder_of(workspace));
    for (const char* name : {"rebase-merge", "rebase-apply", "sequencer"}) {
        TRY(git.remove_tree(name));
    }
    for (const char* name : {"MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "AUTO_MERGE", "CHERRY_PICK_HEAD",
                             "REVERT_HEAD", "REBASE_HEAD", "SQUASH_MSG"}) {
        TRY(git.remove(name));
    }
    return {};
}

namespace {

// The worker's own rebase, merge or cherry-pick: back to where it began.
Result<void> abort_operation_of_worker(const Git& workspace) {
    const std::string folder = workspace.folder() + "/";
    if (path_exists(folder + "rebase-merge") || path_exists(folder + "rebase-apply")) {
        // Where HEAD belongs is known to the rebase only; a guess might land half of the work.
        if (auto aborted = workspace.expect({"rebase", "--abort"}); !aborted) {
            return Error{fmt::format("an unfinished rebase cannot be aborted: {}", aborted.error().message),
                         fmt::format("end it by hand in {}", workspace.directory())};
        }
    }
    if (has_unfinished_operation(workspace)) {
        TRY(forget_unfinished_operation(workspace));
        return workspace.expect({"reset", "--quiet", "--hard"});
    }
    return {};
}

}  // namespace

Result<void> recover_workspace(const StepContext& context, const Git& workspace, core::Outcome& outcome) {
    remove_stale_files(context.settings, workspace);
    if (!has_unfinished_operation(workspace)) {
        return {};
    }
    auto kept = keep_work(context.settings, workspace, context.task_id);
    if (!kept) {
        return kept.error();
    }
    if (!kept->made.empty()) {
        add_note(outcome, fmt::format("what was unfinished in the workspace is kept as {}",
                                      fmt::join(kept->made, ", ")));
    }
    return abort_operation_of_worker(workspace);
}

}  // namespace ralph::daemon
