#include "core/queue/selection.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace ralph::core {
namespace {

// The ids that satisfy a dependency: done or rejected (contract section 2). Of an id held twice, the copy
// that is not rejected decides.
class Dependencies {
  public:
    explicit Dependencies(const SelectionInput& input) {
        statuses_.reserve(input.queue.tasks.size() + input.done.tasks.size() + input.landed.size());
        for (const std::string& id : input.landed) {
            statuses_.emplace(id, TaskStatus::done);
        }
        for (const Task& task : input.queue.tasks) {
            const bool is_open = task.kind == TaskKind::work_item && !is_terminal(task.status) &&
                                 input.landed.find(trimmed(task.id)) == input.landed.end();
            if (is_open) {
                for (const std::string& id : task.blocks) {
                    blocked_.insert(trimmed(id));
                }
            }
        }
        for (const TaskFile* file : {&input.queue, &input.done}) {
            for (const Task& task : file->tasks) {
                const auto [place, is_new] = statuses_.try_emplace(trimmed(task.id), task.status);
                if (!is_new && place->second == TaskStatus::rejected) {
                    place->second = task.status;
                }
            }
        }
    }

    // An id that stands nowhere, a blank one too, is not met.
    [[nodiscard]] bool are_met(const Task& task) const {
        return std::all_of(task.depends_on.begin(), task.depends_on.end(), [this](const std::string& id) {
            const auto found = statuses_.find(trimmed(id));
            return found != statuses_.end() && is_terminal(found->second);
        });
    }

    // By an open task that lists it in `blocks`.
    [[nodiscard]] bool is_blocked(const Task& task) const { return blocked_.count(trimmed(task.id)) != 0; }

  private:
    std::unordered_map<std::string_view, TaskStatus> statuses_;
    std::unordered_set<std::string_view> blocked_;
};

bool is_candidate(const Task& task, const SelectionInput& input) {
    switch (task.kind) {
        case TaskKind::group:
            return false;
        case TaskKind::work_item:
            break;
    }
    const std::string_view id = trimmed(task.id);
    return input.excluded.find(id) == input.excluded.end() && input.landed.find(id) == input.landed.end();
}

// A time that cannot be read does not hold a task back (contract section 2).
std::optional<Instant> future_start(const Task& task, Instant now) {
    if (task.scheduled_start) {
        if (const auto start = parse_rfc3339(*task.scheduled_start); start && start->instant > now) {
            return start->instant;
        }
    }
    return std::nullopt;
}

// Notes why `task` cannot run, and returns whether it can.
bool can_run(const Task& task, const SelectionInput& input, const Dependencies& dependencies,
             Blocked& blocked) {
    if (!dependencies.are_met(task) || dependencies.is_blocked(task)) {
        ++blocked.by_dependencies;
        return false;
    }
    if (const auto start = future_start(task, input.now)) {
        ++blocked.by_schedule;
        blocked.earliest_start = std::min(*start, blocked.earliest_start.value_or(*start));
        return false;
    }
    return true;
}

}  // namespace

Selection select_task(const SelectionInput& input) {
    const Dependencies dependencies(input);
    Blocked blocked;
    for (const Task& task : input.queue.tasks) {
        if (task.status != TaskStatus::doing || !is_candidate(task, input)) {
            continue;
        }
        if (!dependencies.is_blocked(task)) {
            return &task;
        }
        ++blocked.by_dependencies;
    }
    for (const TaskStatus status : {TaskStatus::todo, TaskStatus::draft}) {
        if (status == TaskStatus::draft && !input.include_draft) {
            continue;
        }
        for (const Task& task : input.queue.tasks) {
            if (task.status == status && is_candidate(task, input) &&
                can_run(task, input, dependencies, blocked)) {
                return &task;
            }
        }
    }
    if (blocked.by_dependencies + blocked.by_schedule == 0) {
        return NoCandidates{};
    }
    return blocked;
}

}  // namespace ralph::core
