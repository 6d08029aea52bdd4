// The references between tasks: dependencies, blocks, relations, duplicates and parents (contract section
// 1.5). Part of validate_queue, which checks the tasks themselves first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/queue/task.h"

namespace ralph::core {

// The warnings, or the first error. Takes time linear in the number of tasks and references, and no stack.
[[nodiscard]] Result<std::vector<std::string>> check_relations(const TaskFile& queue, const TaskFile& done,
                                                               std::uint32_t max_dependency_depth);

}  // namespace ralph::core
