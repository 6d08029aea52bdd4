// What keeps a run from beginning: `ralph run` refuses, and the doctor says the same beforehand.
#pragma once

#include "core/base/error.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// The workspaces' folder must not hold the repository, nor be a part of it that git would publish.
[[nodiscard]] core::Result<void> check_workspace_root(const Settings& settings);

// No tracked file differs from HEAD, but for those that ralph and its users change while it runs.
[[nodiscard]] core::Result<void> check_clean(const Settings& settings);

// Every task that is to be worked on has a command that may be run here.
[[nodiscard]] core::Result<void> check_tasks(const Settings& settings, const core::TaskFile& queue,
                                             bool include_draft);

}  // namespace ralph::daemon
