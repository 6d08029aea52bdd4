#include "daemon/workspace/known_ids.h"

#include <string_view>

#include "core/queue/queue_validation.h"
#include "daemon/git/git.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

using core::Result;

// Folders are named by the task, and where something was put aside "." + task + "." + what for.
Result<void> add_names(const std::string& folder, std::vector<std::string>& ids) {
    TRY_ASSIGN(const auto names, list_directory(folder));
    for (const std::string& name : names) {
        const bool is_aside = name.front() == '.';
        const std::string_view rest = std::string_view(name).substr(is_aside ? 1 : 0);
        ids.emplace_back(is_aside ? rest.substr(0, rest.find('.')) : rest);
    }
    return {};
}

Result<void> add_kept(const Settings& settings, std::vector<std::string>& ids) {
    const auto refs =
        Git(settings.paths.root)
            .output({"for-each-ref", "--format=%(refname)", "refs/ralph/kept", "refs/ralph/landed"});
    if (!refs) {
        return refs.error();
    }
    std::string_view rest = *refs;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view name = rest.substr(0, end);  // refs/ralph/kept/<task>/<n>
        rest.remove_prefix(std::min(end + 1, rest.size()));
        name = name.substr(0, name.rfind('/'));
        ids.emplace_back(name.substr(name.rfind('/') + 1));
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> known_task_ids(const Settings& settings) {
    std::vector<std::string> ids;
    for (const std::string& folder : {settings.paths.runs(), settings.workspace_root}) {
        TRY(add_names(folder, ids));
    }
    TRY(add_kept(settings, ids));
    for (const std::string& path : {settings.paths.state(), settings.paths.previous_state()}) {
        if (const auto state = read_state_file(path); state && *state) {
            for (const core::WorkerRecord& record : (*state)->workers) {
                ids.push_back(record.task_id);
            }
        }
    }
    for (const std::string& path : {settings.queue_file, settings.done_file}) {
        if (const auto file = load_task_file(path, true)) {
            for (const core::Task& task : file->tasks) {
                if (task.status != core::TaskStatus::rejected) {
                    ids.emplace_back(core::trimmed(task.id));
                }
            }
        }
    }
    return ids;
}

}  // namespace ralph::daemon
