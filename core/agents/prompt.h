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

// Where the phases of a task stand.
struct PhaseFacts {
    std::string plan_file;  // absolute path of the plan, or of where it shall be
    bool has_plan = false;
    std::string before = {};       // the phase that ended before this one, if its conversation is another
    std::string before_said = {};  // and its last words
};

// What is to be done in "plan", "implement" or "review"; empty for any other name.
[[nodiscard]] std::string phase_words(std::string_view name, const PhaseFacts& facts);

// For a phase that begins in the conversation of the phase before.
[[nodiscard]] std::string next_phase_prompt(const Task& task, const PromptFacts& facts,
                                            std::string_view words);

// Differs where what the task says differs.
[[nodiscard]] std::string task_digest(const Task& task);

// To go on with the conversation. `why` is what interrupted it, `phase` the name of the phase that goes on.
// `has_changed`: the conversation knows another form of the task.
[[nodiscard]] std::string go_on_prompt(const Task& task, const PromptFacts& facts, std::string_view why,
                                       std::string_view phase = {}, bool has_changed = false);

// For a new conversation about work that was begun: the whole task, and what is there.
[[nodiscard]] std::string take_over_prompt(const Task& task, const PromptFacts& facts, std::string_view why);

// The work could not be landed: what is wrong, and where that is told in full. `goes_on`: in the conversation
// of the work, so that the task is known.
[[nodiscard]] std::string remediation_prompt(const Task& task, const PromptFacts& facts,
                                             std::string_view reason, std::string_view handoff, bool goes_on);

}  // namespace ralph::core
