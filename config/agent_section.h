// The `agent` section of config.jsonc, and the profiles, which are shaped like it (contract section 3.3).
// Of its many keys ours uses the CI gate; the others belong to the Rust tools and are accepted.
#pragma once

#include <string>
#include <vector>

#include "core/base/json_reader.h"

namespace ralph::config {

class TrustGate;

// The command that must succeed before work lands. It is run without a shell.
struct CiGateConfig {
    bool enabled = true;
    std::vector<std::string> argv{"make", "ci"};  // not empty if enabled

    bool operator==(const CiGateConfig&) const = default;
};

struct AgentSettings {
    CiGateConfig ci_gate;
    bool wants_webhook = false;
};

// Reads one layer's section into `out`. Internal to config/.
void read_agent(core::ObjectReader& agent, TrustGate& gate, AgentSettings& out);

}  // namespace ralph::config
