// Events, actions and states as one line of a trace.
#pragma once

#include <string>

#include "core/supervisor.h"

namespace ralph::sim {

[[nodiscard]] std::string text_of(const core::Event& event);
[[nodiscard]] std::string text_of(const core::Action& action);
[[nodiscard]] std::string text_of(const core::ParallelState& state);

}  // namespace ralph::sim
