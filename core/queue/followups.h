// Follow-up proposals: tasks that an agent found while it worked on another (contract section 8.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task.h"

namespace ralph::core {

struct FollowupTask {
    std::string key;  // names the task within the proposal
    std::string title;
    std::string description;
    TaskPriority priority = TaskPriority::medium;
    std::vector<std::string> tags;
    std::vector<std::string> scope;
    std::vector<std::string> evidence;
    std::vector<std::string> plan;
    std::vector<std::string> depends_on_keys;
    std::string independence_rationale;
};

struct FollowupProposal {
    std::string source_task_id;
    std::vector<FollowupTask> tasks;
};

// Version 1, or cueloop's "followups@v1" (contract section 14.4). The proposal must name `source_task_id`.
[[nodiscard]] Result<FollowupProposal> read_followups(const JsonDocument& document,
                                                      std::string_view source_task_id);

// `taken` as for next_task_ids. Adds the proposed tasks at the top of the queue, but below a first task that
// is doing, and returns their ids. If the files would not validate afterwards, the queue is left as it was.
[[nodiscard]] Result<std::vector<std::string>> apply_followups(TaskFile& queue, const TaskFile& done,
                                                               const Task& source,
                                                               const FollowupProposal& proposal,
                                                               const QueueRules& rules, Instant now,
                                                               const std::vector<std::string>& taken = {});

}  // namespace ralph::core
