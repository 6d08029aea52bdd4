// How commands change the queue. Where the target branch holds it, a change goes there at once, by a commit
// of its own, so that nobody has to commit, pull and push for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/queue/task.h"
#include "daemon/cli/common.h"
#include "daemon/workspace/queue_push.h"

namespace ralph::daemon {

// Done on the target's files or on those here, whichever counts; again if somebody else was faster.
using QueueEdit = std::function<Result<void>(core::TaskFile& queue, core::TaskFile& done)>;

struct QueueEditRequest {
    std::string subject;  // of the commit
    bool no_push = false;
    QueueEdit edit;
};

struct QueueEditEnd {
    std::string branch;
    QueuePushEnd push;
};

// An error has changed nothing, not even a lock file, where the change is not possible here.
[[nodiscard]] Result<QueueEditEnd> change_queue(const Settings& settings, const QueueEditRequest& change);

// Says what is to be said of where the change is now.
void tell_place(const Settings& settings, const std::string& what, const QueueEditEnd& end);

// change_queue and tell_place, of one task that nobody works on now; "" is no task. Returns the exit code.
[[nodiscard]] int change_task(const CommonArguments& common, const std::string& task_id,
                              const std::string& verb, bool no_push, const QueueEdit& edit);

[[nodiscard]] Result<core::Task*> find_open(core::TaskFile& queue, const std::string& task_id);

}  // namespace ralph::daemon
