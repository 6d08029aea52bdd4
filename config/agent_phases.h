// The parts of the work that agents do one after the other, each with words of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_reader.h"

namespace ralph::config {

struct PhaseSettings {
    std::string name;              // one of built_in_phases, or another that has a prompt_file
    std::string agent = {};        // empty: worker.agent
    std::string model = {};        // empty: worker.model, if that is the agent's
    std::string effort = {};       // the same
    std::string prompt_file = {};  // relative to the root; empty: the built-in prompt
    bool keeps_session = true;  // goes on with the conversation of the phase before, if the agent is the same

    bool operator==(const PhaseSettings&) const = default;
};

// Plan, implement, review, as the Rust tools have them.
[[nodiscard]] std::vector<PhaseSettings> built_in_phases();

// Reads an array of objects. Names are letters, digits, ".", "_" and "-", each once.
void read_phases(core::ObjectReader& section, std::string_view key, std::vector<PhaseSettings>& out);

}  // namespace ralph::config
