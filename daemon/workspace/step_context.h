// What a step is told, by its environment, and what it says at its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/supervisor/run_record.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct StepContext {
    Settings settings;
    std::string task_id;
    std::string task_title;
    std::string workspace;
    std::string target_branch;
    std::string run_directory;
    std::uint32_t attempt = 1;
    std::uint32_t integration = 1;  // which attempt to land
    std::uint32_t max_integrations = 1;
    std::vector<std::string> batch = {};  // other tasks that an integrate step shall land

    // For messages: "origin/main".
    [[nodiscard]] std::string target() const { return "origin/" + target_branch; }
};

// "RQ-0001,RQ-0002"
[[nodiscard]] std::vector<std::string> split_task_ids(std::string_view text);

// The same run, as it concerns another task of its batch.
[[nodiscard]] StepContext context_of(const StepContext& run, const std::string& task_id);

// From RALPH_ROOT, RALPH_TASK_ID, RALPH_WORKSPACE, RALPH_TARGET_BRANCH and RALPH_RUN_DIR, which must be
// there, RALPH_TASK_TITLE and RALPH_BATCH, which may be empty, and RALPH_ATTEMPT, RALPH_INTEGRATION and
// RALPH_MAX_INTEGRATIONS, which are 1 if they are missing.
[[nodiscard]] core::Result<StepContext> read_step_context();

// Writes outcome.json into the run directory.
[[nodiscard]] core::Result<void> write_outcome(const StepContext& context, const core::Outcome& outcome);

// How a step ends.
struct Ending {
    int code = 0;
    core::Outcome outcome;
};

// Says the outcome in the log, writes it, and returns the exit code. An outcome that cannot be written does
// not change the code, which alone decides.
[[nodiscard]] int finish_step(const StepContext& context, const Ending& ending);

// Adds a sentence to the note.
void add_note(core::Outcome& outcome, const std::string& sentence);

// What to do when the cause is fixed, to end a sentence with.
[[nodiscard]] std::string retry_command(const StepContext& context);

}  // namespace ralph::daemon
