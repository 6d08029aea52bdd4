// The one way to git in a workspace. A worker may have written anything into its .git: a link to a folder
// elsewhere, the path of another repository, the objects of somebody else. git follows all of that. So no git
// runs in a workspace before its .git was proven plain, by descriptors and not by names: a real folder, in
// which no name that git reads or writes leads out of it.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/os/folder.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// git in the working tree `path`, which is proven plain now. An error that does not pass says what is not
// plain; nothing was changed then. Its settings are still whatever stands there: configure_workspace()
// (workspace_settings.h) comes next.
[[nodiscard]] core::Result<Git> open_plain(const Settings& settings, const std::string& path);

// The same for a repository within a workspace, at `relative`, such as a submodule: its folder lies within
// the workspace, too.
[[nodiscard]] core::Result<Git> open_plain_within(const std::string& workspace, const std::string& relative);

// A git folder that lies elsewhere than its working tree, the merge queue's own.
[[nodiscard]] core::Result<void> check_git_folder(const Git& git);

// A working tree in which git would wait for ever, at a pipe called .gitignore for one. open_plain() asks
// this, too.
[[nodiscard]] core::Result<void> check_blocking_files(const std::string& path);

// What git would leave out in silence, or follow out of the workspace, when it looks at all files: a folder
// that cannot be read, and a repository within the workspace that is not plain. What is ignored does not
// matter. An error that does not pass names it.
[[nodiscard]] core::Result<void> check_files(const Git& workspace);

// The workspace's git folder, held.
[[nodiscard]] core::Result<Folder> git_folder_of(const Git& workspace);

}  // namespace ralph::daemon
