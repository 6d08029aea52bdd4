#include "daemon/landing/candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/glob.h"
#include "core/base/shown_text.h"
#include "daemon/git/own_places.h"
#include "daemon/landing/undo_guard.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/commit_range.h"
#include "daemon/workspace/unfinished_operation.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {
namespace {

using core::Result;

Ending conflict_with_target(const StepContext& task, const std::vector<std::string>& paths) {
    return fixable(
        fmt::format("conflict with {} in {}; resolve it in {} (git fetch origin && git rebase {}), {}",
                    task.target(), core::named(paths), task.workspace, task.target(), retry_command(task)));
}

// A merge would bring back what was taken off the target.
Ending merge_on_rewritten_target(const StepContext& task) {
    return fixable(
        fmt::format("{} was rewritten below the work, which holds a merge; put the work on it in {} "
                    "(git fetch origin && git rebase {}, and look at what the merge held), {}",
                    task.target(), task.workspace, task.target(), retry_command(task)));
}

// Whoever made it can put it right, as with a conflict.
Ending takes_back(const StepContext& task, const Undone& undone) {
    const std::string commit = undone.commit.substr(0, 12);
    return fixable(fmt::format(
        "it would take back what {} ({}) has landed since its worker began, in {}; put that back in {} "
        "(see `git show {}`), or say that it is meant, in a commit message (\"This reverts commit {}\"), {}",
        commit, core::printable(undone.subject), core::printable(undone.path), task.workspace, commit, commit,
        retry_command(task)));
}

Ending holds_own_place(const StepContext& task, const std::string& place) {
    return fixable(fmt::format(
        "the work holds {0}, which is a supervisor's own and never part of a commit; take it out in {1} "
        "(git rm -r --cached {0}), {2}",
        place, task.workspace, retry_command(task)));
}

class Builder {
  public:
    Builder(const StepContext& task, const IntegrationWorkspace& integration)
        : task_(task), integration_(integration), git_(integration.git()) {}

    Result<Addition> run() {
        TRY_ASSIGN(below_, git_.head());
        auto addition = add();
        if (addition && addition->kind == Addition::Kind::added) {
            return addition;
        }
        // Also after a fault: whoever goes on finds the candidate as it was.
        auto forgotten = forget_unfinished_operation(git_);
        TRY(forgotten ? integration_.go_to(below_) : forgotten);
        // Whatever it was, the others are tried without this one.
        if (!addition) {
            const std::string why = addition.error().line();
            return Addition{Addition::Kind::stopped,
                            addition.error().is_passing() ? unavailable(why) : try_again(why)};
        }
        return addition;
    }

  private:
    Result<Addition> add() {
        TRY_ASSIGN(auto texts, bookkeeping_at(task_.settings, git_, below_, task_.target()));
        auto bookkeeping = parse_bookkeeping(task_.settings, std::move(texts));
        if (!bookkeeping) {
            return Addition{Addition::Kind::stopped, blocked(bookkeeping.error().line())};
        }
        if (bookkeeping->tracked && is_done(bookkeeping->done, task_.task_id) && !has_landed_itself()) {
            return Addition{Addition::Kind::stopped, landed_elsewhere(task_, git_, integration_.tip())};
        }
        auto work = own_work();
        auto addition = work ? put_on_top(*work) : Result<Addition>{work.error()};
        if (addition && addition->kind == Addition::Kind::added) {
            addition = check_own_places();
        }
        if (addition && addition->kind == Addition::Kind::added) {
            addition = guard();
        }
        return addition && addition->kind == Addition::Kind::added ? archive(std::move(*bookkeeping))
                                                                   : addition;
    }

    // The target holds the work already, as an earlier run of ours has pushed it.
    [[nodiscard]] bool has_landed_itself() const {
        const auto landing = git_.resolve(landing_ref(task_.task_id));
        const auto landed =
            landing && *landing ? git_.is_ancestor(**landing, integration_.tip()) : Result<bool>{false};
        return landed && *landed;
    }

    // In every checkout of the target, what it holds there would be taken for the memory of a supervisor.
    Result<Addition> check_own_places() const {
        TRY_ASSIGN(auto text,
                   git_.output({"diff-tree", "-r", "-z", "--name-only", "--diff-filter=d", below_, "HEAD",
                                "--", std::string(ralph_folder), std::string(cueloop_folder)}));
        for (const std::string& path : split_at_nul(text)) {
            if (const auto place = own_place_of(path)) {
                return Addition{Addition::Kind::stopped, holds_own_place(task_, *place), {path}};
            }
        }
        return Addition{};
    }

    // What another one has landed while this one was at work stays.
    Result<Addition> guard() {
        TRY_ASSIGN(const auto beginning, beginning_of_work(task_.settings.paths, task_.task_id));
        TRY_ASSIGN(auto known, beginning.empty() ? Result<std::optional<std::string>>{std::nullopt}
                                                 : git_.resolve(beginning + "^{commit}"));
        // Where nobody has noted what it began at: where its work and the target part.
        auto begin = known ? Result<std::string>{*known}
                           : git_.line({"merge-base", work_ref(task_.task_id), integration_.tip()});
        auto undone =
            begin ? find_undone(task_, git_, *begin, below_) : Result<std::optional<Undone>>{begin.error()};
        if (!undone) {
            return undone.error();
        }
        if (!*undone) {
            return Addition{};
        }
        TRY_ASSIGN(auto is_on_target, git_.is_ancestor((*undone)->commit, integration_.tip()));
        return is_on_target
                   ? Addition{Addition::Kind::stopped, takes_back(task_, **undone), {(*undone)->path}}
                   : Addition{Addition::Kind::conflict, {}};
    }

