// What an agent is told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/queue/task.h"

namespace ralph::core {

// At most so many bytes and a word about it, cut between characters.
[[nodiscard]] std::string limited_text(std::string_view text, std::size_t most);

struct PromptFacts {
    std::string task_file;  // absolute path of the task's text as JSON
    std::string target_branch;
    std::vector<std::string> gate;  // the commands that its work must pass, as people write them
    bool no_change_completes = false;
};

// The whole task: what, plan, evidence, scope, rules, the gate.
[[nodiscard]] std::string work_prompt(const Task& task, const PromptFacts& facts);

// To go on with the conversation. `why` is what interrupted it.
[[nodiscard]] std::string go_on_prompt(const Task& task, const PromptFacts& facts, std::string_view why);

// For a new conversation about work that was begun: the whole task, and what is there.
[[nodiscard]] std::string take_over_prompt(const Task& task, const PromptFacts& facts, std::string_view why);

// The work could not be landed: what is wrong, and where that is told in full. `goes_on`: in the conversation
// of the work, so that the task is known.
[[nodiscard]] std::string remediation_prompt(const Task& task, const PromptFacts& facts,
                                             std::string_view reason, std::string_view handoff, bool goes_on);

}  // namespace ralph::core
