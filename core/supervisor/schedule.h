// The second half of `step`: given what is known after an event, what can start now, and is it all over?
#pragma once

#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// The longest pause between two tries to start a run.
inline constexpr Milliseconds longest_start_pause{30'000};

// For how long nothing is landed after the target was found to be red by itself.
inline constexpr Milliseconds red_target_pause{60'000};

[[nodiscard]] bool has_free_slot(const Supervisor& supervisor);

// Appends StartRun, LoadQueue, WakeAt and Finish actions.
void schedule(Supervisor& supervisor, Moment now, std::vector<Action>& actions);

}  // namespace ralph::core
