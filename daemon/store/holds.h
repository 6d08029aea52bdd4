// What stops the work of a repository, beside what its supervisor says itself: seen by those who look.
#pragma once

#include <optional>
#include <vector>

#include "core/supervisor/explain.h"
#include "daemon/store/live_view.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// A supervisor has begun; `resumed`: after one that died. For holds_beside, which counts; never the truth.
void note_start(const Paths& paths, bool resumed, core::Instant now);

// The remote as it was seen last, workers that write nothing, a supervisor that keeps dying; without a
// supervisor the pause that the next one keeps to. `live`: what the
// supervisor that runs says; nothing if none does.
[[nodiscard]] std::vector<core::Hold> holds_beside(const Paths& paths, const std::optional<LiveView>& live,
                                                   core::Instant now);

// The queue's lock, where somebody else holds it or has left it.
[[nodiscard]] std::optional<core::Hold> hold_of_lock(const Paths& paths);

}  // namespace ralph::daemon
