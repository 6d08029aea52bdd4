#include "config/supervisor_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "config/allowlist.h"
#include "config/layering.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_validation.h"

namespace ralph::config {

using core::Milliseconds;
using core::ObjectReader;
using std::chrono::hours;

namespace {

constexpr Milliseconds day = hours{24};
constexpr Milliseconds longest_step = 7 * day;
constexpr Milliseconds shortest{1};
constexpr std::size_t most_gates = 32;
constexpr std::size_t longest_gate_name = 50;

void read_worker_timeout(ObjectReader& worker, std::string_view key, std::optional<Milliseconds>& out) {
    Milliseconds timeout = out.value_or(Milliseconds{0});
    read_duration(worker, key, Milliseconds{0}, 365 * day, timeout);
    out = timeout.count() == 0 ? std::nullopt : std::optional(timeout);
}

void read_gates(ObjectReader& root, std::string_view key, std::vector<NamedGateSettings>& out) {
    if (!is_set(root, key)) {
        return;
    }
    out.clear();
    root.read_object(key, [&out](ObjectReader& gates) {
        for (const std::string& name : gates.keys()) {
            NamedGateSettings gate;
            gate.name = name;
            // Part of a log's name, as a task's id is.
            if (!core::is_safe_task_id(name) || name.size() > longest_gate_name || name == "ci") {
                gates.fail(name,
                           "must be 1 to 50 letters, digits, \".\", \"_\" or \"-\", and not \"ci\", which "
                           "is agent.ci_gate of config.jsonc");
            }
            bool is_object = false;
            gates.read_object(name, [&](ObjectReader& section) {
                is_object = true;
                read_list(section, "command", gate.command);
                Milliseconds timeout{0};
                read_duration(section, "timeout", shortest, longest_step, timeout);
                if (timeout.count() != 0) {
                    gate.timeout = timeout;
                }
                if (section.ok() && (gate.command.empty() || gate.command.front().empty())) {
                    section.fail("command", "must name the program and its arguments");
                }
            });
            if (is_object) {
                out.push_back(std::move(gate));
            }
        }
    });
    if (out.size() > most_gates) {
        root.fail(key, fmt::format("must be at most {} gates", most_gates));
    }
}

// A worker is a command or an agent: whichever the nearest layer names.
void read_worker_agent(ObjectReader& worker, std::string_view key, WorkerSettings& out) {
    if (!is_set(worker, key)) {
        return;
    }
    std::string agent;
    worker.read(key, agent);
    if (agent.empty()) {
        out.agent.clear();
        return;
    }
    std::vector<std::string> command;
    read_list(worker, "command", command);
    if (!command.empty()) {
        worker.fail(key, "must not be set beside worker.command; take one of them out");
    }
    out.agent = std::move(agent);
    out.command.clear();
}

void read_worker_command(ObjectReader& worker, std::string_view key, WorkerSettings& out) {
    read_command(worker, key, out.command);
    if (is_set(worker, key) && !out.command.empty()) {
        out.agent.clear();
    }
}

void read_silence(ObjectReader& section, std::string_view key, std::optional<Milliseconds>& out) {
    if (!is_set(section, key)) {
        return;
    }
    if (const auto* const value = section.find(key); value->is_string() && value->get_string() == "auto") {
        out.reset();
        return;
    }
    Milliseconds silence{0};
    read_duration(section, key, Milliseconds{0}, longest_step, silence);
    out = silence;
}

template <core::Budget core::Budgets::*budget>
void read_cost(ObjectReader& section, std::string_view key, SupervisorConfig& out) {
    read_hundredths(section, key, 1, 100'000'000, (out.budgets.*budget).cost_cents);
}

template <core::Budget core::Budgets::*budget>
void read_tokens(ObjectReader& section, std::string_view key, SupervisorConfig& out) {
    read_whole(section, key, 0, 1'000'000'000'000, (out.budgets.*budget).tokens);
}

template <core::Budget core::Budgets::*budget>
void read_turns(ObjectReader& section, std::string_view key, SupervisorConfig& out) {
    read_whole(section, key, 0, 1'000'000, (out.budgets.*budget).turns);
}

struct Setting {
    std::string_view section;  // empty for the top level
    std::string_view key;
    bool needs_trust;
    void (*read)(ObjectReader& section, std::string_view key, SupervisorConfig& out);
};

// The one list of what supervisor.jsonc may say.
constexpr std::array<Setting, 51>
    settings{
        {
            {"worker", "command", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_worker_command(section, key, out.worker);
             }},
            {"worker", "agent", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_worker_agent(section, key, out.worker);
             }},
            {"worker", "model", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_word(section, key, out.worker.model);
             }},
            {"worker", "effort", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_word(section, key, out.worker.effort);
             }},
            {"worker", "prompt_file", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_word(section, key, out.worker.prompt_file);
             }},
            {"worker", "phases", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_phases(section, key, out.worker.phases);
             }},
            {"worker", "silence", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_silence(section, key, out.worker.silence);
             }},
            {"", "agents", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_agents(section, key, out.agents);
             }},
            {"worker", "env", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_environment(section, key, out.worker.env);
             }},
            {"worker", "timeout", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_worker_timeout(section, key, out.worker.timeout);
             }},
            {"worker", "kill_grace", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, Milliseconds{0}, hours{1}, out.worker.kill_grace);
             }},
            {"worker", "log_limit_mib", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 1, 102'400, out.worker.log_limit_mib);
             }},
            {"worker", "no_change", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_either(section, key, "blocked", "complete", out.worker.no_change_completes);
             }},
            {"worker", "may_push", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 section.read(key, out.worker.may_push);
             }},
            {"", "max_restarts", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 100, out.max_restarts);
             }},
            {"prepare", "command", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_command(section, key, out.prepare.command);
             }},
            {"prepare", "timeout", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, shortest, longest_step, out.prepare.timeout);
             }},
            {"integrate", "command", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_command(section, key, out.integrate.command);
             }},
            {"integrate", "timeout", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, shortest, longest_step, out.integrate.timeout);
             }},
            {"gate", "timeout", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, shortest, longest_step, out.gate.timeout);
             }},
            {"gate", "retries", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 10, out.gate.retries);
             }},
            {"", "gates", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_gates(section, key, out.gates);
             }},
            {"integration.batch", "max", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 1, 256, out.batch.max);
             }},
            {"integration.batch", "min", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 256, out.batch.min);
             }},
            {"integration.batch", "wait", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, Milliseconds{0}, hours{1}, out.batch.wait);
             }},
            {"integration", "parallel_gates", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 1, 16, out.partitions.parallel_gates);
             }},
            {"integration", "lanes", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_either(section, key, "one", "scope", out.partitions.by_scope);
             }},
            {"integration", "barrier_paths", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_patterns(section, key, out.partitions.barrier_paths);
             }},
            {"integration", "undo", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_either(section, key, "refuse", "allow", out.partitions.may_undo);
             }},
            {"integration.remediate", "max", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 10, out.remediate.max);
             }},
            {"integration.remediate", "command", true,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_command(section, key, out.remediate.command);
             }},
            {"integration.remediate", "silence", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, std::chrono::seconds{1}, longest_step, out.remediate.silence);
             }},
            {"limits.task", "cost_usd", false, read_cost<&core::Budgets::task>},
            {"limits.task", "tokens", false, read_tokens<&core::Budgets::task>},
            {"limits.task", "turns", false, read_turns<&core::Budgets::task>},
            {"limits.run", "cost_usd", false, read_cost<&core::Budgets::run>},
            {"limits.run", "tokens", false, read_tokens<&core::Budgets::run>},
            {"limits.run", "turns", false, read_turns<&core::Budgets::run>},
            {"limits.day", "cost_usd", false, read_cost<&core::Budgets::day>},
            {"limits.day", "tokens", false, read_tokens<&core::Budgets::day>},
            {"limits.day", "turns", false, read_turns<&core::Budgets::day>},
            {"limits.host", "memory", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_size(section, key, 1ULL << 20U, 1ULL << 50U, out.host.memory);
             }},
            {"limits.host", "disk", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_size(section, key, 1ULL << 20U, 1ULL << 50U, out.host.disk);
             }},
            {"limits.host", "stall_percent", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 100, out.host.stall_percent);
             }},
            {"limits", "memory", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_size(section, key, 1ULL << 20U, 1ULL << 50U, out.limits.memory);
             }},
            {"limits", "cpu", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_hundredths(section, key, 1, 1'000'000, out.limits.cpu_percent);
             }},
            {"limits", "tasks", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 4'194'304, out.limits.tasks);
             }},
            {"limits", "io_weight", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_whole(section, key, 0, 10'000, out.limits.io_weight);
             }},
            {"poll", "remote", false,
             [](ObjectReader& section, std::string_view key,
                SupervisorConfig&
                    out) { read_duration(section, key, Milliseconds{0}, day, out.poll_remote); }},
            {"", "kept_work_retention", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, std::chrono::seconds{1}, 3650 * day, out.kept_work_retention);
             }},
            {"", "stop_timeout", false,
             [](ObjectReader& section, std::string_view key, SupervisorConfig& out) {
                 read_duration(section, key, std::chrono::milliseconds{0}, longest_step, out.stop_timeout);
             }},
        }};

