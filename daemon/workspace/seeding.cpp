#include "daemon/workspace/seeding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include "config/agent_choice.h"
#include "core/base/glob.h"
#include "core/queue/queue_validation.h"
#include "daemon/os/files.h"
#include "daemon/os/folder.h"
#include "daemon/store/run_directory.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

// Build results and caches, wherever they are.
constexpr std::array<std::string_view, 16> denied{
    "target/",         "node_modules/",        ".venv/",         ".ralph/cache/",
    ".ralph/lock/",    ".ralph/workspaces/",   ".ralph/logs/",   "__pycache__/",
    ".cueloop/cache/", ".cueloop/workspaces/", ".cueloop/logs/", ".cueloop/lock/",
    ".ruff_cache/",    ".pytest_cache/",       ".ty_cache/",     ".git/"};

bool is_denied(const std::string& path) {
    const std::string framed = "/" + path;
    return std::any_of(denied.begin(), denied.end(), [&framed](std::string_view prefix) {
        return framed.find("/" + std::string(prefix)) != std::string::npos;
    });
}

bool is_env_file(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    return name == ".env" || name.rfind(".env.", 0) == 0;
}

class Seeder {
  public:
    Seeder(const Settings& settings, const Git& workspace, const std::string& task_id)
        : settings_(settings), workspace_(workspace), task_id_(task_id) {}

    Result<std::vector<std::string>> run(const std::string& base, bool queue_is_tracked) {
        TRY_ASSIGN(auto tracked,
                   workspace_.output({"ls-tree", "-r", "-z", "--name-only", "--full-tree", base}));
        for (std::string& path : split_at_nul(tracked)) {
            tracked_.insert(std::move(path));
        }
        collect_ralph_folder();
        if (!queue_is_tracked) {
            consider(settings_.queue_relative);
            consider(settings_.done_relative);
        }
        TRY(collect_ignored_files());
        std::sort(paths_.begin(), paths_.end());
        paths_.erase(std::unique(paths_.begin(), paths_.end()), paths_.end());
        TRY(write_exclude_block(workspace_, paths_, files_of_agents()));
        auto folder = Folder::open(workspace_.directory());
        if (!folder || !*folder) {
            return folder ? Error{workspace_.directory() + ": is not there"} : folder.error();
        }
        folder_ = std::move(*folder);
        for (const std::string& path : paths_) {
            TRY(copy(path));
        }
        return take_back_published();
    }

  private:
    // Patterns of what the task's agents make for themselves, which is no work; none if a command works.
    [[nodiscard]] std::vector<std::string> files_of_agents() const {
        const auto task =
            task_id_.empty() ? Result<core::Task>{Error{}} : read_kept_task(settings_.paths, task_id_);
        const auto choices = task ? config::choose_agents(settings_.supervisor, *task)
                                  : Result<std::vector<config::AgentChoice>>{task.error()};
        std::vector<std::string> patterns;
        for (const config::AgentChoice& choice : choices ? *choices : std::vector<config::AgentChoice>{}) {
            for (const std::string& pattern : choice.preset.exclude) {
                if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) {
                    patterns.push_back(pattern);
                }
            }
        }
        return patterns;
    }

    [[nodiscard]] std::string source(const std::string& path) const {
        return settings_.paths.root + "/" + path;
    }

    // Takes the path if it is a regular file of the repository, reached through no symbolic link.
    void consider(const std::string& path) {
        std::error_code problem;
        const fs::path canonical_root = fs::canonical(settings_.paths.root, problem);
        const fs::path canonical_file = fs::canonical(source(path), problem);
        const bool is_straight = !problem && canonical_file == canonical_root / path;
        const bool is_ours = (canonical_file.string() + "/").rfind(settings_.workspace_root + "/", 0) == 0;
        if (is_straight && !is_ours && fs::is_regular_file(fs::symlink_status(source(path), problem)) &&
            tracked_.count(path) == 0 && path.find('\n') == std::string::npos) {
            paths_.push_back(path);
        }
    }

    void collect_ralph_folder() {
        constexpr std::array run_time{"cache", "workspaces", "logs", "lock", "queue.jsonc", "done.jsonc"};
        std::error_code problem;
        auto entry = fs::recursive_directory_iterator(settings_.paths.ralph(), problem);
        for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
            const std::string name = entry->path().filename().string();
            const bool is_run_time =
                entry.depth() == 0 && std::find(run_time.begin(), run_time.end(), name) != run_time.end();
            if (is_run_time || entry->path() == settings_.workspace_root) {
                entry.disable_recursion_pending();
                continue;
            }
            const std::string path = entry->path().string().substr(settings_.paths.root.size() + 1);
            if (path != settings_.queue_relative && path != settings_.done_relative) {
                consider(path);
            }
        }
    }

    Result<void> collect_ignored_files() {
        TRY_ASSIGN(auto text, Git(settings_.paths.root)
                                  .output({"ls-files", "--ignored", "--others", "--exclude-standard", "-z"}));
        const auto& allowed = settings_.project.parallel.ignored_file_allowlist;
        for (const std::string& path : split_at_nul(text)) {
            const bool is_wanted =
                is_env_file(path) || std::any_of(allowed.begin(), allowed.end(),
                                                 [&](auto& glob) { return glob_matches(glob, path); });
            if (is_wanted && path.back() != '/' && !is_denied(path)) {
                consider(path);
            }
        }
        return {};
    }

    Result<void> copy(const std::string& path) {
        TRY_ASSIGN(auto place, folder_->make_place_of(path));
        TRY_ASSIGN(auto kind, place.folder.kind_of(place.name));
        if (kind && *kind == Folder::Kind::directory) {
            return Error{fmt::format("{}/{}: is a folder, so the file of that name cannot be copied there",
                                     workspace_.directory(), path)};
        }
        // It may have been removed in the meantime.
        auto copied = place.folder.copy_from(source(path), place.name);
        return copied ? Result<void>{} : Result<void>{copied.error()};
    }

    // A .gitignore has precedence over the exclude block and can ask for a file again.
    Result<std::vector<std::string>> take_back_published() {
        TRY_ASSIGN(auto text, workspace_.output({"ls-files", "--others", "--exclude-standard", "-z"}));
        std::vector<std::string> taken_back;
        for (std::string& path : split_at_nul(text)) {
            if (std::binary_search(paths_.begin(), paths_.end(), path)) {
                auto place = folder_->place_of(path);
                auto removed = place && *place ? (*place)->folder.remove((*place)->name) : Result<void>{};
                if (!place || !removed) {
                    return place ? removed.error() : place.error();
                }
                taken_back.push_back(std::move(path));
            }
        }
        return taken_back;
    }

    const Settings& settings_;
    const Git& workspace_;
    const std::string& task_id_;
    std::unordered_set<std::string> tracked_;
    std::vector<std::string> paths_;
    std::optional<Folder> folder_;  // the workspace
};

}  // namespace

Result<std::vector<std::string>> seed_workspace(const Settings& settings, const Git& workspace,
                                                const std::string& base, bool queue_is_tracked,
                                                const std::string& task_id) {
    return Seeder(settings, workspace, task_id).run(base, queue_is_tracked);
}

}  // namespace ralph::daemon
