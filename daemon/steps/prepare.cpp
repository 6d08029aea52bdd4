#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "core/transition.h"
#include "daemon/steps/bookkeeping.h"
#include "daemon/steps/checkout.h"
#include "daemon/steps/git.h"
#include "daemon/steps/kept_work.h"
#include "daemon/steps/seeding.h"
#include "daemon/steps/steps.h"
#include "daemon/steps/workspace.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

constexpr int already_landed = static_cast<int>(core::exit_already_landed);
constexpr int not_now = static_cast<int>(core::exit_try_again);

class Preparation {
  public:
    explicit Preparation(const StepContext& context)
        : context_(context),
          repository_(context.settings.paths.root),
          preparing_name_(fmt::format(".{}.preparing", context.task_id)) {}

    // The exit code; what there is to say is in outcome().
    Result<int> run() {
        const std::string& root = context_.settings.workspace_root;
        if (auto made = make_directories(root); !made) {
            return made.error();
        }
        if (auto removed = remove_tree(root, preparing_name_); !removed) {
            return removed.error();
        }
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
        const Git workspace(root + "/" + preparing_name_);
        auto code = clone(workspace.directory());
        if (code) {
            code = make_ready(workspace);
        }
        if (!code || *code != 0) {
            auto removed = remove_tree(root, preparing_name_);
            return code && !removed ? Result<int>{removed.error()} : code;
        }
        // Nothing at the final path is ever half a workspace, not even after a power failure.
        if (auto renamed = rename_durably(workspace.directory(), context_.workspace); !renamed) {
            return renamed.error();
        }
        return 0;
    }

    Result<int> clone(const std::string& path) {
        // A plain path is cloned with hard links, and with copies where those cannot be made (--local would
        // fail there). If that fails, somebody may be packing the repository at this moment; --no-local asks
        // git for the objects instead. Only one branch, since the repository's own branches are not origin's
        // and go away again.
        std::vector<std::string> arguments{"clone",    "--quiet", "--no-checkout",          "--single-branch",
                                           "--origin", "origin",  "--no-recurse-submodules"};
        const std::string& root = context_.settings.paths.root;
        auto linked = arguments;
        linked.insert(linked.end(), {root, path});
        if (!repository_.expect(linked)) {
            if (auto removed = remove_tree(context_.settings.workspace_root, preparing_name_); !removed) {
                return removed.error();
            }
            arguments.insert(arguments.end(), {"--no-local", root, path});
            if (auto cloned = repository_.expect(arguments); !cloned) {
                return cloned.error();
            }
        }
        const Git workspace(path);
        auto refs =
            workspace.output({"for-each-ref", "--format=%(refname)%00", "refs/heads", "refs/remotes"});
        if (!refs) {
            return refs.error();
        }
        for (std::string& ref : split_at_nul(*refs)) {
            ref.erase(0, ref.find_first_not_of('\n'));
            if (ref.empty()) {
                continue;
            }
            if (auto deleted = workspace.expect({"update-ref", "--no-deref", "-d", ref}); !deleted) {
                return deleted.error();
            }
        }
        return 0;
    }

    Result<int> reuse() {
        const Git workspace(context_.workspace);
        auto usable = is_usable_workspace(workspace);
        if (!usable) {
            return later(usable.error());
        }
        if (!*usable) {
            return start_over("it is no usable git repository");
        }
        remove_stale_locks(workspace);
        auto kept = keep_work(context_.settings, workspace, context_.task_id);
        if (!kept && is_passing_fault(kept.error().message)) {
            return later(kept.error());
        }
        if (!kept) {
            return start_over(kept.error().line());
        }
        if (!kept->empty()) {
            add_note(outcome_, fmt::format("what the workspace held is kept as {}", fmt::join(*kept, ", ")));
        }
        if (auto forgotten = forget_unfinished_operation(workspace); !forgotten) {
            return forgotten.error();
        }
        auto code = make_ready(workspace);
        if (code && *code == 0) {
            if (auto removed = remove_file(block_marker_path(context_.workspace)); !removed) {
                return removed.error();
            }
        }
        return code;
    }

    // The workspace may be somebody's only copy and is sound for all that is known.
    Result<int> later(const Error& error) {
        outcome_.summary =
            fmt::format("the work in {} cannot be kept now: {}", context_.workspace, error.line());
        return not_now;
    }

