// agent.json in a run directory: what an agent's run is about, as far as it is known. Written at its start,
// at each turn and at its end, so that a kill loses no session and no cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/agents/preset.h"
#include "core/agents/usage.h"
#include "core/base/error.h"
#include "core/base/jsonc.h"

namespace ralph::core {

struct AgentRecord {
    std::string agent;
    std::string account;
    std::string program_version;  // as the agent tells it
    std::string model;
    std::string effort;
    std::string phase = {};         // of the work; empty: all of it
    std::string task = {};          // what the task said (prompt.h: task_digest); empty: not known
    std::string session;            // the newest of the run; empty: not known, or none
    bool resumed = false;           // the run went on with a session of before
    bool answered = false;          // the model has, in that session; if not, there is nothing to go on with
    std::string session_note = {};  // why it did not, or began another one
    std::optional<Verdict> verdict = {};  // nothing while it runs
    std::string message = {};
    int exit_status = 0;  // of the program, if `signal` is 0
    int signal = 0;
    std::string ended_by =
        {};  // us: "stop", "silence", "budget" or "verdict", one that was clear before; else empty
    std::string resets_at = {};  // RFC 3339
    Usage usage = {};
    std::uint32_t faults = 0;  // passing ones that the run went on from
    std::string started_at;
    std::string ended_at = {};
    std::vector<AgentRecord> finished = {};  // the phases that this run has come through before

    bool operator==(const AgentRecord&) const = default;
};

[[nodiscard]] std::string agent_record_text(const AgentRecord& record);
[[nodiscard]] Result<AgentRecord> read_agent_record(const JsonDocument& document);

}  // namespace ralph::core
