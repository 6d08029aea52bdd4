// What a workspace gets besides the commit: files that git does not carry, but that the worker needs
// (contract section 7.3).
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Copies, where `base` does not track them: the repository's .ralph folder without run-time files, queue and
// done if the queue is not tracked, ignored .env files, and what the allowlist names. Only regular files,
// reached through no symbolic link. Everything copied is excluded in the workspace, so that `git add -A`
// never publishes it; what cannot be excluded, because .gitignore asks for it, is not left there. Returns
// such paths. Of a task's workspace, what its agent makes for itself is excluded, too; `task_id` is empty for
// others.
[[nodiscard]] core::Result<std::vector<std::string>> seed_workspace(const Settings& settings,
                                                                    const Git& workspace,
                                                                    const std::string& base,
                                                                    bool queue_is_tracked,
                                                                    const std::string& task_id);

}  // namespace ralph::daemon