    Result<int> start_over(const std::string& why) {
        auto aside = set_workspace_aside(context_.settings, context_.task_id);
        if (!aside) {
            return aside.error();
        }
        add_note(outcome_, fmt::format("the old workspace was moved to {} ({})", *aside, why));
        return create();
    }

    Result<int> make_ready(const Git& workspace) {
        if (auto configured = configure_workspace(context_.settings, workspace); !configured) {
            return configured.error();
        }
        if (auto fetched = bring_refs(workspace); !fetched) {
            return fetched.error();
        }
        auto bookkeeping = read_bookkeeping(context_.settings, workspace, context_.target_branch);
        if (!bookkeeping) {
            return bookkeeping.error();
        }
        if (is_done(bookkeeping->done, context_.task_id)) {
            outcome_.summary = fmt::format("{} is done on {} already", context_.task_id, context_.target());
            return already_landed;
        }
        if (bookkeeping->tracked && bookkeeping->queue.find(context_.task_id) == nullptr) {
            // Found out now, and not when an expensive worker is through.
            outcome_.summary =
                fmt::format("{} is not in {} on {}; commit and push the queue", context_.task_id,
                            context_.settings.queue_relative, context_.target());
            return not_now;
        }
        return check_out(workspace, bookkeeping->tracked);
    }

    Result<int> check_out(const Git& workspace, bool queue_is_tracked) {
        const std::string base = origin_ref(context_.target_branch);
        // Without the seeded paths, so that what an earlier run copied is cleaned away.
        if (auto excluded = write_exclude_block(workspace, {}); !excluded) {
            return excluded.error();
        }
        auto moved = workspace.expect({"checkout", "--quiet", "--force", "-B", context_.target_branch, base});
        if (!moved) {
            return moved.error();
        }
        if (auto cleaned = clean_working_tree(workspace); !cleaned) {
            return cleaned.error();
        }
        auto left_out = seed_workspace(context_.settings, workspace, base, queue_is_tracked);
        if (!left_out) {
            return left_out.error();
        }
        if (!left_out->empty()) {
            add_note(outcome_, fmt::format("not copied, since .gitignore would let it be published: {}",
                                           core::printable(fmt::format("{}", fmt::join(*left_out, ", ")))));
        }
        auto head = workspace.head();
        if (!head) {
            return head.error();
        }
        outcome_.base_sha = *head;
        outcome_.summary =
            fmt::format("the workspace is ready at {} of {}", head->substr(0, 12), context_.target());
        if (auto synced = sync_workspace(workspace.directory()); !synced) {
            return synced.error();
        }
        return 0;
    }

    Result<void> bring_refs(const Git& workspace) {
        // What the repository knows of origin, so that little is left to fetch, and nothing if origin cannot
        // be reached. Without force and with its result unused: what the workspace knows better stays.
        auto known = workspace.run(
            {"fetch", "--quiet", "--no-prune", "--no-recurse-submodules", context_.settings.paths.root,
             "refs/remotes/origin/*:refs/remotes/origin/*", "^refs/remotes/origin/HEAD"},
            Git::fetch_timeout);
        if (!known) {
            return known.error();
        }
        auto fetched = workspace.fetch_origin();
        auto there = workspace.ref_exists(origin_ref(context_.target_branch));
        if (!there) {
            return there.error();
        }
        if (!*there) {
            return fetched ? Error{fmt::format("branch {} is not on origin", context_.target_branch),
                                   fmt::format("push it first: git push origin {}", context_.target_branch)}
                           : fetched.error();
        }
        if (!fetched) {
            add_note(outcome_, fmt::format("going on with {} as it was last known: {}", context_.target(),
                                           fetched.error().line()));
        }
        return {};
    }

    const StepContext& context_;
    Git repository_;
    std::string preparing_name_;
    core::Outcome outcome_;
};

}  // namespace

int run_prepare_step(const StepContext& context) {
    Preparation preparation(context);
    const auto code = preparation.run();
    Ending ending{code ? *code : 1, std::move(preparation).outcome()};
    if (!code) {
        ending.outcome.summary = code.error().line();
    }
    return finish_step(context, ending);
}

}  // namespace ralph::daemon
