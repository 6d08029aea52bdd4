#include "config/agent_section.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>

#include "config/command.h"
#include "config/layering.h"

namespace ralph::config {

using core::ObjectReader;

namespace {

constexpr std::uint64_t any_u32 = std::numeric_limits<std::uint32_t>::max();

// A plugin runner is code of the repository, so choosing one needs trust (contract section 3.2).
void claim_if_plugin(ObjectReader& reader, std::string_view key, TrustGate& gate) {
    static constexpr std::array<std::string_view, 7> built_in{"codex",  "opencode", "gemini", "claude",
                                                              "cursor", "kimi",     "pi"};
    std::optional<std::string> runner;
    reader.read(key, runner);
    if (runner && std::find(built_in.begin(), built_in.end(), *runner) == built_in.end()) {
        gate.claim(reader.path_of(key));
    }
}

void ignore_all(ObjectReader& reader, std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) {
        reader.ignore(key);
    }
}

void accept_anything(ObjectReader& reader) {
    for (const std::string& key : reader.keys()) {
        reader.ignore(key);
    }
}

void read_phase_overrides(ObjectReader& phases, TrustGate& gate) {
    for (const std::string& phase : phases.keys()) {
        const boost::json::value* value = phases.find(phase);
        if (value == nullptr || !value->is_object()) {
            continue;
        }
        phases.read_object(phase, [&gate](ObjectReader& overrides) {
            accept_anything(overrides);
            claim_if_plugin(overrides, "runner", gate);
        });
    }
}

void read_ci_gate(ObjectReader& reader, CiGateConfig& out) {
    read_flag(reader, "enabled", out.enabled);
    read_plain_argv(reader, "argv", out.argv);
}

// Desktop notifications belong to the Rust tools; a value they would refuse is refused here too.
void check_notification(ObjectReader& notification) {
    bool flag = false;
    for (const std::string_view key :
         {"enabled", "notify_on_complete", "notify_on_fail", "notify_on_loop_complete",
          "notify_on_watch_new_tasks", "suppress_when_active", "sound_enabled"}) {
        read_flag(notification, key, flag);
    }
    notification.ignore("sound_path");
    static_cast<void>(whole_number(notification, "timeout_ms", 0, any_u32));
}

void check_git_modes(ObjectReader& agent) {
    const auto check = [&agent](std::string_view key, const std::vector<std::string>& choices) {
        std::optional<std::string> mode;
        agent.read(key, mode);
        if (mode) {
            check_choice(agent, key, *mode, choices);
        }
    };
    check("git_revert_mode", {"ask", "enabled", "disabled"});
    check("git_publish_mode", {"off", "commit", "commit_and_push"});
}

}  // namespace

void read_agent(ObjectReader& agent, TrustGate& gate, AgentSettings& out) {
    claim_if_plugin(agent, "runner", gate);
    for (const std::string_view program : {"codex_bin", "opencode_bin", "gemini_bin", "claude_bin",
                                           "cursor_bin", "kimi_bin", "pi_bin", "cursor_sdk_node_bin"}) {
        claim_if_set(agent, program, gate);
    }
    agent.read_object("phase_overrides",
                      [&gate](ObjectReader& phases) { read_phase_overrides(phases, gate); });
    claim_if_set(agent, "ci_gate", gate);
    agent.read_object("ci_gate", [&out](ObjectReader& reader) { read_ci_gate(reader, out.ci_gate); });
    agent.read_object("webhook", [&out](ObjectReader& webhook) {
        read_flag(webhook, "enabled", out.wants_webhook);
        ignore_all(webhook, {"url", "allow_insecure_http", "allow_private_targets", "secret", "events",
                             "timeout_secs", "retry_count", "retry_backoff_ms", "queue_capacity",
                             "parallel_queue_multiplier", "queue_policy"});
    });
    agent.read_object("notification", check_notification);
    agent.read_object("runner_cli", accept_anything);
    agent.read_object("cursor", accept_anything);
    agent.read_object("runner_retry", [](ObjectReader& retry) {
        ignore_all(retry,
                   {"max_attempts", "base_backoff_ms", "multiplier", "max_backoff_ms", "jitter_ratio"});
    });
    std::vector<std::string> instruction_files;
    read_list(agent, "instruction_files", instruction_files);
    check_git_modes(agent);
    static_cast<void>(
        whole_number(agent, "session_timeout_hours", 1, std::numeric_limits<std::uint64_t>::max()));
    ignore_all(agent, {"model", "reasoning_effort", "iterations", "followup_reasoning_effort",
                       "claude_permission_mode", "repoprompt_plan_required", "repoprompt_tool_injection",
                       "phases", "scan_prompt_version"});
}

}  // namespace ralph::config
