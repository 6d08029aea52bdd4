#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "core/supervisor/transition.h"
#include "daemon/git/checkout.h"
#include "daemon/git/git.h"
#include "daemon/git/large_files.h"
#include "daemon/git/plain_git.h"
#include "daemon/landing/landing_commits.h"
#include "daemon/os/files.h"
#include "daemon/steps/prepare.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/repository_folder.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/bookkeeping.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/restore.h"
#include "daemon/workspace/seeding.h"
#include "daemon/workspace/unfinished_operation.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

constexpr int already_landed = static_cast<int>(core::exit_already_landed);
constexpr int not_now = static_cast<int>(core::exit_try_again);
constexpr int not_available = static_cast<int>(core::exit_unavailable);
constexpr int in_use = static_cast<int>(core::exit_in_use);

class Preparation {
  public:
    explicit Preparation(const StepContext& context)
        : context_(context),
          repository_(context.settings.paths.root),
          use_{Purpose::work, context.target_branch},
          preparing_name_(fmt::format(".{}.preparing", context.task_id)) {}

    // The exit code; what there is to say is in outcome().
    Result<int> run() {
        const std::string& root = context_.settings.workspace_root;
        TRY(make_directories(root));
        TRY(remove_tree(root, preparing_name_));
        auto code = path_exists(context_.workspace) ? reuse() : create();
        if (code && *code == already_landed) {
            add_note(outcome_, bring_checkout_forward(context_.settings, context_.target_branch).note);
        }
        return code;
    }

    [[nodiscard]] core::Outcome outcome() && { return std::move(outcome_); }

  private:
    Result<int> create() {
        const std::string& root = context_.settings.workspace_root;
        const std::string preparing = root + "/" + preparing_name_;
        const std::string created = owner_now(context_.settings, context_.task_id).task_created;
        auto cloned = clone_repository(context_.settings, preparing_name_);
        auto kept = cloned ? kept_to_go_on_from(repository_, context_.task_id, created)
                           : Result<std::optional<KeptRef>>{cloned.error()};
        auto workspace = kept ? open_workspace(context_.settings, preparing, context_.task_id, use_)
                              : Result<Git>{kept.error()};
        if (workspace) {  // so that a filter need not fetch again what the repository has
            const std::string& top = context_.settings.paths.root;
            auto brought = bring_large_files(Git(top, common_git_folder(top)), LargeFilesOf::us, *workspace);
            workspace = brought ? workspace : Result<Git>{brought.error()};
        }
        auto code = workspace ? make_ready(*workspace, *kept) : Result<int>{workspace.error()};
        if (!code || *code != 0) {
            auto removed = remove_tree(root, preparing_name_);
            return code && !removed ? Result<int>{removed.error()} : code;
        }
        // Nothing at the final path is ever half a workspace, not even after a power failure.
        TRY(rename_durably(preparing, context_.workspace));
        return 0;
    }

    Result<int> reuse() {
        TRY_ASSIGN(auto user, user_of_workspace(context_.workspace));
        if (user) {
            outcome_.summary = fmt::format("process {} ({}) works in {}; the task waits until it has ended",
                                           user->pid, user->command, context_.workspace);
            return in_use;
        }
        auto plain = open_plain(context_.settings, context_.workspace);
        if (!plain) {
            return plain.error().is_passing() ? later(plain.error()) : start_over(plain.error().line());
        }
        TRY_ASSIGN(auto written, read_owner(*plain));
        switch (belonging_of(written, owner_now(context_.settings, context_.task_id))) {
            case Belonging::ours:
                break;
            case Belonging::other_task:
                return leave_to_other_task();
            case Belonging::other_repository:  // opening it says so
                break;
        }
        auto opened = open_workspace(context_.settings, context_.workspace, context_.task_id, use_);
        return opened ? reuse(*opened) : Result<int>{opened.error()};
    }

