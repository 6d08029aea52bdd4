// state.json v3: reading with the Rust tools' tolerances, migrating, writing canonical text (contract section
// 6).
#pragma once

#include <string>

#include "core/base/jsonc.h"
#include "core/supervisor/state.h"

namespace ralph::core {

// Follows the tolerance table of contract section 6.2 cell by cell. Unknown keys are ignored. A document
// older than version 3 keeps its target branch and start, and loses its workers; a newer one is accepted
// unchanged.
[[nodiscard]] Result<ParallelState> read_state(const JsonDocument& document);

// The canonical text; equal states give equal bytes.
[[nodiscard]] std::string state_text(const ParallelState& state);

}  // namespace ralph::core
