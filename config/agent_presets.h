// Agent presets: ours, one file each in config/agents, and `agents` of supervisor.jsonc, which has the same
// fields, adds others and changes ours field by field.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/layer.h"
#include "core/agents/preset.h"
#include "core/base/json_reader.h"

namespace ralph::config {

using AgentPresets = std::map<std::string, core::AgentPreset, std::less<>>;

// The files of config/agents as they were when this program was built.
[[nodiscard]] std::vector<Layer> built_in_agent_files();

// What they say. One that cannot be read is a mistake of ours (CHECK).
[[nodiscard]] AgentPresets built_in_agents();

// "aider, claude, ...", for messages.
[[nodiscard]] std::string names_of(const AgentPresets& presets);

// Reads `agents`; each member into the preset of that name, which is made if there is none.
void read_agents(core::ObjectReader& reader, std::string_view key, AgentPresets& out);

}  // namespace ralph::config