    // The workspace of a task that had this id before. What it left is kept as its own.
    Result<int> leave_to_other_task() {
        auto workspace =
            open_workspace_of_any_task(context_.settings, context_.workspace, context_.task_id, use_);
        TRY_ASSIGN(auto usable,
                   workspace ? is_usable_workspace(*workspace) : Result<bool>{workspace.error()});
        auto kept = usable ? keep_work(context_.settings, *workspace, context_.task_id)
                           : Result<KeptWork>{KeptWork{}};
        if (!kept && kept.error().is_passing()) {
            return later(kept.error());
        }
        if (kept && !kept->made.empty()) {
            add_note(outcome_, fmt::format("what another task of this id has left is kept as {}",
                                           fmt::join(kept->made, ", ")));
        }
        return start_over(kept ? "it is that of another task, which had the same id" : kept.error().line());
    }

    Result<int> reuse(const Git& workspace) {
        auto usable = is_usable_workspace(workspace);
        if (!usable) {
            return later(usable.error());
        }
        if (!*usable) {
            return start_over("it is no usable git repository");
        }
        remove_stale_files(context_.settings, workspace);
        make_folders_writable(workspace);
        TRY_ASSIGN(auto interrupted, interrupted_restore(workspace));
        auto code = interrupted ? make_ready(workspace, interrupted) : keep_and_go_on(workspace);
        if (code && *code == 0) {
            TRY(remove_marker(context_.settings.paths.in(context_.workspace)));
        }
        return code;
    }

    // The workspace may be somebody's only copy and is sound for all that is known.
    Result<int> later(const Error& error) {
        outcome_.summary =
            fmt::format("the work in {} cannot be kept now: {}", context_.workspace, error.line());
        return not_available;
    }

    // What this workspace was being rebuilt from when prepare was killed; its files tell nothing then.
    Result<std::optional<KeptRef>> interrupted_restore(const Git& workspace) const {
        auto object = workspace.resolve(resuming_ref);
        auto refs = list_kept(repository_, context_.task_id);
        if (!object || !refs) {
            return object ? refs.error() : object.error();
        }
        for (KeptRef& ref : *refs) {
            if (*object && ref.object == **object) {
                return std::optional(std::move(ref));
            }
        }
        return std::optional<KeptRef>{};
    }

    Result<int> keep_and_go_on(const Git& workspace) {
        auto kept = keep_work(context_.settings, workspace, context_.task_id);
        if (!kept) {
            return kept.error().is_passing() ? later(kept.error()) : start_over(kept.error().line());
        }
        if (!kept->made.empty()) {
            add_note(outcome_,
                     fmt::format("what the workspace held is kept as {}", fmt::join(kept->made, ", ")));
        }
        core::Outcome said;
        if (auto recovered = recover_workspace(context_, workspace, said); !recovered) {
            if (recovered.error().is_passing()) {
                return later(recovered.error());
            }
            // Where HEAD belongs is not known any more. All is kept; the work begins anew.
            add_note(outcome_, recovered.error().line());
            auto forgotten = forget_unfinished_operation(workspace);
            return forgotten ? make_ready(workspace, std::nullopt) : Result<int>{forgotten.error()};
        }
        kept = keep_work(context_.settings, workspace, context_.task_id);  // as it is now
        if (kept) {
            return make_ready(workspace, kept->files);
        }
        return kept.error().is_passing() ? later(kept.error()) : start_over(kept.error().line());
    }

    Result<int> start_over(const std::string& why) {
        TRY_ASSIGN(auto aside, quarantine_workspace(context_.settings, context_.task_id));
        add_note(outcome_, fmt::format("the old workspace was moved to {} ({})", aside, why));
        return create();
    }

