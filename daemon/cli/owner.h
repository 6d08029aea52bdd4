// root in somebody else's repository: what a command writes there would belong to root, and the service of
// that user could not read it any more; and what git is told by that repository would run as root.
#pragma once

#include "core/base/error.h"
#include "daemon/cli/commands.h"

namespace ralph::daemon {

// As root, in a repository of another user: becomes that user for good, with that user's groups and home and
// an environment without root's settings. A user without a name is one, too. Else does nothing.
[[nodiscard]] core::Result<void> become_owner(const CommonArguments& common);

// As whom the commands are run that work in a repository without supervising it: never as root in somebody
// else's.
template <class Command>
int as_owner(const CommonArguments& common, Command command) {
    const auto became = become_owner(common);
    return became ? command() : report_error(became.error());
}

}  // namespace ralph::daemon
