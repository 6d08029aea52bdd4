// A change of queue and done file that goes onto the target branch by itself: one commit of these files
// alone, on top of what the remote's branch holds now.
#pragma once

#include <functional>
#include <string>

#include "core/base/error.h"
#include "daemon/os/files.h"
#include "daemon/store/settings.h"
#include "daemon/workspace/bookkeeping.h"

namespace ralph::daemon {

struct QueueChange {
    std::string branch;   // the target
    std::string subject;  // of the commit
    // Changes what the target holds. Called again, with what it holds then, when somebody else was faster.
    std::function<core::Result<void>(Bookkeeping& target)> edit;
};

struct QueuePushEnd {
    bool pushed = false;
    std::string why_not;  // one line; empty where there is nothing to be said: the target holds no queue
};

// Nothing is pushed while queue or done file have changes here that the target does not hold. `lock` is the
// repository's lock of ralph. Never overwrites anything: the push counts only if the target is
// still the commit that the change was made on. The user's own index and checkout are not touched. An error
// is one of `edit`, or of the disk; what a remote refuses is none.
[[nodiscard]] core::Result<QueuePushEnd> push_queue_change(const Settings& settings, const FileLock& lock,
                                                           const QueueChange& change);

}  // namespace ralph::daemon
