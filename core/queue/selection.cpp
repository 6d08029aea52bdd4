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
    [[nodiscard]] bool are_met(const Task& task) const { return !unmet_of(task); }

    // By an open task that lists it in `blocks`.
    [[nodiscard]] bool is_blocked(const Task& task) const { return blocked_.count(trimmed(task.id)) != 0; }

    // The first of those that it depends on and that is not done.
    [[nodiscard]] std::optional<std::string> unmet_of(const Task& task) const {
        const auto found =
            std::find_if(task.depends_on.begin(), task.depends_on.end(), [this](const std::string& id) {
                const auto status = statuses_.find(trimmed(id));
                return status == statuses_.end() || !is_terminal(status->second);
            });
        return found == task.depends_on.end() ? std::nullopt : std::optional<std::string>(trimmed(*found));
    }
    [[nodiscard]] bool knows(std::string_view id) const { return statuses_.count(id) != 0; }

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

// The first open one that lists it.
std::string blocker_of(const Task& task, const SelectionInput& input) {
    const std::string_view id = trimmed(task.id);
    for (const Task& other : input.queue.tasks) {
        const bool lists_it = std::any_of(other.blocks.begin(), other.blocks.end(),
                                          [id](const std::string& each) { return trimmed(each) == id; });
        if (lists_it && !is_terminal(other.status)) {
            return std::string(trimmed(other.id));
        }
    }
    return {};
}

Hindrance hindrance_of(const Task& task, const SelectionInput& input, const Dependencies& dependencies) {
    if (task.kind == TaskKind::group) {
        return {Obstacle::group};
    }
    if (is_terminal(task.status) || input.landed.find(trimmed(task.id)) != input.landed.end()) {
        return {Obstacle::ended};
    }
    if (dependencies.is_blocked(task)) {
        return {Obstacle::blocked, blocker_of(task, input)};
    }
    if (task.status == TaskStatus::doing) {
        return {};
    }
    if (const auto unmet = dependencies.unmet_of(task)) {
        return {dependencies.knows(*unmet) ? Obstacle::dependency : Obstacle::missing_dependency, *unmet};
    }
    if (const auto start = future_start(task, input.now)) {
        return {Obstacle::schedule, {}, *start};
    }
    return {task.status == TaskStatus::draft && !input.include_draft ? Obstacle::draft : Obstacle::none};
}

}  // namespace

std::vector<Hindrance> hindrances(const SelectionInput& input) {
    const Dependencies dependencies(input);
    std::vector<Hindrance> each;
    for (const Task& task : input.queue.tasks) {
        each.push_back(hindrance_of(task, input, dependencies));
    }
    return each;
}

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
        const Task* best = nullptr;
        for (const Task& task : input.queue.tasks) {
            if (task.status == status && is_candidate(task, input) &&
                can_run(task, input, dependencies, blocked) &&
                (best == nullptr || comes_before(task.priority, best->priority))) {
                best = &task;
            }
        }
        if (best != nullptr) {
            return best;
        }
    }
    if (blocked.by_dependencies + blocked.by_schedule == 0) {
        return NoCandidates{};
    }
    return blocked;
}

}  // namespace ralph::core