    // `kept` is what the work goes on from: the state of a workspace that stands, or of one that is gone.
    Result<int> make_ready(const Git& workspace, const std::optional<KeptRef>& kept) {
        auto fetched = bring_refs(workspace);
        if (!fetched || !*fetched) {
            return fetched ? Result<int>{not_available} : fetched.error();
        }
        TRY_ASSIGN(auto bookkeeping, read_bookkeeping(context_.settings, workspace, context_.target_branch));
        if (is_done(bookkeeping.done, context_.task_id)) {
            outcome_.summary = fmt::format("{} is done on {} already", context_.task_id, context_.target());
            TRY(mark_kept_landed(repository_, context_.task_id));
            return already_landed;
        }
        if (bookkeeping.tracked && bookkeeping.queue.find(context_.task_id) == nullptr) {
            // Found out now, and not when an expensive worker is through.
            outcome_.summary =
                fmt::format("{} is not in {} on {}; commit and push the queue", context_.task_id,
                            context_.settings.queue_relative, context_.target());
            return not_now;
        }
        TRY_ASSIGN(auto tree, kept ? go_on(workspace, *kept) : begin_anew(workspace));
        return finish(workspace, tree, bookkeeping.tracked);
    }

    // Puts the workspace to the tip of the target. Returns the tree that seeding is not to write over.
    Result<std::string> begin_anew(const Git& workspace) {
        const std::string base = origin_ref(context_.target_branch);
        TRY(clear_copies(workspace));
        TRY(workspace.expect({"checkout", "--quiet", "--force", "-B", context_.target_branch, base}));
        TRY(clean_working_tree(workspace));
        auto head = workspace.head();
        if (!head) {
            return head.error();
        }
        outcome_.base_sha = *head;
        outcome_.summary =
            fmt::format("the workspace is ready at {} of {}", head->substr(0, 12), context_.target());
        return head;
    }

    // Without what an earlier run copied, so that it is brought up to date, or goes away.
    static Result<void> clear_copies(const Git& workspace) {
        auto cleared = remove_listed_copies(workspace);
        return cleared ? write_exclude_block(workspace, {}) : cleared;
    }

    Result<std::string> go_on(const Git& workspace, const KeptRef& kept) {
        TRY_ASSIGN(auto known, newest_preparation(context_.settings.paths, context_.task_id));
        const std::string& recorded = kept.base.empty() ? known.base_sha : kept.base;
        TRY_ASSIGN(auto here, is_as_kept(workspace, kept));
        auto restored_work =
            here ? stay(workspace, kept, recorded) : Result<std::optional<Restored>>{std::nullopt};
        if (restored_work && !*restored_work) {
            auto rebuilt = rebuild(workspace, kept, recorded);
            restored_work = rebuilt ? Result<std::optional<Restored>>{std::move(*rebuilt)}
                                    : Result<std::optional<Restored>>{rebuilt.error()};
        }
        if (!restored_work) {
            return restored_work.error();
        }
        outcome_.base_sha = (*restored_work)->base;
        outcome_.kept = kept.name;
        outcome_.summary = fmt::format("the workspace is ready and goes on from {}", kept.name);
        const std::string& obstacle = (*restored_work)->obstacle;
        add_note(outcome_,
                 fmt::format("it goes on from {}{}", kept.name,
                             obstacle.empty() ? std::string{}
                                              : fmt::format(" on the base that it had, since {}", obstacle)));
        return (*restored_work)->tree;
    }

    // Whether the workspace itself is in the state that was kept.
    Result<bool> is_as_kept(const Git& workspace, const KeptRef& kept) const {
        auto rebuilding = workspace.ref_exists(resuming_ref);
        auto head = workspace.resolve("HEAD");
        if (!rebuilding || !head) {
            return rebuilding ? head.error() : rebuilding.error();
        }
        return !*rebuilding && workspace.directory() == context_.workspace && *head && **head == kept.parents;
    }