    // Without bookkeeping commits that somebody has made on top of it.
    Result<std::string> own_work() const {
        auto work = git_.resolve(work_ref(task_.task_id));
        while (work && *work) {
            auto published = git_.is_ancestor(**work, integration_.tip());
            TRY_ASSIGN(auto ours, published && !*published
                                      ? is_our_bookkeeping(task_, git_, **work)
                                      : Result<bool>{published ? Result<bool>{false} : published});
            if (!ours) {
                return std::move(**work);
            }
            work = git_.resolve(**work + "^");
        }
        return work ? Error{fmt::format("the work of {} is not in {}", task_.task_id, git_.directory())}
                    : work.error();
    }

    Result<Addition> put_on_top(const std::string& work) {
        const std::string& tip = integration_.tip();
        auto on_top = git_.is_ancestor(tip, work);
        auto begin = begin_of_work(task_, git_, work, tip);
        if (!on_top || !begin) {
            return on_top ? begin.error() : on_top.error();
        }
        if (*on_top && *begin == tip && below_ == tip) {
            auto moved = integration_.go_to(work);
            return moved ? Result<Addition>{Addition{}} : Result<Addition>{moved.error()};
        }
        auto merges = git_.line({"rev-list", "--merges", "--max-count=1", *begin + ".." + work});
        if (!merges) {
            return merges.error();
        }
        // A rebase would lose how the worker's merges resolved their conflicts, without a word.
        if (!merges->empty()) {
            return *begin == tip ? judge(merge(work))
                                 : Addition{Addition::Kind::stopped, merge_on_rewritten_target(task_)};
        }
        TRY(git_.expect({"checkout", "--quiet", "--force", "--detach", work}));
        return judge(rebase_onto(task_, git_, below_, *begin));
    }

    Result<ProgramEnd> merge(const std::string& work) {
        auto end = git_.run({"merge", "--quiet", "--no-ff", "--no-edit", "-m",
                             fmt::format("Merge the work of {}", task_.task_id), work});
        TRY_ASSIGN(auto conflicts, end && end->status != 0
                                       ? git_.unmerged_paths()
                                       : Result<std::vector<std::string>>{std::vector<std::string>{}});
        if (conflicts.empty() || !are_bookkeeping_files(task_, conflicts)) {
            return end;
        }
        auto restored = restore_bookkeeping_files(task_, git_, below_);
        return restored ? git_.run({"commit", "--quiet", "--no-edit"}) : Result<ProgramEnd>{restored.error()};
    }

    Result<Addition> judge(Result<ProgramEnd> end) {
        if (!end) {
            return end.error();
        }
        if (end->status == 0) {
            return Addition{};
        }
        TRY_ASSIGN(auto conflicts, git_.unmerged_paths());
        if (conflicts.empty()) {
            std::string why =
                fmt::format("putting the work on {} failed: {}", task_.target(), last_lines(end->errors));
            return Addition{Addition::Kind::stopped, fault_in(end->errors) == core::Fault::passing
                                                         ? unavailable(std::move(why))
                                                         : try_again(std::move(why))};
        }
        return below_ == integration_.tip()
                   ? Addition{Addition::Kind::stopped, conflict_with_target(task_, conflicts), conflicts}
                   : Addition{Addition::Kind::conflict, {}};
    }

    Result<Addition> archive(Bookkeeping bookkeeping) {
        TRY_ASSIGN(auto stop, commit_bookkeeping(task_, git_, std::move(bookkeeping), below_));
        return stop ? Addition{Addition::Kind::stopped, std::move(stop)} : Addition{};
    }

    const StepContext& task_;
    const IntegrationWorkspace& integration_;
    const Git& git_;
    std::string below_;  // HEAD before
};

}  // namespace

Result<core::Change> change_of(const StepContext& task, const IntegrationWorkspace& integration) {
    core::Change change{task.task_id, {}, {}, false};
    const config::PartitionSettings& partitions = task.settings.supervisor.partitions;
    if (!partitions.by_scope && partitions.barrier_paths.empty()) {
        return change;
    }
    if (const auto kept = read_kept_task(task.settings.paths, task.task_id)) {
        change.scope = kept->scope;
    }
    TRY_ASSIGN(auto changed, integration.git().output({"diff", "--name-only", "--no-renames", "-z",
                                                       integration.tip() + "..." + work_ref(task.task_id)}));
    for (std::string& path : split_at_nul(changed)) {
        if (!are_bookkeeping_files(task, {path})) {
            change.is_barrier =
                change.is_barrier ||
                std::any_of(partitions.barrier_paths.begin(), partitions.barrier_paths.end(),
                            [&path](const std::string& pattern) { return glob_matches(pattern, path); });
            change.files.push_back(std::move(path));
        }
    }
    return change;
}

Result<Addition> add_to_candidate(const StepContext& task, const IntegrationWorkspace& integration) {
    return Builder(task, integration).run();
}

}  // namespace ralph::daemon
