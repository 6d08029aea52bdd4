#include "daemon/steps/kept_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>

#include "daemon/clock.h"
#include "daemon/steps/bookkeeping.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr const char* all_kept = "refs/ralph/kept/";
// In the workspace: what is being kept, so that the repository can fetch it.
constexpr const char* keeping_ref = "refs/ralph/keeping";
// git syncs no loose objects by itself, and the workspace goes away after this.
constexpr const char* synced = "core.fsync=all";

struct KeptRef {
    std::string name;
    std::string object;
    std::string tree;
    std::string parents;
    std::int64_t committed = 0;  // seconds since the epoch
};

template <class Number>
Number parse_number(std::string_view text) {
    Number value{};
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Result<std::vector<KeptRef>> list_kept(const Git& repository, const std::string& prefix) {
    auto text = repository.output(
        {"for-each-ref",
         "--format=%(refname)%00%(objectname)%00%(tree)%00%(parent)%00%(committerdate:unix)%00", prefix});
    if (!text) {
        return text.error();
    }
    std::vector<KeptRef> refs;
    const auto fields = split_at_nul(*text);
    for (std::size_t i = 0; i + 5 <= fields.size(); i += 5) {
        const std::size_t name = fields[i].find_first_not_of('\n');
        refs.push_back({fields[i].substr(name), fields[i + 1], fields[i + 2], fields[i + 3],
                        parse_number<std::int64_t>(fields[i + 4])});
    }
    return refs;
}

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
          prefix_(fmt::format("{}{}/", all_kept, task_id)),
          message_(fmt::format("ralph: kept work of {}\n\nFrom {}\n", task_id, workspace.directory())) {}

    Result<std::vector<std::string>> run() {
        if (auto loaded = load_kept(); !loaded) {
            return loaded.error();
        }
        auto head = workspace_.head();
        if (!head) {
            return head.error();
        }
        auto tree = tree_of_files();
        if (!tree) {
            return tree.error();
        }
        auto head_tree = workspace_.line({"rev-parse", "--verify", *head + "^{tree}"});
        if (!head_tree) {
            return head_tree.error();
        }
        auto on_remote = is_on_remote(*head);
        if (!on_remote) {
            return on_remote.error();
        }
        if (*tree != *head_tree || !*on_remote) {
            if (auto kept = keep(*tree, *head); !kept) {
                return kept.error();
            }
        }
        if (auto kept = keep_other_tips(*head); !kept) {
            return kept.error();
        }
        return made_;
    }

  private:
    Result<void> load_kept() {
        auto kept = list_kept(repository_, prefix_);
        if (!kept) {
            return kept.error();
        }
        for (const KeptRef& ref : *kept) {
            number_ = std::max(
                number_, parse_number<std::uint32_t>(std::string_view(ref.name).substr(prefix_.size())));
        }
        kept_ = std::move(*kept);
        // A keep step that was killed leaves the lock of its ref. Nobody else writes below our prefix.
        auto folder = repository_.line({"rev-parse", "--path-format=absolute", "--git-common-dir"});
        if (!folder) {
            return folder.error();
        }
        std::error_code problem;
        for (const auto& entry : fs::directory_iterator(*folder + "/" + prefix_, problem)) {
            if (entry.path().extension() == ".lock") {
                fs::remove(entry.path(), problem);
            }
        }
        remove_stale_lock(keeping_ref);
        return {};
    }

    void remove_stale_lock(const std::string& name) const {
        std::error_code problem;
        fs::remove(workspace_.directory() + "/.git/" + name + ".lock", problem);
    }

    // The tree of HEAD with all that is changed and new, made with an index of its own.
    Result<std::string> tree_of_files() {
        const std::string index = workspace_.directory() + "/.git/ralph-keeping-index";
        std::error_code problem;
        fs::remove(index + ".lock", problem);
        fs::copy_file(workspace_.directory() + "/.git/index", index, fs::copy_options::overwrite_existing,
                      problem);
        const Git git = workspace_.with_environment("GIT_INDEX_FILE", index);
        if (problem) {  // no index yet
            if (auto read = git.expect({"read-tree", "HEAD"}); !read) {
                return read.error();
            }
        }
        auto tree = [&]() -> Result<std::string> {
            if (auto added = git.expect({"-c", synced, "add", "--all"}); !added) {
                return added.error();
            }
            return git.line({"-c", synced, "write-tree"});
        }();
        fs::remove(index, problem);
        if (tree) {
            if (auto complete = check_complete(*tree); !complete) {
                return complete.error();
            }
        }
        return tree;
    }

    // A git repository inside the workspace comes into the tree as a bare commit id, without its files.
    Result<void> check_complete(const std::string& tree) const {
        auto text = workspace_.output({"diff-tree", "-r", "-z", "--no-renames", "HEAD^{tree}", tree});
        if (!text) {
            return text.error();
        }
        const auto fields = split_at_nul(*text);  // ":<old mode> <new mode> ...", path, and so on
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

    Result<bool> is_on_remote(const std::string& commit) const {
        auto missing = workspace_.line({"rev-list", "--max-count=1", commit, "--not", "--remotes=origin"});
        if (!missing) {
            return missing.error();
        }
        return missing->empty();
    }

    Result<void> keep_other_tips(const std::string& head) {
        auto text = workspace_.output({"for-each-ref", "--format=%(objectname)", "refs/heads", "refs/stash"});
        if (!text) {
            return text.error();
        }
        std::string tips = std::move(*text);
        // What `git rebase --autostash` has put aside is held by no ref.
        for (const char* name : {"/.git/rebase-merge/autostash", "/.git/rebase-apply/autostash"}) {
            auto stash = read_file(workspace_.directory() + name, 4096);
            tips += stash && *stash ? **stash + "\n" : std::string{};
        }
        while (!tips.empty()) {
            const std::size_t end = tips.find('\n');
            const std::string tip = tips.substr(0, end);
            tips.erase(0, end == std::string::npos ? end : end + 1);
            if (tip.empty() || tip == head) {
                continue;
            }
            auto covered =
                workspace_.line({"rev-list", "--max-count=1", tip, "--not", head, "--remotes=origin"});
            if (!covered) {
                return covered.error();
            }
            if (covered->empty() || is_in_kept_work(tip)) {
                continue;
            }
            auto tree = workspace_.line({"rev-parse", "--verify", tip + "^{tree}"});
            if (!tree) {
                return tree.error();
            }
            if (auto kept = keep(*tree, tip); !kept) {
                return kept;
            }
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
            const auto contained =
                repository_.is_ancestor(commit, ref.object);  // an error if it is unknown there
            return ref.committed > oldest_that_counts() && contained && *contained;
        });
    }

    // A new commit even if the tree is the parent's: its date is when the retention begins.
    Result<void> keep(const std::string& tree, const std::string& parent) {
        const std::int64_t oldest = oldest_that_counts();
        const bool is_kept = std::any_of(kept_.begin(), kept_.end(), [&](const KeptRef& ref) {
            return ref.tree == tree && ref.parents == parent && ref.committed > oldest;
        });
        if (is_kept) {
            return {};
        }
        auto commit = workspace_.with_environment("GIT_AUTHOR_NAME", "ralph")
                          .with_environment("GIT_AUTHOR_EMAIL", "ralph@localhost")
                          .with_environment("GIT_COMMITTER_NAME", "ralph")
                          .with_environment("GIT_COMMITTER_EMAIL", "ralph@localhost")
                          .line({"-c", synced, "commit-tree", tree, "-p", parent, "-m", message_});
        if (!commit) {
            return commit.error();
        }
        if (auto set = workspace_.expect({"update-ref", keeping_ref, *commit}); !set) {
            return set;
        }
        const std::string name = prefix_ + std::to_string(number_ + 1);
        auto fetched = repository_.expect(
            {"-c", synced, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules",
             "--no-write-fetch-head", workspace_.directory(), fmt::format("{}:{}", keeping_ref, name)},
            Git::fetch_timeout);
        if (!fetched) {
            return fetched;
        }
        // Believe only what can be read back: the workspace goes away after this.
        auto there = repository_.resolve(name + "^{tree}");
        if (!there || !*there || **there != tree) {
            return there ? Error{fmt::format("{} is not in {} after the fetch", name, settings_.paths.root)}
                         : there.error();
        }
        ++number_;
        made_.push_back(name);
        kept_.push_back({name, *commit, tree, parent, oldest + 1});
        return workspace_.expect({"update-ref", "-d", keeping_ref});
    }

    const Settings& settings_;
    const Git& workspace_;
    Git repository_;
    std::string prefix_;
    std::string message_;
    std::vector<KeptRef> kept_;
    std::uint32_t number_ = 0;  // the largest so far
    std::vector<std::string> made_;
};

}  // namespace

Result<std::vector<std::string>> keep_work(const Settings& settings, const Git& workspace,
                                           std::string_view task_id) {
    return Keeper(settings, workspace, task_id).run();
}

Result<void> prune_kept_work(const Settings& settings) {
    const Git repository(settings.paths.root);
    auto kept = list_kept(repository, all_kept);
    if (!kept) {
        return kept.error();
    }
    const std::int64_t oldest = oldest_kept(settings);
    for (const KeptRef& ref : *kept) {
        if (ref.committed < oldest) {
            if (auto deleted = repository.expect({"update-ref", "-d", ref.name, ref.object}); !deleted) {
                return deleted;
            }
        }
    }
    return {};
}

}  // namespace ralph::daemon
