#include "daemon/workspace/kept_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>

#include "daemon/git/plain_git.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/landing_notes.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

// In the workspace: what is being kept, so that the repository can fetch it.
constexpr const char* keeping_ref = "refs/ralph/keeping";
// git syncs no loose objects by itself, and the workspace goes away after this.
constexpr const char* synced = "core.fsync=all";

std::int64_t oldest_kept(const Settings& settings) {
    const auto oldest = wall_clock() - settings.supervisor.kept_work_retention;
    return std::chrono::duration_cast<std::chrono::seconds>(oldest.time_since_epoch()).count();
}

class Keeper {
  public:
    Keeper(const Settings& settings, const Git& workspace, std::string_view task_id)
        : settings_(settings),
          workspace_(workspace),
          repository_(settings.paths.root),
          task_id_(task_id),
          prefix_(kept_prefix(task_id)) {}

    Result<KeptWork> run() {
        TRY(load_kept());
        TRY(check_files(workspace_));
        TRY_ASSIGN(auto owner, read_owner(workspace_));
        task_created_ = owner ? owner->task_created : owner_now(settings_, task_id_).task_created;
        landed_ = landed_work();
        TRY_ASSIGN(auto head, workspace_.head());
        auto tree = tree_of_files();
        if (!tree) {
            return tree.error();
        }
        TRY_ASSIGN(auto head_tree, workspace_.line({"rev-parse", "--verify", head + "^{tree}"}));
        TRY_ASSIGN(auto on_remote, is_on_remote(head));
        if (*tree != head_tree || !on_remote) {
            TRY_ASSIGN(work_.files, keep(*tree, head, Holds::files));
        }
        TRY(keep_other_tips(head));
        return std::move(work_);
    }

    Result<KeptWork> run_for(const std::string& commit) {
        TRY(load_kept());
        task_created_ = owner_now(settings_, task_id_).task_created;
        landed_ = landed_work();
        TRY_ASSIGN(auto on_remote, is_on_remote(commit));
        TRY_ASSIGN(auto tree, workspace_.line({"rev-parse", "--verify", commit + "^{tree}"}));
        if (!on_remote && !is_in_kept_work(commit)) {
            TRY_ASSIGN(work_.files, keep(tree, commit, Holds::files));
        }
        return std::move(work_);
    }

  private:
    enum class Holds { files, side };

    Result<void> load_kept() {
        TRY_ASSIGN(auto kept, list_kept(repository_, task_id_));
        for (const KeptRef& ref : kept) {
            number_ = std::max(number_, ref.number);
        }
        kept_ = std::move(kept);
        // A keep step that was killed leaves the lock of its ref. Nobody else writes below our prefix.
        TRY_ASSIGN(auto folder,
                   repository_.line({"rev-parse", "--path-format=absolute", "--git-common-dir"}));
        std::error_code problem;
        for (const auto& entry : fs::directory_iterator(folder + "/" + prefix_, problem)) {
            if (entry.path().extension() == ".lock") {
                fs::remove(entry.path(), problem);
            }
        }
        return remove_from_git_folder(std::string(keeping_ref) + ".lock");
    }

    // Of the workspace.
    [[nodiscard]] Result<void> remove_from_git_folder(const std::string& relative) const {
        auto git = git_folder_of(workspace_);
        TRY_ASSIGN(auto place,
                   git ? git->place_of(relative) : Result<std::optional<Folder::Place>>{git.error()});
        return place ? place->folder.remove(place->name) : Result<void>{};
    }

    // The tree of HEAD with all that is changed and new, made with an index of its own.
    Result<std::string> tree_of_files() {
        const std::string name = "ralph-keeping-index";
        const std::string index = workspace_.folder() + "/" + name;
        auto cleared = remove_from_git_folder(name + ".lock");
        auto git_folder = git_folder_of(workspace_);
        TRY_ASSIGN(auto copied, cleared&& git_folder
                                    ? git_folder->copy_from(workspace_.folder() + "/index", name)
                                    : Result<bool>{cleared ? git_folder.error() : cleared.error()});
        const Git git = workspace_.with_environment("GIT_INDEX_FILE", index);
        if (!copied) {  // no index yet
            TRY(git.expect({"read-tree", "HEAD"}));
        }
        auto tree = [&]() -> Result<std::string> {
            TRY(look_at_all_files(git));
            TRY(git.expect({"-c", synced, "add", "--all"}));
            return git.line({"-c", synced, "write-tree"});
        }();
        if (auto removed = git_folder->remove(name); tree && !removed) {
            return removed.error();
        }
        if (tree) {
            TRY(check_complete(*tree));
        }
        return tree;
    }

