// What an integrate run does at this moment, in its run directory, so that `ralph run parallel status` can
// show it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/run_record.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Only for people: what cannot be written is not shown.
void note_landing_progress(const std::string& run_directory, core::LandingProgress progress);

// The integrate run that is under way, as seen from outside.
struct LandingView {
    std::string task_id;             // whose run it is
    std::vector<std::string> batch;  // all tasks that it shall land, its own first
    std::optional<core::LandingProgress> progress;
};

// Nothing if none of these tasks, which are integrating, has a run under way.
[[nodiscard]] std::optional<LandingView> view_landing(const Paths& paths,
                                                      const std::vector<std::string>& tasks);

}  // namespace ralph::daemon
