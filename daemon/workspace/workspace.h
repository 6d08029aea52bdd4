// A workspace as a folder with a git repository in it: whether it is sound, and how to clear what a killed
// git or an unfinished operation left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Clones the repository to <workspace_root>/<name>, without a checkout and without any ref, and removes first
// what is there. `name` is one of our own, such as ".RQ-0001.preparing".
[[nodiscard]] core::Result<void> clone_repository(const Settings& settings, const std::string& name);

// Has a .git folder of its own, a commit, and a readable index. An error: that cannot be found out now.
[[nodiscard]] core::Result<bool> is_usable_workspace(const Git& workspace);

// Removes what a killed step left half-done in a workspace, and what would be taken for the worker's: lock
// files of git, and queue and done files that were being written. Only when nothing runs there.
void remove_stale_files(const Settings& settings, const Git& workspace);

// Renames the workspace to <root>/.<task>.broken-<n>, and returns that path. It may be somebody's only copy.
[[nodiscard]] core::Result<std::string> quarantine_workspace(const Settings& settings,
                                                             std::string_view task_id);

// A worker may have told git's index not to look at a file (assume-unchanged, skip-worktree): its changes
// would be left out in silence. What is there is looked at again; what a sparse checkout leaves out stays
// out. With the index of `workspace`.
[[nodiscard]] core::Result<void> look_at_all_files(const Git& workspace);

// A worker may have left folders in which nothing can be changed, as caches of modules are: git could not put
// them right. What cannot be opened stays as it is.
void make_folders_writable(const Git& workspace);

// Removes uncommitted changes and new files that are not ignored.
[[nodiscard]] core::Result<void> clean_working_tree(const Git& workspace);

// Removes the copies that the last write_exclude_block() lists, as far as no commit and no index has them.
// Before the list is emptied, lest they be taken for the worker's.
[[nodiscard]] core::Result<void> remove_listed_copies(const Git& workspace);

// .git/info/exclude: these paths, and what lies under .ralph only at run time, are invisible to `git add -A`.
// Lines outside our markers stay as they are.
// `patterns` are lines of .gitignore that do not begin with a slash.
[[nodiscard]] core::Result<void> write_exclude_block(const Git& workspace,
                                                     const std::vector<std::string>& paths,
                                                     const std::vector<std::string>& patterns = {});

// The lines outside of our markers become those of this file of the repository.
[[nodiscard]] core::Result<void> carry_exclude_lines(const Git& workspace, const std::string& from);

}  // namespace ralph::daemon
