// What the end of an agent means. An exit code is a claim; so is what it printed. Both together are judged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/agents/agent_output.h"
#include "core/agents/preset.h"
#include "core/base/time.h"

namespace ralph::core {

struct AgentEnd {
    int status = 0;  // exit status, if `signal` is 0
    int signal = 0;
    bool stopped = false;         // the supervisor ended it
    bool budget_spent = false;    // we did, for this
    bool silent = false;          // we did, since it wrote nothing
    std::optional<bool> changed;  // whether its work has left anything; nothing: not known
};

struct Judgement {
    Verdict verdict = Verdict::failed;
    std::string message;               // one line, at most 500 bytes, for the record and for `status`
    std::optional<Instant> resets_at;  // of a limit, if it was told
};

// `utc_offset_minutes`: of the local time in which agents tell times of day.
[[nodiscard]] Judgement judge(const AgentPreset& preset, const AgentFacts& facts, const AgentEnd& end,
                              Instant now, int utc_offset_minutes);

}  // namespace ralph::core
