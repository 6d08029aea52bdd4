// Which task to start next (contract section 2).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/base/time.h"
#include "core/queue/task.h"

namespace ralph::core {

// The files must have been validated. `excluded` and `landed` hold trimmed ids.
struct SelectionInput {
    const TaskFile& queue;
    const TaskFile& done;
    const std::set<std::string, std::less<>>& excluded;
    // Tasks whose work is on the target branch though the files may not say so yet: they count as done, and
    // are never started again.
    const std::set<std::string, std::less<>>& landed;
    bool include_draft;
    Instant now;
};

// There are tasks to start, but none can be started now. A task that waits for both is counted under its
// dependencies, for the time alone does not free it. Those that an open task names in `blocks` are counted
// there, too.
struct Blocked {
    std::size_t by_dependencies = 0;
    std::size_t by_schedule = 0;
    std::optional<Instant> earliest_start;  // of the tasks that wait for their time only
};

struct NoCandidates {};

using Selection = std::variant<const Task*, NoCandidates, Blocked>;

// The first doing task that nobody blocks, else of the todo tasks that can run the first of the highest
// priority, else, if wanted, such a draft. (The Rust tools go by the order of the file alone.) The pointer is
// into `queue`. Linear in the number of tasks and dependencies.
[[nodiscard]] Selection select_task(const SelectionInput& input);

// Why a task of the queue cannot be selected, as far as the files tell.
enum class Obstacle { none, group, ended, draft, dependency, missing_dependency, blocked, schedule };
struct Hindrance {
    Obstacle what = Obstacle::none;
    std::string by = {};  // the task that it waits for
    Instant until = {};   // of a schedule
};

// Of each task of the queue, in its order; `excluded` does not count.
[[nodiscard]] std::vector<Hindrance> hindrances(const SelectionInput& input);

}  // namespace ralph::core
