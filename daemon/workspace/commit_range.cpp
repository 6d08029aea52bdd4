#include "daemon/workspace/commit_range.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/shown_text.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {

using core::Result;

std::string bookkeeping_subject(const StepContext& context) {
    return core::subject_line(fmt::format("ralph: archive {} queue bookkeeping", context.task_id));
}

bool are_bookkeeping_files(const StepContext& context, const std::vector<std::string>& paths) {
    return std::all_of(paths.begin(), paths.end(), [&context](const std::string& path) {
        return path == context.settings.queue_relative || path == context.settings.done_relative;
    });
}

Result<void> restore_bookkeeping_files(const StepContext& context, const Git& workspace,
                                       const std::string& commit) {
    for (const std::string* path : {&context.settings.queue_relative, &context.settings.done_relative}) {
        TRY_ASSIGN(auto there, workspace.resolve(commit + ":" + *path));
        auto restored =
            there ? workspace.expect({"--literal-pathspecs", "checkout", "--quiet", commit, "--", *path})
                  : workspace.expect({"--literal-pathspecs", "rm", "-r", "--quiet", "--force",
                                      "--ignore-unmatch", "--", *path});
        if (!restored) {
            return restored;
        }
    }
    return {};
}

Result<bool> is_our_bookkeeping(const StepContext& context, const Git& git, const std::string& commit) {
    TRY_ASSIGN(auto subject, git.line({"log", "-1", "--no-show-signature", "--format=%s", commit}));
    if (subject != bookkeeping_subject(context)) {
        return false;
    }
    TRY_ASSIGN(auto parents, git.line({"log", "-1", "--no-show-signature", "--format=%P", commit}));
    if (parents.empty() || parents.find(' ') != std::string::npos) {
        return false;
    }
    TRY_ASSIGN(auto changed,
               git.output({"diff-tree", "-r", "-z", "--name-only", "--no-renames", commit + "^", commit}));
    return are_bookkeeping_files(context, split_at_nul(changed));
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
        TRY_ASSIGN(auto published, workspace.is_ancestor("HEAD", target));
        TRY_ASSIGN(auto ours,
                   published ? Result<bool>{false} : is_our_bookkeeping(context, workspace, "HEAD"));
        if (!ours) {
            return {};
        }
        TRY(workspace.expect({"reset", "--quiet", "--hard", "HEAD^"}));
    }
}

Result<ProgramEnd> rebase_onto(const StepContext& context, const Git& workspace, const std::string& target,
                               const std::string& begin) {
    const Git git = workspace.with_environment("GIT_EDITOR", "true");
    auto end = git.run({"-c", "rebase.autoSquash=false", "-c", "rebase.autoStash=false", "-c",
                        "rebase.updateRefs=false", "rebase", "--quiet", "--onto", target, begin});
    while (end && end->status != 0) {
        TRY_ASSIGN(auto conflicts, git.unmerged_paths());
        if (conflicts.empty() || !are_bookkeeping_files(context, conflicts)) {
            break;
        }
        TRY(restore_bookkeeping_files(context, git, target));
        end = git.run({"rebase", "--continue"});
    }
    return end;
}

}  // namespace ralph::daemon
