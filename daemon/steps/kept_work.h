// What a workspace holds that is not on the remote is kept before the workspace is reset or removed: as refs
// refs/ralph/kept/<task>/<n> of the repository, each a commit made at the time of keeping. Get it back with
// `git merge refs/ralph/kept/RQ-0001/1`, or look at it with `git show`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "daemon/settings.h"
#include "daemon/steps/git.h"

namespace ralph::daemon {

// Keeps HEAD with all uncommitted changes and new files that are not ignored, other local branches, and
// stashes, as far as origin does not have them, and returns the new refs. The workspace's files, index and
// branches are not touched. What is kept already is not kept again. An error means that something could not
// be kept.
[[nodiscard]] core::Result<std::vector<std::string>> keep_work(const Settings& settings, const Git& workspace,
                                                               std::string_view task_id);

// Deletes the kept refs of all tasks whose retention has ended.
[[nodiscard]] core::Result<void> prune_kept_work(const Settings& settings);

}  // namespace ralph::daemon
