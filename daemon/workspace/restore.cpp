#include "daemon/workspace/restore.h"

#include <fmt/format.h>

#include "daemon/workspace/commit_range.h"
#include "daemon/workspace/unfinished_operation.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

// A rebase of the work would leave this behind: a merge, or a branch that holds commits of the work.
Result<std::string> obstacle_to_moving(const StepContext& context, const Git& workspace,
                                       const std::string& head, const std::string& base) {
    auto merges =
        workspace.line({"rev-list", "--merges", "--max-count=1", fmt::format("{}..{}", base, head)});
    if (!merges) {
        return merges.error();
    }
    if (!merges->empty()) {
        return std::string("a merge is part of it");
    }
    TRY_ASSIGN(auto elsewhere,
               workspace.line({"rev-list", "--max-count=1", "--exclude=" + context.target_branch,
                               "--branches", "--not", "--remotes=origin"}));
    return elsewhere.empty() ? std::string{} : std::string("another branch holds work, too");
}

Result<void> set_to(const StepContext& context, const Git& workspace, const std::string& commit) {
    TRY(forget_unfinished_operation(workspace));
    auto moved = workspace.expect({"checkout", "--quiet", "--force", "-B", context.target_branch, commit});
    return moved ? clean_working_tree(workspace) : moved;
}

// Puts what was not committed on top of HEAD. False if that meets a conflict other than in queue and done,
// which the landing takes from the target anyway.
Result<bool> apply_uncommitted(const StepContext& context, const Git& workspace) {
    TRY_ASSIGN(auto end, workspace.run({"cherry-pick", "--no-commit", resuming_ref}));
    if (end.status == 0) {
        return true;
    }
    TRY_ASSIGN(auto conflicts, workspace.unmerged_paths());
    if (conflicts.empty() || !are_bookkeeping_files(context, conflicts)) {
        return false;
    }
    TRY(restore_bookkeeping_files(context, workspace, "HEAD"));
    return true;
}

// Whether the work is on the tip of the target now. If not, the workspace is in disorder.
Result<bool> move_to_target(const StepContext& context, const Git& workspace, const std::string& base,
                            bool has_uncommitted) {
    TRY_ASSIGN(auto rebased, rebase_onto(context, workspace, origin_ref(context.target_branch), base));
    if (rebased.status != 0) {
        return false;
    }
    return has_uncommitted ? apply_uncommitted(context, workspace) : Result<bool>{true};
}

}  // namespace

Result<std::string> base_of_work(const StepContext& context, const Git& workspace, const std::string& head,
                                 const std::string& recorded) {
    const std::string target = origin_ref(context.target_branch);
    TRY_ASSIGN(auto known, recorded.empty() ? Result<std::optional<std::string>>{std::optional<std::string>{}}
                                            : workspace.resolve(recorded + "^{commit}"));
    if (known) {
        auto below_work = workspace.is_ancestor(recorded, head);
        auto below_target = workspace.is_ancestor(recorded, target);
        if (!below_work || !below_target) {
            return below_work ? below_target.error() : below_work.error();
        }
        if (*below_work && !*below_target) {
            return recorded;
        }
    }
    TRY_ASSIGN(auto fork, workspace.run({"merge-base", head, target}));
    const std::string commit = fork.output.substr(0, fork.output.find('\n'));
    if (fork.status != 0 || commit.empty()) {
        return Error{fmt::format("{} has no history in common with {}", head, context.target())};
    }
    return commit;
}

Result<Standing> judge_standing(const StepContext& context, const Git& workspace, const std::string& head,
                                const std::string& base) {
    const std::string target = origin_ref(context.target_branch);
    auto on_top = workspace.is_ancestor(target, head);
    auto base_is_published = workspace.is_ancestor(base, target);
    if (!on_top || !base_is_published) {
        return on_top ? base_is_published.error() : on_top.error();
    }
    if (*on_top && *base_is_published) {
        return Standing{true, ""};
    }
    TRY_ASSIGN(auto obstacle, obstacle_to_moving(context, workspace, head, base));
    return Standing{!obstacle.empty(), std::move(obstacle)};
}

Result<Restored> restore_work(const StepContext& context, const Git& workspace,
                              const std::string& recorded_base) {
    const std::string kept = resuming_ref;
    auto tree = workspace.resolve(kept + "^{tree}");
    auto committed_tree = workspace.resolve(kept + "^^{tree}");
    auto head = workspace.resolve(kept + "^");
    for (const auto* found : {&tree, &committed_tree, &head}) {
        if (!*found || !**found) {
            return *found ? Error{fmt::format("{} in {} is no kept work", kept, workspace.directory())}
                          : found->error();
        }
    }
    TRY_ASSIGN(auto base, base_of_work(context, workspace, **head, recorded_base));
    TRY(set_to(context, workspace, **head));
    TRY(take_back_bookkeeping(context, workspace));
    TRY_ASSIGN(auto start, workspace.head());
    TRY_ASSIGN(auto standing, judge_standing(context, workspace, start, base));
    const bool has_uncommitted = **tree != **committed_tree;
    Restored restored_work{std::move(base), std::move(**tree), std::move(standing.obstacle)};
    if (!standing.stays) {
        TRY_ASSIGN(auto moved, move_to_target(context, workspace, restored_work.base, has_uncommitted));
        if (moved) {
            auto tip = workspace.resolve(origin_ref(context.target_branch));
            if (!tip || !*tip) {
                return tip ? Error{context.target() + " is gone"} : tip.error();
            }
            restored_work.base = std::move(**tip);
            return restored_work;
        }
        restored_work.obstacle = "it conflicts with " + context.target();
        TRY(set_to(context, workspace, start));
    }
    if (has_uncommitted) {
        // Index and files exactly as they were kept; HEAD stays below them.
        TRY(workspace.expect({"read-tree", "-u", "--reset", kept}));
    }
    return restored_work;
}

}  // namespace ralph::daemon
