#include "daemon/landing/undo_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/queue/undo.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/commit_range.h"

namespace ralph::daemon {
namespace {

using core::FileEdit;
using core::Hunk;
using core::Result;

constexpr std::size_t most_paths_to_name = 500;  // in one command
constexpr std::size_t most_comparisons = 200;    // of two versions of a file, line by line
constexpr std::size_t largest_comparison = std::size_t{4} << 20U;

struct Landing {
    std::string commit;
    std::string subject;
    std::vector<FileEdit> edits;
};

class Guard {
  public:
    Guard(const StepContext& task, const Git& git, std::string begin, std::string below)
        : task_(task), git_(git), begin_(std::move(begin)), below_(std::move(below)) {}

    Result<std::optional<Undone>> run() {
        const auto nothing = std::optional<Undone>{};
        auto own = own_edits();
        if (!own || own->empty()) {
            return own ? Result<std::optional<Undone>>{nothing} : own.error();
        }
        auto landings = landings_since(*own);
        auto meant = landings && !landings->empty()
                         ? commits_to_revert()
                         : Result<std::vector<std::string>>{std::vector<std::string>{}};
        if (!landings || !meant) {
            return landings ? meant.error() : landings.error();
        }
        for (const Landing& landing : *landings) {
            const bool is_meant = std::any_of(meant->begin(), meant->end(), [&](const std::string& commit) {
                return landing.commit.rfind(commit, 0) == 0;
            });
            for (const FileEdit& edit : landing.edits) {
                const auto mine = own->find(edit.path);
                auto undone =
                    is_meant || mine == own->end() ? Result<bool>{false} : undoes(*own, mine->second, edit);
                if (!undone) {
                    return undone.error();
                }
                if (*undone) {
                    return std::optional(Undone{landing.commit, landing.subject, edit.path});
                }
            }
        }
        return nothing;
    }

  private:
    using Edits = core::FileEdits;

    [[nodiscard]] Result<Edits> own_edits() const {
        auto text =
            git_.output({"diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", below_, "HEAD"});
        if (!text) {
            return text.error();
        }
        Edits edits;
        for (FileEdit& edit : core::parse_raw_diff(split_at_nul(*text))) {
            if (!are_bookkeeping_files(task_, {edit.path})) {
                std::string path = edit.path;
                edits.emplace(std::move(path), std::move(edit));
            }
        }
        return edits;
    }

    // The newest first, as far as they touch the same files. A merge is compared with what it was merged
    // into.
    [[nodiscard]] Result<std::vector<Landing>> landings_since(const Edits& own) const {
        std::vector<std::string> arguments{"--literal-pathspecs",
                                           "log",
                                           "--first-parent",
                                           "--diff-merges=first-parent",
                                           "--no-show-signature",
                                           "--raw",
                                           "-z",
                                           "--no-abbrev",
                                           "--no-renames",
                                           "--format=%x01%H %s",
                                           "--end-of-options",
                                           begin_ + ".." + below_,
                                           "--"};
        if (own.size() <= most_paths_to_name) {
            for (const auto& [path, edit] : own) {
                arguments.push_back(path);
            }
        }
        TRY_ASSIGN(auto text, git_.output(arguments));
        std::vector<Landing> landings;
        std::vector<std::string> entries;
        bool expects_path = false;
        const auto end_last = [&] {
            if (!landings.empty()) {
                landings.back().edits = core::parse_raw_diff(entries);
            }
            entries.clear();
        };
        for (std::string& entry : split_at_nul(text)) {
            const std::size_t mark = entry.find_first_not_of('\n');
            // Whatever a path is called, it comes after a header and is none.
            const bool is_path = std::exchange(expects_path, false);
            expects_path = !is_path && mark != std::string::npos && entry[mark] == ':';
            if (is_path || mark == std::string::npos || entry[mark] != '\x01') {
                entries.push_back(std::move(entry));
                continue;
            }
            end_last();
            const std::size_t space = std::min(entry.find(' ', mark), entry.size());
            landings.push_back({entry.substr(mark + 1, space - mark - 1),
                                entry.substr(std::min(space + 1, entry.size())),
                                {}});
        }
        end_last();
        return landings;
    }

    // Of messages of the work, and of the task's own text.
    [[nodiscard]] Result<std::vector<std::string>> commits_to_revert() const {
        auto messages =
            git_.output({"log", "--no-show-signature", "--format=%B", "--end-of-options", below_ + "..HEAD"});
        // What a rebase has left of the work has lost what it no longer needed.
        auto original = git_.output({"log", "--no-show-signature", "--format=%B", "--end-of-options",
                                     begin_ + ".." + work_ref(task_.task_id)});
        if (!messages || !original) {
            return messages ? original.error() : messages.error();
        }
        std::string text = *messages + *original;
        if (const auto task = read_kept_task(task_.settings.paths, task_.task_id)) {
            text += task->title + "\n" + task->description.value_or("");
        }
        return core::reverted_commits(text);
    }

    Result<bool> undoes(const Edits& all, const FileEdit& own, const FileEdit& landing) {
        if (core::restores(all, landing)) {
            return true;
        }
        const bool all_there = !own.before.empty() && !own.after.empty() && !landing.before.empty() &&
                               !landing.after.empty() && own.before != own.after;
        if (!all_there) {
            return false;
        }
        auto mine = hunks(own);
        TRY_ASSIGN(auto theirs, mine ? hunks(landing) : mine);
        return core::reverses(*mine, theirs);
    }

    static std::string id_of(const std::string& content) { return content.substr(0, content.find('+')); }

    Result<std::vector<Hunk>> hunks(const FileEdit& edit) {
        const std::pair<std::string, std::string> key{edit.before, edit.after};
        const auto known = hunks_.find(key);
        if (known != hunks_.end()) {
            return known->second;
        }
        if (hunks_.size() >= most_comparisons) {
            return std::vector<Hunk>{};
        }
        TRY_ASSIGN(auto text, git_.run({"diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv",
                                        "--end-of-options", id_of(edit.before), id_of(edit.after)}));
        // A submodule's commit is no content: whole or not at all.
        const bool is_comparable = text.status == 0 && text.output.size() <= largest_comparison;
        return hunks_.emplace(key, is_comparable ? core::parse_hunks(text.output) : std::vector<Hunk>{})
            .first->second;
    }

    const StepContext& task_;
    const Git& git_;
    std::string begin_;
    std::string below_;
    std::map<std::pair<std::string, std::string>, std::vector<Hunk>> hunks_;
};

}  // namespace

Result<std::optional<Undone>> find_undone(const StepContext& task, const Git& git, const std::string& begin,
                                          const std::string& below) {
    if (task.settings.supervisor.partitions.may_undo) {
        return std::optional<Undone>{};
    }
    return Guard(task, git, begin, below).run();
}

}  // namespace ralph::daemon
