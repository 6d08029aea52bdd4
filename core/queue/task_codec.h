// Tasks from and to the text of queue.jsonc and done.jsonc (contract sections 1.1, 1.2 and 1.6).
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/queue/task.h"

namespace ralph::core {

// Reads a whole file. Unknown keys are refused, as the Rust tools refuse them; what the values mean together
// is checked by validate_queue.
[[nodiscard]] Result<TaskFile> read_task_file(const JsonDocument& document);

// Reads a document whose root is one task.
[[nodiscard]] Result<Task> read_task(const JsonDocument& document);

// The keys stand in the order of contract section 1.2.
[[nodiscard]] boost::json::object write_task(const Task& task);

// The canonical text of a file (contract section 1.6), without a line end at the end.
[[nodiscard]] std::string task_file_text(const TaskFile& file);

}  // namespace ralph::core
