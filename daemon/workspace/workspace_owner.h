// Whose a workspace is. Two repositories may share a workspace root without knowing of each other, and the id
// of a task may be given again: so it is written in the workspace's git folder, and asked before every use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"
#include "daemon/workspace/workspace_settings.h"

namespace ralph::daemon {

struct WorkspaceOwner {
    std::string repository;  // the folder of its refs
    std::string task_id;
    std::string task_created;  // RFC 3339; empty if it was not known
};

// As the supervisor has it now. When the task was made tells it from another one that had its id.
[[nodiscard]] WorkspaceOwner owner_now(const Settings& settings, std::string_view task_id);

// Nothing if none is written there, or nothing that can be understood.
[[nodiscard]] core::Result<std::optional<WorkspaceOwner>> read_owner(const Git& workspace);
[[nodiscard]] core::Result<void> write_owner(const Git& workspace, const WorkspaceOwner& owner);

enum class Belonging {
    ours,              // or nobody's, or that of a repository that is not there any more
    other_task,        // of this repository, with the same id
    other_repository,  // which is there: nothing of it may be touched
};
[[nodiscard]] Belonging belonging_of(const std::optional<WorkspaceOwner>& written, const WorkspaceOwner& now);

// The workspace of the task, ready for use: proven plain (plain_git.h), the task's own, with our settings. An
// error that does not pass says why it is not to be used; it is as it was then.
[[nodiscard]] core::Result<Git> open_workspace(const Settings& settings, const std::string& path,
                                               std::string_view task_id, const WorkspaceUse& use);

// The same where another task may have used it, and what that one has left is wanted.
[[nodiscard]] core::Result<Git> open_workspace_of_any_task(const Settings& settings, const std::string& path,
                                                           std::string_view task_id, const WorkspaceUse& use);

// A living process of another tool, which says by a lock within the workspace that it works there.
struct WorkspaceUser {
    int pid = 0;
    std::string command;
};
[[nodiscard]] core::Result<std::optional<WorkspaceUser>> user_of_workspace(const std::string& path);

// The workspace root is one repository's: it is written there, unless the repository that is written there is
// gone. An error names both.
[[nodiscard]] core::Result<void> claim_workspace_root(const Settings& settings);

}  // namespace ralph::daemon
