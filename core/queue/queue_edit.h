// Changes to queue.jsonc and done.jsonc (contract sections 1.4 and 1.7). The caller loads, validates and
// saves the files, done first.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task.h"

namespace ralph::core {

// `note` is trimmed and appended if anything is left of it; what must not be published is the caller's to
// remove.
[[nodiscard]] Result<void> set_status(TaskFile& file, std::string_view id, TaskStatus status, Instant now,
                                      std::optional<std::string_view> note = std::nullopt);

// Moves every done or rejected task to the end of `done`, in the order of the queue, and returns how many.
std::size_t archive_terminal(TaskFile& queue, TaskFile& done, Instant now);

// Step 3c of the integration loop (contract section 9) for a task whose work is complete. Doing it again
// changes nothing.
[[nodiscard]] Result<void> archive_finished_task(TaskFile& queue, TaskFile& done, std::string_view id,
                                                 Instant now);

// The ids after the largest in both files, rejected tasks not counted (contract section 1.4), but for those
// in `taken`: ids that something else of the repository still bears. What is no id in there is passed over.
// An error if the files do not validate or the numbers run out.
[[nodiscard]] Result<std::string> next_task_id(const TaskFile& queue, const TaskFile& done,
                                               const QueueRules& rules,
                                               const std::vector<std::string>& taken = {});
[[nodiscard]] Result<std::vector<std::string>> next_task_ids(const TaskFile& queue, const TaskFile& done,
                                                             const QueueRules& rules, std::size_t count,
                                                             const std::vector<std::string>& taken = {});

// A todo task.
[[nodiscard]] Task make_task(std::string_view id, std::string_view title, Instant now);

}  // namespace ralph::core