    // The workspace stays as it is, if it can.
    Result<std::optional<Restored>> stay(const Git& workspace, const KeptRef& kept,
                                         const std::string& recorded) const {
        TRY_ASSIGN(auto base, base_of_work(context_, workspace, kept.parents, recorded));
        TRY_ASSIGN(auto standing, judge_standing(context_, workspace, kept.parents, base));
        if (!standing.stays) {
            return std::optional<Restored>{};
        }
        TRY(remove_listed_copies(workspace));
        return std::optional(Restored{std::move(base), kept.tree, std::move(standing.obstacle)});
    }

    Result<Restored> rebuild(const Git& workspace, const KeptRef& kept, const std::string& recorded) const {
        TRY(workspace.between_our_folders().expect(
            {"fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules",
             "--no-write-fetch-head", context_.settings.paths.root,
             fmt::format("+{}:{}", kept.name, resuming_ref)},
            Git::fetch_timeout));
        TRY(clear_copies(workspace));
        return restore_work(context_, workspace, recorded);
    }

    Result<int> finish(const Git& workspace, const std::string& tree, bool queue_is_tracked) {
        TRY_ASSIGN(auto left_out,
                   seed_workspace(context_.settings, workspace, tree, queue_is_tracked, context_.task_id));
        if (!left_out.empty()) {
            add_note(outcome_, fmt::format("not copied, since .gitignore would let it be published: {}",
                                           core::printable(fmt::format("{}", fmt::join(left_out, ", ")))));
        }
        TRY(sync_file_system(workspace.directory()));
        // Only now do the files tell again what the work is.
        TRY(workspace.expect({"update-ref", "-d", resuming_ref}));
        return 0;
    }

    // False: the remote cannot be reached, and nothing is known of the target.
    Result<bool> bring_refs(const Git& workspace) {
        // What the repository knows of origin, so that little is left to fetch, and nothing if origin cannot
        // be reached. Without force and with its result unused: what the workspace knows better stays.
        auto known = workspace.between_our_folders().run(
            {"fetch", "--quiet", "--no-prune", "--no-recurse-submodules", context_.settings.paths.root,
             "refs/remotes/origin/*:refs/remotes/origin/*", "^refs/remotes/origin/HEAD"},
            Git::fetch_timeout);
        if (!known) {
            return known.error();
        }
        auto fetched = workspace.fetch_origin();
        TRY_ASSIGN(auto there, workspace.ref_exists(origin_ref(context_.target_branch)));
        if (!there) {
            TRY_ASSIGN(auto missing, fetched ? Result<bool>{true} : is_missing_on_origin(workspace));
            if (missing) {
                return Error{fmt::format("branch {} is not on origin", context_.target_branch),
                             fmt::format("push it first: git push origin {}", context_.target_branch)};
            }
            outcome_.summary = fmt::format("nothing is known of {} yet, and the remote cannot be reached: {}",
                                           context_.target(), fetched.error().line());
            return false;
        }
        if (!fetched) {
            add_note(outcome_, fmt::format("going on with {} as it was last known: {}", context_.target(),
                                           fetched.error().line()));
        }
        return true;
    }

    // Whether the remote answers, and has no such branch.
    [[nodiscard]] Result<bool> is_missing_on_origin(const Git& workspace) const {
        constexpr int no_such_ref = 2;
        auto answer = workspace.run(
            {"ls-remote", "--exit-code", "--quiet", "origin", "refs/heads/" + context_.target_branch},
            Git::fetch_timeout);
        return answer ? Result<bool>{answer->status == no_such_ref} : Result<bool>{answer.error()};
    }

    const StepContext& context_;
    Git repository_;
    WorkspaceUse use_;
    std::string preparing_name_;
    core::Outcome outcome_;
};

}  // namespace

int run_prepare_step(const StepContext& context) {
    Preparation preparation(context);
    const auto code = preparation.run();
    const int failed = !code && code.error().is_passing() ? not_available : 1;
    Ending ending{code ? *code : failed, std::move(preparation).outcome()};
    if (!code) {
        ending.outcome.summary = code.error().line();
    }
    return finish_step(context, ending);
}

}  // namespace ralph::daemon
