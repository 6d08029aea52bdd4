// What git is told in a workspace. Its .git/config is ours as a whole and written anew before every use, so
// that nothing a worker has set there holds for us. It makes the workspace behave as the user's own clone
// would: it has the repository's own settings by value, but for those that would lead elsewhere.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Who works there. A worker has an address for pushes that refuses, unless worker.may_push is set; the merge
// queue has the one to which the repository itself would push.
enum class Purpose { work, landing };

struct WorkspaceUse {
    Purpose purpose = Purpose::work;
    std::string target_branch;  // fetched in any case; empty if it is not known
};

// The text of a config file for a working tree of its own, without extensions.refstorage.
[[nodiscard]] core::Result<std::string> workspace_settings(const Settings& settings, const WorkspaceUse& use);

// One more line of it: "[section]\n\tname = \"value\"\n".
[[nodiscard]] std::string setting_text(std::string_view key, const std::string& value);

// Writes it, and what else belongs to the repository's settings and lies beside them: info/attributes, the
// lines of info/exclude, the keys of git-crypt. The git folder must be proven plain, or be ours alone.
[[nodiscard]] core::Result<void> configure_workspace(const Settings& settings, const Git& workspace,
                                                     const WorkspaceUse& use);

}  // namespace ralph::daemon
