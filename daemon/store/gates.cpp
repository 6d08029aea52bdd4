#include "daemon/store/gates.h"

namespace ralph::daemon {

std::vector<NamedGate> gates_of(const Settings& settings) {
    std::vector<NamedGate> gates;
    const config::CiGateConfig& ci = settings.project.ci_gate;
    if (ci.enabled && !ci.argv.empty()) {
        gates.push_back({"ci", ci.argv, settings.supervisor.gate.timeout});
    }
    for (const config::NamedGateSettings& gate : settings.supervisor.gates) {
        gates.push_back({gate.name, gate.command, gate.timeout.value_or(settings.supervisor.gate.timeout)});
    }
    return gates;
}

}  // namespace ralph::daemon
