// The handoff packet (contract section 8.4): what whoever fixes a task's work has to know, in the workspace
// at .ralph/cache/parallel/handoffs/<task>/attempt_<n>.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct Handoff {
    std::string task_id;
    std::string task_title;
    std::string target_branch;
    std::uint32_t attempt = 0;  // to land it
    std::uint32_t max_attempts = 0;
    std::vector<std::string> conflict_files;
    std::string git_status;     // as of `git status --porcelain -z`
    std::string phase_summary;  // why it did not land
    std::string task_intent;    // what the task wants
    struct CiContext {
        std::string command;
        std::string last_output;
    };
    std::optional<CiContext> ci_context;  // of a red gate
    std::string generated_at;
};

// No link is followed to where it is written.
[[nodiscard]] Result<void> write_handoff(const Paths& workspace, const Handoff& handoff);

// The path of the newest packet; empty if there is none.
[[nodiscard]] Result<std::string> newest_handoff(const Paths& workspace, const std::string& task_id);

}  // namespace ralph::daemon
