#include "daemon/doctor/preflight.h"

#include <fmt/format.h>

#include "core/queue/queue_validation.h"
#include "daemon/git/git.h"
#include "daemon/supervisor/launch_builder.h"

namespace ralph::daemon {

Result<void> check_workspace_root(const Settings& settings) {
    const std::string& root = settings.paths.root;
    if (settings.workspace_root == root || root.rfind(settings.workspace_root + "/", 0) == 0) {
        return Error{
            fmt::format("parallel.workspace_root is {}, which holds the repository", settings.workspace_root),
            "choose another folder"};
    }
    if (settings.workspace_root.rfind(root + "/", 0) != 0) {
        return {};
    }
    const std::string relative = settings.workspace_root.substr(root.size() + 1);
    const auto ignored = Git(root).is_ignored(relative + "/__ralph_ignore_probe__");
    if (!ignored) {
        return ignored.error();
    }
    return *ignored ? Result<void>{}
                    : Result<void>{Error{
                          fmt::format("parallel.workspace_root is {}, inside the repository and not ignored",
                                      settings.workspace_root),
                          fmt::format("add {}/ to .gitignore", relative)}};
}

Result<void> check_clean(const Settings& settings) {
    TRY_ASSIGN(const auto dirty, Git(settings.paths.root).dirty_paths(Git::Untracked::no));
    const std::string& folder = settings.paths.folder;
    for (const std::string& path : dirty) {
        const bool allowed = path == settings.queue_relative || path == settings.done_relative ||
                             path == folder + "/config.jsonc" || path == folder + "/supervisor.jsonc" ||
                             path.rfind(folder + "/cache/", 0) == 0;
        if (!allowed) {
            return Error{fmt::format("{} has uncommitted changes in {}", settings.paths.root, path),
                         "commit or stash them, or use --force (the checkout then stays behind where these "
                         "files land)"};
        }
    }
    return {};
}

Result<void> check_tasks(const Settings& settings, const core::TaskFile& queue, bool include_draft) {
    for (const core::Task& task : queue.tasks) {
        const bool candidate = task.status == core::TaskStatus::todo ||
                               task.status == core::TaskStatus::doing ||
                               (include_draft && task.status == core::TaskStatus::draft);
        if (!candidate || task.kind == core::TaskKind::group) {
            continue;
        }
        if (!core::is_safe_task_id(core::trimmed(task.id))) {
            return Error{
                fmt::format("{}: the task id \"{}\" cannot be part of a path", settings.queue_file, task.id),
                "use letters, digits, '-', '_' and '.'"};
        }
        if (std::string refusal = worker_refusal(settings, task); !refusal.empty()) {
            return Error{std::move(refusal)};
        }
    }
    return {};
}

}  // namespace ralph::daemon
