// The merge of a task file (queue.jsonc or done.jsonc) that two sides have changed, task by task and field by
// field: what a merge driver of git does for a file that its merge of lines does not understand
// (gitattributes(5)).
#pragma once

#include "core/base/error.h"
#include "core/queue/task.h"

namespace ralph::core {

// Tasks that either side added are there, tasks that either side removed or archived are gone, and of those
// that both changed each field is the changed one. An error says which task both sides mean differently. The
// order is that of `ours`; what only `theirs` has comes after the task that it follows there.
[[nodiscard]] Result<TaskFile> merge_task_files(const TaskFile& base, const TaskFile& ours,
                                                const TaskFile& theirs);

}  // namespace ralph::core
