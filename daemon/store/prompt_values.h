// What is known of a task, for the words of a command or of a prompt.
#pragma once

#include <string>

#include "config/command.h"
#include "core/agents/prompt.h"
#include "core/queue/task.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

[[nodiscard]] core::PromptFacts prompt_facts_of(const Settings& settings, const std::string& task_id,
                                                const std::string& target_branch);

// Those that every step has; long texts are cut. `attempt` is decimal.
[[nodiscard]] config::PlaceholderValues placeholders_of(const Settings& settings, const core::Task& task,
                                                        const std::string& task_id,
                                                        const std::string& target_branch,
                                                        const std::string& attempt);

}  // namespace ralph::daemon
