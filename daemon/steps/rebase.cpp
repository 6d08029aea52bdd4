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

// Where HEAD was before our rebase; there only while the rebase runs.
constexpr const char* before_rebase = "refs/ralph/before-rebase";
// HEAD while the gate runs, over a working tree that was clean when it began.
constexpr const char* gate_running = "refs/ralph/gate";

// Whether HEAD is a commit of ours that touches nothing but queue and done.
Result<bool> is_our_bookkeeping(const StepContext& context, const Git& workspace) {
    auto subject = workspace.line({"log", "-1", "--no-show-signature", "--format=%s"});
    if (!subject) {
        return subject.error();
    }
    auto parents = workspace.line({"log", "-1", "--no-show-signature", "--format=%P"});
    if (!parents) {
        return parents.error();
    }
    if (*subject != bookkeeping_subject(context) || parents->empty() ||
        parents->find(' ') != std::string::npos) {
        return false;
    }
    auto changed =
        workspace.output({"diff-tree", "-r", "-z", "--name-only", "--no-renames", "HEAD^", "HEAD"});
    if (!changed) {
        return changed.error();
    }
    return are_bookkeeping_files(context, split_at_nul(*changed));
}

// After which commit the worker's own work begins: after the base that it was given, if the target has lost
// that base meanwhile (somebody removed commits by force, and they must not come back with the work); else
// after the target.
Result<std::string> begin_of_work(const StepContext& context, const Git& workspace,
                                  const std::string& target) {
    const auto recorded = newest_preparation(context.settings.paths, context.task_id);
    if (!recorded || recorded->base_sha.empty()) {
        return recorded ? Result<std::string>{target} : Result<std::string>{recorded.error()};
    }
    const std::string& base = recorded->base_sha;
    auto known = workspace.resolve(base + "^{commit}");
    if (!known || !*known) {
        return known ? Result<std::string>{target} : Result<std::string>{known.error()};
    }
    auto below_work = workspace.is_ancestor(base, "HEAD");
    auto below_target = workspace.is_ancestor(base, target);
    if (!below_work || !below_target) {
        return below_work ? below_target.error() : below_work.error();
    }
    return *below_work && !*below_target ? base : target;
}

// Back to where HEAD was before the rebase that was begun here, whatever is left of it. The working tree was
// clean then. A rebase that breaks off while it checks out the target leaves the target's files behind, which
// must not be taken for the worker's.
Result<void> undo_rebase(const StepContext& context, const Git& workspace) {
    auto branch = workspace.current_branch();
    if (!branch) {
        return branch.error();
    }
    if (has_unfinished_operation(workspace) || !*branch) {
        auto aborted = workspace.run({"rebase", "--abort"});
        auto before = workspace.resolve(before_rebase);
        auto now = workspace.resolve("HEAD");
        if (!aborted || !before || !now) {
            return !aborted ? aborted.error() : (before ? now.error() : before.error());
        }
        if (aborted->status != 0 || *before != *now) {
            if (auto forgotten = forget_unfinished_operation(workspace); !forgotten) {
                return forgotten;
            }
            auto moved = workspace.expect(
                {"checkout", "--quiet", "--force", "-B", context.target_branch, before_rebase});
            if (!moved) {
                return moved;
            }
        }
    }
    if (auto cleaned = clean_working_tree(workspace); !cleaned) {
        return cleaned;
    }
    return workspace.expect({"update-ref", "-d", before_rebase});
}