void read_section(std::string_view name, ObjectReader& section, TrustGate& gate, SupervisorConfig& out) {
    for (const Setting& setting : settings) {
        if (setting.section == name) {
            if (setting.needs_trust) {
                claim_if_set(section, setting.key, gate);
            }
            setting.read(section, setting.key, out);
        }
    }
}

void read_root(ObjectReader& root, TrustGate& gate, SupervisorConfig& out) {
    read_section("", root, gate, out);
    for (const std::string_view name : {"worker", "prepare", "integrate", "gate", "poll"}) {
        root.read_object(
            name, [name, &gate, &out](ObjectReader& section) { read_section(name, section, gate, out); });
    }
    root.read_object("limits", [&gate, &out](ObjectReader& limits) {
        read_section("limits", limits, gate, out);
        for (const std::string_view name : {"task", "run", "day", "host"}) {
            limits.read_object(name, [name, &gate, &out](ObjectReader& section) {
                read_section(fmt::format("limits.{}", name), section, gate, out);
            });
        }
    });
    root.read_object("integration", [&gate, &out](ObjectReader& integration) {
        read_section("integration", integration, gate, out);
        for (const std::string_view name : {"batch", "remediate"}) {
            integration.read_object(name, [name, &gate, &out](ObjectReader& section) {
                read_section(fmt::format("integration.{}", name), section, gate, out);
            });
        }
    });
}

