// What asks a supervisor to run a failed or blocked task again: an empty file of the task's name, which the
// supervisor takes away when it has answered.
#pragma once

#include <string>
#include <vector>

#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Durable; once, however often it is asked.
[[nodiscard]] Result<void> request_retry(const Paths& paths, const std::string& task_id);

// The tasks for which there is a request.
[[nodiscard]] Result<std::vector<std::string>> requested_retries(const Paths& paths);

// Missing is success.
[[nodiscard]] Result<void> forget_retry_request(const Paths& paths, const std::string& task_id);

}  // namespace ralph::daemon
