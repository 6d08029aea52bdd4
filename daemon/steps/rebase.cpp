#include <fmt/format.h>

#include "daemon/steps/kept_work.h"
#include "daemon/steps/landing.h"
#include "daemon/steps/landing_details.h"
#include "daemon/steps/workspace.h"
#include "daemon/store/files.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

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
        if (auto forgotten = forget_unfinished_operation(workspace); !forgotten) {
            return forgotten;
        }
        return workspace.expect({"reset", "--quiet", "--hard"});
    }
    return {};
}

}  // namespace

Result<bool> is_our_bookkeeping(const StepContext& context, const Git& git, const std::string& commit) {
    auto subject = git.line({"log", "-1", "--no-show-signature", "--format=%s", commit});
    if (!subject) {
        return subject.error();
    }
    if (*subject != bookkeeping_subject(context)) {
        return false;
    }
    auto parents = git.line({"log", "-1", "--no-show-signature", "--format=%P", commit});
    if (!parents) {
        return parents.error();
    }
    if (parents->empty() || parents->find(' ') != std::string::npos) {
        return false;
    }
    auto changed = git.output({"diff-tree", "-r", "-z", "--name-only", "--no-renames", commit + "^", commit});
    if (!changed) {
        return changed.error();
    }
    return are_bookkeeping_files(context, split_at_nul(*changed));
}

Result<std::string> begin_of_work(const StepContext& context, const Git& git, const std::string& work,
                                  const std::string& target) {
    const auto recorded = newest_preparation(context.settings.paths, context.task_id);
    if (!recorded || recorded->base_sha.empty()) {
        return recorded ? Result<std::string>{target} : Result<std::string>{recorded.error()};
    }
    const std::string& base = recorded->base_sha;
    auto known = git.resolve(base + "^{commit}");
    if (!known || !*known) {
        return known ? Result<std::string>{target} : Result<std::string>{known.error()};
    }
    auto below_work = git.is_ancestor(base, work);
    auto below_target = git.is_ancestor(base, target);
    if (!below_work || !below_target) {
        return below_work ? below_target.error() : below_work.error();
    }
    return *below_work && !*below_target ? base : target;
}

Result<void> take_back_bookkeeping(const StepContext& context, const Git& workspace) {
    const std::string target = origin_ref(context.target_branch);
    while (true) {
        auto published = workspace.is_ancestor("HEAD", target);
        if (!published) {
            return published.error();
        }
        auto ours = *published ? Result<bool>{false} : is_our_bookkeeping(context, workspace, "HEAD");
        if (!ours) {
            return ours.error();
        }
        if (!*ours) {
            return {};
        }
        if (auto reset = workspace.expect({"reset", "--quiet", "--hard", "HEAD^"}); !reset) {
            return reset;
        }
    }
}

Result<ProgramEnd> rebase_onto(const StepContext& context, const Git& workspace, const std::string& target,
                               const std::string& begin) {
    const Git git = workspace.with_environment("GIT_EDITOR", "true");
    auto end = git.run({"-c", "rebase.autoSquash=false", "-c", "rebase.autoStash=false", "-c",
                        "rebase.updateRefs=false", "rebase", "--quiet", "--onto", target, begin});
    while (end && end->status != 0) {
        auto conflicts = git.unmerged_paths();
        if (!conflicts) {
            return conflicts.error();
        }
        if (conflicts->empty() || !are_bookkeeping_files(context, *conflicts)) {
            break;
        }
        if (auto restored = restore_bookkeeping_files(context, git, target); !restored) {
            return restored.error();
        }
        end = git.run({"rebase", "--continue"});
    }
    return end;
}

Result<void> recover_workspace(const StepContext& context, const Git& workspace, core::Outcome& outcome) {
    remove_left_overs(context.settings, workspace);
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
