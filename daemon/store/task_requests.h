// What asks a supervisor to run a failed or blocked task again, or to end one that it works on: an empty file
// TASK~NUMBER, which the supervisor takes away when it has answered. Each request is a file of its own, so
// that taking one away never takes away another that came in the meantime. A file with the task's name alone
// counts, too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Durable. `folder`: Paths::retry_requests or cancel_requests; the same for the others.
[[nodiscard]] Result<void> make_request(const std::string& folder, const std::string& task_id);

// The task that a file of this name asks for; empty if it is no request.
[[nodiscard]] std::string_view requested_task(std::string_view file_name);

// The names of the files; none if there is no folder.
[[nodiscard]] Result<std::vector<std::string>> list_requests(const std::string& folder);

// The tasks for which there is a request, each once.
[[nodiscard]] Result<std::vector<std::string>> requested_tasks(const std::string& folder);

// Missing is success.
[[nodiscard]] Result<void> forget_request(const std::string& folder, const std::string& file_name);

}  // namespace ralph::daemon