    // A git repository inside the workspace comes into the tree as a bare commit id, without its files.
    Result<void> check_complete(const std::string& tree) const {
        TRY_ASSIGN(auto text,
                   workspace_.output({"diff-tree", "-r", "-z", "--no-renames", "HEAD^{tree}", tree}));
        const auto fields = split_at_nul(text);  // ":<old mode> <new mode> ...", path, and so on
        for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
            const bool was_commit = fields[i].rfind(":160000", 0) == 0;
            if (!was_commit && fields[i].find(" 160000 ") != std::string::npos) {
                return Error{
                    fmt::format("{}/{} is a git repository of its own, which cannot be kept as a ref",
                                workspace_.directory(), fields[i + 1]),
                    "move it away, or remove it"};
            }
        }
        return {};
    }

    // Lists what of the commits is neither on origin, as it was fetched last, nor has landed in another
    // shape.
    [[nodiscard]] std::vector<std::string> missing_on_remote(std::vector<std::string> commits) const {
        std::vector<std::string> arguments{"rev-list", "--max-count=1"};
        arguments.insert(arguments.end(), commits.begin(), commits.end());
        arguments.insert(arguments.end(), {"--not", "--remotes=origin"});
        if (!landed_.empty()) {
            arguments.push_back(landed_);
        }
        return arguments;
    }

    // The commit of this workspace whose work the merge queue has put on the target, if the target still
    // holds that; else nothing. Asked of the integration workspace: what a worker writes in its own says
    // nothing.
    [[nodiscard]] std::string landed_work() const {
        const Git integration = integration_git(settings_);
        const auto work = integration.resolve(work_ref(task_id_));
        const auto landing = integration.resolve(landing_ref(task_id_));
        if (!work || !landing || !*work || !*landing || !is_known(**work)) {
            return {};
        }
        const auto missing =
            workspace_.run({"rev-list", "--max-count=1", **landing, "--not", "--remotes=origin"});
        return missing && missing->status == 0 && missing->output.empty() ? **work : std::string{};
    }

    [[nodiscard]] bool is_known(const std::string& commit) const {
        const auto known = workspace_.resolve(commit + "^{commit}");
        return known && *known;
    }

    Result<bool> is_on_remote(const std::string& commit) const {
        TRY_ASSIGN(auto missing, workspace_.line(missing_on_remote({commit})));
        return missing.empty();
    }

    Result<void> keep_other_tips(const std::string& head) {
        TRY_ASSIGN(auto text,
                   workspace_.output({"for-each-ref", "--format=%(objectname)", "refs/heads", "refs/stash"}));
        std::string tips = std::move(text);
        auto git = git_folder_of(workspace_);
        if (!git) {
            return git.error();
        }
        // What `git rebase --autostash` has put aside is held by no ref.
        for (const char* name : {"rebase-merge/autostash", "rebase-apply/autostash"}) {
            const auto place = git->place_of(name);
            const auto stash = place && *place ? (*place)->folder.read((*place)->name, 4096)
                                               : Result<std::optional<std::string>>{std::nullopt};
            tips += stash && *stash ? **stash + "\n" : std::string{};
        }
        while (!tips.empty()) {
            const std::size_t end = tips.find('\n');
            const std::string tip = tips.substr(0, end);
            tips.erase(0, end == std::string::npos ? end : end + 1);
            if (!is_object_name(tip) || tip == head) {
                continue;
            }
            TRY_ASSIGN(auto covered, workspace_.line(missing_on_remote({tip, "^" + head})));
            if (covered.empty() || is_in_kept_work(tip)) {
                continue;
            }
            TRY_ASSIGN(auto tree, workspace_.line({"rev-parse", "--verify", tip + "^{tree}"}));
            TRY(keep(tree, tip, Holds::side));
        }
        return {};
    }

    // What is about to be pruned does not count as kept.
    [[nodiscard]] std::int64_t oldest_that_counts() const {
        const std::int64_t retention =
            std::chrono::duration_cast<std::chrono::seconds>(settings_.supervisor.kept_work_retention)
                .count();
        return oldest_kept(settings_) + std::min<std::int64_t>(retention / 2, 3600);
    }

    [[nodiscard]] bool is_in_kept_work(const std::string& commit) const {
        return std::any_of(kept_.begin(), kept_.end(), [&](const KeptRef& ref) {
            // An error if it is unknown there.
            const auto contained = repository_.is_ancestor(commit, ref.object);
            return ref.committed > oldest_that_counts() && contained && *contained;
        });
    }

    [[nodiscard]] std::string message(const std::string& parent, Holds holds) const {
        std::string text =
            fmt::format("ralph: kept work of {}\n\nFrom {}\n", task_id_, workspace_.directory());
        if (!task_created_.empty()) {
            text += fmt::format("{}{}\n", kept_created_line, core::printable(task_created_));
        }
        if (holds == Holds::side) {
            return text + std::string(kept_side_line) + "\n";
        }
        // A help for a later restore, which does without it if need be.
        const auto prepared = newest_preparation(settings_.paths, task_id_);
        const std::string base = prepared ? prepared->base_sha : std::string{};
        const auto contained = base.empty() ? Result<bool>{false} : workspace_.is_ancestor(base, parent);
        return contained && *contained ? text + fmt::format("{}{}\n", kept_base_line, base) : text;
    }

    // Returns the ref. A new commit even if the tree is the parent's: its date is when the retention begins.
    Result<KeptRef> keep(const std::string& tree, const std::string& parent, Holds holds) {
        const std::int64_t oldest = oldest_that_counts();
        for (const KeptRef& ref : kept_) {
            if (ref.tree == tree && ref.parents == parent && ref.committed > oldest && !ref.is_landed &&
                ref.is_side == (holds == Holds::side) && ref.task_created == task_created_) {
                return ref;
            }
        }
        auto commit =
            workspace_.with_environment("GIT_AUTHOR_NAME", "ralph")
                .with_environment("GIT_AUTHOR_EMAIL", "ralph@localhost")
                .with_environment("GIT_COMMITTER_NAME", "ralph")
                .with_environment("GIT_COMMITTER_EMAIL", "ralph@localhost")
                .line({"-c", synced, "commit-tree", tree, "-p", parent, "-m", message(parent, holds)});
        if (!commit) {
            return commit.error();
        }
        TRY(workspace_.expect({"update-ref", keeping_ref, *commit}));
        const std::string name = prefix_ + std::to_string(number_ + 1);
        TRY(repository_.between_our_folders().expect(
            {"-c", synced, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules",
             "--no-write-fetch-head", workspace_.folder(), fmt::format("{}:{}", keeping_ref, name)},
            Git::fetch_timeout));
        // Believe only what can be read back: the workspace goes away after this.
        auto there = repository_.resolve(name + "^{tree}");
        if (!there || !*there || **there != tree) {
            return there ? Error{fmt::format("{} is not in {} after the fetch", name, settings_.paths.root)}
                         : there.error();
        }
        TRY(workspace_.expect({"update-ref", "-d", keeping_ref}));
        ++number_;
        work_.made.push_back(name);
        KeptRef ref;
        ref.task_id = task_id_;
        ref.number = number_;
        ref.name = name;
        ref.object = *commit;
        ref.tree = tree;
        ref.parents = parent;
        ref.task_created = task_created_;
        ref.is_side = holds == Holds::side;
        ref.committed = oldest + 1;
        kept_.push_back(ref);
        return ref;
    }

    const Settings& settings_;
    const Git& workspace_;
    Git repository_;
    std::string task_id_;
    std::string task_created_;
    std::string prefix_;
    std::vector<KeptRef> kept_;
    std::string landed_;        // a commit whose work the target holds, in another shape
    std::uint32_t number_ = 0;  // the largest so far
    KeptWork work_;
};

}  // namespace

Result<KeptWork> keep_work(const Settings& settings, const Git& workspace, std::string_view task_id) {
    return Keeper(settings, workspace, task_id).run();
}

Result<KeptWork> keep_commit(const Settings& settings, const Git& lane, std::string_view task_id,
                             const std::string& commit) {
    return Keeper(settings, lane, task_id).run_for(commit);
}

}  // namespace ralph::daemon
