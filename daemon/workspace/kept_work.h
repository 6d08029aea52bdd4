// What a workspace holds that is not on the remote is kept before the workspace is reset or removed: as refs
// refs/ralph/kept/<task>/<n> of the repository, each a commit made at the time of keeping. See
// them with `ralph kept list`; the next attempt at the task goes on from the newest (restore.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"
#include "daemon/workspace/kept_refs.h"

namespace ralph::daemon {

struct KeptWork {
    std::vector<std::string> made;  // the new refs
    std::optional<KeptRef> files;   // what holds HEAD and the files; nothing if origin has all of that
};

// Keeps HEAD with all uncommitted changes and new files that are not ignored, other local branches, and
// stashes, as far as origin does not have them. The workspace's files, index and branches are not touched.
// What is kept already is not kept again. An error means that something could not be kept.
[[nodiscard]] core::Result<KeptWork> keep_work(const Settings& settings, const Git& workspace,
                                               std::string_view task_id);

// The same for a commit of the task that the merge queue has taken over: its workspace is gone.
[[nodiscard]] core::Result<KeptWork> keep_commit(const Settings& settings, const Git& lane,
                                                 std::string_view task_id, const std::string& commit);

}  // namespace ralph::daemon
