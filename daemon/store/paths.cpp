#include "daemon/store/paths.h"

#include "daemon/os/files.h"

namespace ralph::daemon {

Paths paths_of(const std::string& root) {
    Paths paths{root};
    const std::string other = root + "/" + std::string(cueloop_folder);
    if (!path_exists(paths.ralph()) && is_directory(other)) {
        paths.folder = cueloop_folder;
    }
    return paths;
}

std::string block_marker_path(const std::string& workspace) {
    return paths_of(workspace).parallel() + "/blocked_push.json";
}

std::string plan_path(const std::string& workspace, std::string_view task_id) {
    return paths_of(workspace).cache() + "/plans/" + std::string(task_id) + ".md";
}

std::string followups_path(const std::string& workspace, std::string_view task_id) {
    return paths_of(workspace).cache() + "/followups/" + std::string(task_id) + ".json";
}

}  // namespace ralph::daemon
