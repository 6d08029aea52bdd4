// supervisor.jsonc: the settings of ours that the Rust tools do not know. A key may be given once; null
// counts as absent. config/supervisor.example.jsonc explains every setting.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/agent_phases.h"
#include "config/agent_presets.h"
#include "config/command.h"
#include "config/layer.h"
#include "core/agents/spending.h"
#include "core/base/error.h"
#include "core/base/time.h"

namespace ralph::config {

struct WorkerSettings {
    std::vector<std::string> command;        // with placeholders; empty means not set
    std::map<std::string, std::string> env;  // added to the worker's environment; never RALPH_*
    std::optional<core::Milliseconds> timeout = std::chrono::hours{24};  // to 365 d; nothing means no limit
    core::Milliseconds kill_grace = std::chrono::seconds{10};            // 0 to 1 h, from SIGTERM to SIGKILL
    std::uint32_t log_limit_mib = 64;                                    // 1 to 102,400
    bool no_change_completes = false;  // no_change "complete": to end with 0 and to leave nothing is enough
    bool may_push = false;             // to the remote by itself
    std::string agent = {};            // the name of one of `agents`; empty means that `command` works
    std::string model = {};            // of the agent; empty means the agent's own choice
    std::string effort = {};           // the same
    std::vector<PhaseSettings> phases = {};  // of an agent's work; empty: it is one
    std::string prompt_file = {};            // relative to the root; empty means the built-in prompt
    // How long it may write nothing, 0 to 7 d; nothing ("auto") means agent_silence for an agent that tells
    // what it does, and no limit for others.
    std::optional<core::Milliseconds> silence = {};

    bool operator==(const WorkerSettings&) const = default;
};

struct StepSettings {
    std::vector<std::string> command;  // with placeholders; empty means the built-in step
    core::Milliseconds timeout;        // 1 ms to 7 d

    bool operator==(const StepSettings&) const = default;
};

struct GateSettings {
    core::Milliseconds timeout = std::chrono::minutes{30};  // 1 ms to 7 d, of each run
    std::uint32_t retries = 0;  // 0 to 10: how often a red gate is run again on the same commit

    bool operator==(const GateSettings&) const = default;
};

// A gate beside agent.ci_gate.
struct NamedGateSettings {
    std::string name;                           // letters, digits, ".", "_" and "-"
    std::vector<std::string> command;           // not empty
    std::optional<core::Milliseconds> timeout;  // 1 ms to 7 d; nothing means gate.timeout

    bool operator==(const NamedGateSettings&) const = default;
};

struct BatchSettings {
    std::uint32_t max = 64;  // 1 to 256 tasks that are landed together
    std::uint32_t min = 0;   // 0 to 256: so many wait for nobody; 0: for those at work
    core::Milliseconds wait = std::chrono::seconds{1};  // 0 to 1 h: how long the first waits for others

    bool operator==(const BatchSettings&) const = default;
};

// Which finished tasks share a run of the gate, how many such runs there are at the same time, and what none
// may do to another.
struct PartitionSettings {
    std::uint32_t parallel_gates = 1;        // 1 to 16
    bool by_scope = false;                   // tasks that have nothing in common pass the gate apart
    std::vector<std::string> barrier_paths;  // globs; who changes one of these passes the gate alone
    bool may_undo = false;                   // undo "allow": a task may take back what another has landed

    bool operator==(const PartitionSettings&) const = default;
};

struct RemediateSettings {
    std::uint32_t max = 1;                                  // 0 to 10: how often a task's work may be fixed
    std::vector<std::string> command;                       // with placeholders; empty means worker.command
    core::Milliseconds silence = std::chrono::minutes{15};  // 1 s to 7 d without output; then it is ended

    bool operator==(const RemediateSettings&) const = default;
};

// Of each worker's cgroup; 0 means no limit.
struct LimitSettings {
    std::uint64_t memory = 0;       // bytes, 1 MiB to 1 PiB
    std::uint32_t cpu_percent = 0;  // of one processor, 1 to 1,000,000; written as processors: 1.5
    std::uint32_t tasks = 0;        // processes and threads, to 4,194,304
    std::uint32_t io_weight = 0;    // 1 to 10,000, where 100 is what everybody else has

    bool operator==(const LimitSettings&) const = default;
};

// What must stay free on the host; 0: it is not looked at.
struct HostSettings {
    std::uint64_t memory = 512ULL << 20U;  // bytes, to 1 PiB
    std::uint64_t disk = 64ULL << 20U;     // the same, where the workspaces are
    std::uint32_t stall_percent = 40;      // 0 to 100 (PSI, memory, full, of ten seconds)

    bool operator==(const HostSettings&) const = default;
};

inline constexpr core::Milliseconds agent_silence = std::chrono::hours{1};

struct SupervisorConfig {
    WorkerSettings worker;
    AgentPresets agents = built_in_agents();
    core::Budgets budgets;
    HostSettings host;
    std::uint32_t max_restarts = 2;  // 0 to 100: how often a step whose outcome was lost is run again
    StepSettings prepare{{}, std::chrono::minutes{30}};
    StepSettings integrate{{}, std::chrono::hours{2}};
    GateSettings gate;
    std::vector<NamedGateSettings> gates;  // after agent.ci_gate, in this order
    BatchSettings batch;
    PartitionSettings partitions;
    RemediateSettings remediate;
    LimitSettings limits;
    core::Milliseconds kept_work_retention = std::chrono::hours{14 * 24};  // 1 s to 3650 d
    // 0 to 7 d: how long a service that is stopped waits for what runs, before it ends it.
    core::Milliseconds stop_timeout = std::chrono::minutes{30};
    core::Milliseconds poll_remote = std::chrono::seconds{30};  // 1 s to 1 d between two looks; 0: never

    bool operator==(const SupervisorConfig&) const = default;
};

// Defaults, overridden by the global layer, overridden by the project layer; worker.env is merged name by
// name. Errors are those of load_project_config. The commands and worker.env need trust in the project layer.
[[nodiscard]] core::Result<SupervisorConfig> load_supervisor_config(const std::optional<Layer>& global,
                                                                    const std::optional<Layer>& project,
                                                                    bool trusted);

// Every setting there is, written as in errors: "worker.command".
[[nodiscard]] std::vector<std::string> supervisor_setting_paths();

}  // namespace ralph::config
