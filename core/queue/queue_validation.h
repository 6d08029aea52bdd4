// What must hold for queue.jsonc and done.jsonc taken together (contract sections 1.4 and 1.5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/queue/task.h"

namespace ralph::core {

struct QueueRules {
    std::string id_prefix = "RQ";
    std::uint32_t id_width = 4;
    std::uint32_t max_dependency_depth = 10;
};

// The warnings, or the first error, in the order of contract section 1.5. Every line names a task and says
// what to do. Warnings about finished tasks are left out, for there is nothing to do about them.
[[nodiscard]] Result<std::vector<std::string>> validate_queue(const TaskFile& queue, const TaskFile& done,
                                                              const QueueRules& rules);

// The number of an id such as RQ-0042; the error says what is wrong with its form (contract section 1.4). It
// has as many digits as the rules say, or more where the number needs them: RQ-10000 follows RQ-9999.
[[nodiscard]] Result<std::uint32_t> task_number(std::string_view id, const QueueRules& rules);

// The id with that number.
[[nodiscard]] std::string format_task_id(std::uint64_t number, const QueueRules& rules);

// Whether an id can be a component of a path: 1 to 100 of the ASCII letters and digits, '-', '_'
// and '.', the first being neither '.' nor '-'.
[[nodiscard]] bool is_safe_task_id(std::string_view id);

}  // namespace ralph::core