std::optional<core::JsonFault> unknown_agent(const SupervisorConfig& config) {
    const auto fault = [&](const std::string& path, const std::string& agent) {
        return agent.empty() || config.agents.count(agent) != 0
                   ? std::nullopt
                   : std::optional(core::JsonFault{
                         path, fmt::format("is \"{}\", which is none of {}; describe it in `agents`",
                                           core::printable(agent), names_of(config.agents))});
    };
    auto found = fault("worker.agent", config.worker.agent);
    for (std::size_t i = 0; i < config.worker.phases.size() && !found; ++i) {
        found = fault(fmt::format("worker.phases[{}].agent", i), config.worker.phases[i].agent);
    }
    return found;
}

}  // namespace

core::Result<SupervisorConfig> load_supervisor_config(const std::optional<Layer>& global,
                                                      const std::optional<Layer>& project, bool trusted) {
    const auto layers = open_layers(global, project, trusted, core::DuplicateKeys::refuse);
    if (layers.has_error()) {
        return layers.error();
    }
    SupervisorConfig config;
    for (const OpenLayer& layer : *layers) {
        auto error = read_layer(
            layer, [&config](ObjectReader& root, TrustGate& gate) { read_root(root, gate, config); });
        if (error) {
            return std::move(*error);
        }
    }
    if (auto unknown = unknown_agent(config)) {
        return error_in(*layers, *unknown);
    }
    return config;
}

std::vector<std::string> supervisor_setting_paths() {
    std::vector<std::string> paths;
    for (const Setting& setting : settings) {
        paths.push_back(setting.section.empty() ? std::string(setting.key)
                                                : fmt::format("{}.{}", setting.section, setting.key));
    }
    return paths;
}

}  // namespace ralph::config
