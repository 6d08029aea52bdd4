// What a supervisor that runs is doing and waiting for: live.json, for people and programs that look. It is
// written after the decisions and is never the truth; a supervisor that is gone leaves its last one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/explain.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct LiveView {
    std::string mode;  // "running", "draining" or "ending"
    std::vector<core::Hold> holds;
    std::vector<core::Explanation> open;  // as core::explain_open has them
};

[[nodiscard]] std::string live_view_text(const core::Supervisor& supervisor, core::Moment now);
// Nothing if there is none, or it cannot be read.
[[nodiscard]] std::optional<LiveView> read_live_view(const Paths& paths);

// The members of an explanation, as live.json and `ralph why --json` have them.
[[nodiscard]] boost::json::object explanation_object(const core::Explanation& explanation);

}  // namespace ralph::daemon
