// Ids that were given again. A terminal record and an open task of the queue bear the same id, but the task
// was created at another time than the one that the record was made for: they have nothing to do with each
// other, and the record does not hold the task up.
//
// When such a task is about to be selected, the record goes first, durably, and with it its run directories,
// so that nothing of the earlier task is inherited; a start that finds run directories without a record goes
// on with that. Only then is the task selected, as if there had never been another one.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

[[nodiscard]] std::set<std::string, std::less<>> reused_ids(const Supervisor& supervisor);

// Whether the record of that id and the queue's open task are two different tasks.
[[nodiscard]] bool is_reused(const Supervisor& supervisor, std::string_view task_id);

// The first half of the way: the record goes, and ForgetRuns is asked for.
void make_room(Supervisor& supervisor, const std::string& task_id, std::vector<Action>& actions);

// As if the task had never been selected. It must not be active.
void forget_task(Supervisor& supervisor, const std::string& task_id, std::vector<Action>& actions);

}  // namespace ralph::core
