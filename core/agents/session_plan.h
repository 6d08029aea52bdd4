// Whether an attempt goes on with a conversation, and which one.
#pragma once

#include <string>
#include <vector>

#include "core/agents/agent_record.h"
#include "core/agents/preset.h"

namespace ralph::core {

struct SessionPlan {
    bool goes_on = false;
    std::string session;    // to go on with; empty: a new one, or the newest of the folder
    bool is_begun = false;  // there was an attempt before
    std::string why;        // what interrupted that, or why it cannot be continued
    std::string note;       // for the record, where a conversation cannot be continued
};

// `earlier`: the records of the task's runs, oldest first.
[[nodiscard]] SessionPlan plan_session(const AgentPreset& preset, const std::vector<AgentRecord>& earlier);

// What the agent tells as its session's sum, less what was counted for that session before, is what this
// attempt used.
[[nodiscard]] Usage used_by_attempt(const AgentPreset& preset, const Usage& told, const Usage& before);

}  // namespace ralph::core