// The worker's own rebase, merge or cherry-pick: back to where it began.
Result<void> abort_operation_of_worker(const Git& workspace) {
    const std::string folder = workspace.directory() + "/.git/";
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

Result<void> take_back_bookkeeping(const StepContext& context, const Git& workspace) {
    const std::string target = origin_ref(context.target_branch);
    while (true) {
        auto published = workspace.is_ancestor("HEAD", target);
        if (!published) {
            return published.error();
        }
        auto ours = *published ? Result<bool>{false} : is_our_bookkeeping(context, workspace);
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
    auto rebasing = workspace.ref_exists(before_rebase);
    if (!rebasing) {
        return rebasing.error();
    }
    if (*rebasing) {
        auto branch = workspace.current_branch();
        auto dirty = workspace.dirty_paths(Git::Untracked::yes);
        if (!branch || !dirty) {
            return branch ? dirty.error() : branch.error();
        }
        if (has_unfinished_operation(workspace) || !*branch || dirty->empty()) {
            return undo_rebase(context, workspace);
        }
    }
    auto gating = workspace.ref_exists(gate_running);
    if (!gating) {
        return gating.error();
    }
    if (!*rebasing && !*gating && !has_unfinished_operation(workspace)) {
        return {};
    }
    // Of a rebase that broke off before it left the branch, only the target's files may be there; but
    // somebody may have looked after the workspace since.
    auto kept = keep_work(context.settings, workspace, context.task_id);
    if (!kept) {
        return kept.error();
    }
    if (!kept->made.empty()) {
        add_note(outcome, fmt::format("what was unfinished in the workspace is kept as {}",
                                      fmt::join(kept->made, ", ")));
    }
    if (*rebasing) {
        return undo_rebase(context, workspace);
    }
    if (*gating) {
        if (auto cleaned = clean_working_tree(workspace); !cleaned) {
            return cleaned;
        }
        return workspace.expect({"update-ref", "-d", gate_running});
    }
    return abort_operation_of_worker(workspace);
}

Result<Stop> rebase_work(const StepContext& context, const Git& workspace) {
    const std::string target = origin_ref(context.target_branch);
    if (auto taken = take_back_bookkeeping(context, workspace); !taken) {
        return taken.error();
    }
    // A worker that has merged the target keeps its merge; a rebase would lose how it resolved the conflicts.
    auto on_top = workspace.is_ancestor(target, "HEAD");
    auto begin = begin_of_work(context, workspace, target);
    if (!on_top || !begin) {
        return on_top ? begin.error() : on_top.error();
    }
    if (*on_top && *begin == target) {
        return Stop{};
    }
    if (auto set = workspace.expect({"update-ref", before_rebase, "HEAD"}); !set) {
        return set.error();
    }
    auto rebased = rebase_onto(context, workspace, target, *begin);
    if (!rebased) {
        return rebased.error();
    }
    if (rebased->status == 0) {
        auto deleted = workspace.expect({"update-ref", "-d", before_rebase});
        return deleted ? Result<Stop>{Stop{}} : Result<Stop>{deleted.error()};
    }
    auto conflicts = workspace.unmerged_paths();
    if (!conflicts) {
        return conflicts.error();
    }
    if (auto undone = undo_rebase(context, workspace); !undone) {
        return undone.error();
    }
    if (conflicts->empty()) {
        // No conflict: a full disk, for one, at which the next attempt may find room.
        return Stop{try_again(
            fmt::format("the rebase on {} failed: {}", context.target(), last_words(rebased->errors)))};
    }
    return Stop{
        blocked(fmt::format("conflict with {} in {}; resolve it in {} (git rebase {}), {}", context.target(),
                            named(*conflicts), context.workspace, context.target(), retry_command(context)))};
}

namespace {

// The next attempt commits what is uncommitted, and that must not be what the gate has built.
Result<void> forget_gate(const Git& workspace) {
    auto cleaned = clean_working_tree(workspace);
    return cleaned ? workspace.expect({"update-ref", "-d", gate_running}) : cleaned;
}

}  // namespace

Result<Stop> pass_gate(const StepContext& context, const Git& workspace, const std::string& base,
                       core::Outcome& outcome) {
    const config::CiGateConfig& gate = context.settings.project.ci_gate;
    if (!gate.enabled || gate.argv.empty()) {
        return Stop{};
    }
    auto candidate = workspace.resolve("HEAD");
    if (!candidate) {
        return candidate.error();
    }
    ProgramRequest request;
    request.program = gate.argv.front();
    request.arguments.assign(gate.argv.begin() + 1, gate.argv.end());
    request.directory = context.workspace;
    request.environment = environment_without_git();
    request.environment.insert(request.environment.end(), {"RALPH_GATE=ci", "RALPH_BASE_SHA=" + base,
                                                           "RALPH_CANDIDATE_SHA=" + candidate->value_or(""),
                                                           "PWD=" + context.workspace});
    request.capture = false;
    request.whole_tree = true;
    request.timeout = context.settings.supervisor.gate.timeout;
    const std::string name = core::printable(fmt::format("{}", fmt::join(gate.argv, " ")));
    const std::uint32_t tries = 1 + context.settings.supervisor.gate.retries;
    for (std::uint32_t number = 1;; ++number) {
        if (auto set = workspace.expect({"update-ref", gate_running, "HEAD"}); !set) {
            return set.error();
        }
        const auto end = run_program(request);
        if (auto forgotten = forget_gate(workspace); !forgotten) {
            return forgotten.error();
        }
        if (!end) {
            return Stop{
                blocked(fmt::format("gate `{}`: {}; {}", name, end.error().line(), retry_command(context)))};
        }
        if (end->succeeded()) {
            if (number > 1) {
                add_note(outcome,
                         fmt::format("gate `{}` was red {} times on the same commit before it was green",
                                     name, number - 1));
            }
            return Stop{};
        }
        if (number == tries) {
            return Stop{
                blocked(fmt::format("gate `{}` {}{}; see {}, {}", name, end->describe(),
                                    tries > 1 ? fmt::format(", {} times", tries) : "",
                                    context.settings.paths.log(context.task_id), retry_command(context)))};
        }
    }
}

}  // namespace ralph::daemon
