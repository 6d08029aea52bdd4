// Whether the commands that a repository brings along may be run: what .ralph/trust.jsonc says, if it is this
// user's word. A file that git tracks came with a clone, a merge or a checkout, and is somebody else's word.
#pragma once

#include <string>

#include "core/base/error.h"
#include "daemon/git/trust.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct Trust {
    bool is_given = false;
    std::string refusal;  // why a file that allows counts for nothing; else empty

    bool operator==(const Trust&) const = default;
};

// What fixes it, in either case.
inline constexpr const char* trust_remedy =
    "run `git rm --cached .ralph/trust.jsonc`, commit that, and if you trust this repository's commands, "
    "`ralph init --trust`";

// Asks git, if there is a file that allows.
[[nodiscard]] core::Result<Trust> trust_of(const Paths& paths);

// Nothing if the file is this user's own, or would be: neither in the index nor in HEAD of the repository,
// and .ralph is no repository of its own. Else why it is not. What git cannot tell is not known to be the
// user's.
[[nodiscard]] std::string foreign_trust(const Paths& paths);

// `root` as found by find_repository. Asks git whether trust is this user's own.
[[nodiscard]] core::Result<Settings> load_settings(const std::string& root);

}  // namespace ralph::daemon
