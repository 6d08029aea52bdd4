// One decision: what is known, an event, and what is to be done.
#pragma once

#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// Takes one event. The actions are to be performed in order, after supervisor.state has been made durable.
[[nodiscard]] std::vector<Action> step(Supervisor& supervisor, const Event& event, Moment now);
// Where both clocks agree.
[[nodiscard]] std::vector<Action> step(Supervisor& supervisor, const Event& event, Instant now);

}  // namespace ralph::core
