// Whether an attempt goes on with a conversation, and which one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
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

// `earlier`: the records of the task's runs and phases, oldest first. A phase that begins goes on with the
// conversation of the one before if `keeps_session` and the agent is the same.
[[nodiscard]] SessionPlan plan_session(const AgentPreset& preset, const std::vector<AgentRecord>& earlier,
                                       std::string_view phase = {}, bool keeps_session = true);

// Which of the phases is to be done next; their number if all are done. A phase that did not end well is done
// again, and one that the list does not know begins it anew.
[[nodiscard]] std::size_t next_phase(const std::vector<std::string>& phases,
                                     const std::vector<AgentRecord>& earlier);

// What the agent tells as its session's sum, less what was counted for that session before, is what this
// attempt used.
[[nodiscard]] Usage used_by_attempt(const AgentPreset& preset, const Usage& told, const Usage& before);

}  // namespace ralph::core
