#include "daemon/workspace/landing_notes.h"

#include <fmt/format.h>

namespace ralph::daemon {

std::string work_ref(std::string_view task_id) {
    return std::string(work_prefix) + std::string(task_id);
}

std::string landing_ref(std::string_view task_id) {
    return std::string(landing_prefix) + std::string(task_id);
}

std::string integration_git_name(std::string_view workspace_name) {
    return fmt::format("lane{}.git", workspace_name.substr(integration_workspace_name.size()));
}

Git integration_git(const Settings& settings, std::string_view name) {
    return {fmt::format("{}/{}", settings.workspace_root, name),
            fmt::format("{}/{}", settings.paths.parallel(), integration_git_name(name))};
}

}  // namespace ralph::daemon
