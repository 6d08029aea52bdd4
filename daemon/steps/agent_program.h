// One run of an agent's program: what it writes goes into the log for people and, as it is, into a file
// beside it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/agents/agent_output.h"
#include "core/agents/preset.h"
#include "core/agents/verdict.h"
#include "core/base/error.h"
#include "core/base/time.h"

namespace ralph::daemon {

struct AgentProgram {
    const core::AgentPreset& preset;
    std::vector<std::string> command;
    std::string input = {};  // for its standard input
    std::string directory = {};
    std::string raw_file = {};  // gets what it prints, and keeps the last part
    long long raw_limit_bytes = 0;
    std::optional<core::Milliseconds> silence = {};
    core::Milliseconds grace{0};
    int stop = -1;  // can be read once it shall end
    // After each piece of output. True: the budget is spent.
    std::function<bool(const core::AgentFacts&)> on_facts = {};
};

struct AgentProgramEnd {
    core::AgentFacts facts;
    core::AgentEnd end;
};

// An error: it could not be started.
[[nodiscard]] core::Result<AgentProgramEnd> run_agent_program(const AgentProgram& program);

}  // namespace ralph::daemon
