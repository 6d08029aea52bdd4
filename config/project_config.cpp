#include "config/project_config.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <limits>
#include <string_view>
#include <utility>

#include "config/allowlist.h"
#include "config/layering.h"
#include "core/queue/task.h"

namespace ralph::config {

using core::JsonFault;
using core::Milliseconds;
using core::ObjectReader;

namespace {

constexpr std::uint64_t any_u32 = std::numeric_limits<std::uint32_t>::max();
// As for every duration (core/base/time.h): a hundred years, so that adding one to an instant cannot
// overflow.
constexpr std::uint64_t longest_wait = std::uint64_t{36'500} * 86'400'000;

void read_queue(ObjectReader& queue, QueueConfig& out) {
    read_name(queue, "file", out.file);
    read_name(queue, "done_file", out.done_file);
    read_name(queue, "id_prefix", out.id_prefix);
    // Ids are compared with the prefix in upper case (contract section 1.4).
    out.id_prefix = core::trimmed(out.id_prefix);
    for (char& c : out.id_prefix) {
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    read_whole(queue, "id_width", 1, 255, out.id_width);
    read_whole(queue, "max_dependency_depth", 1, 100, out.max_dependency_depth);
    if (const auto days = whole_number(queue, "auto_archive_terminal_after_days", 0, 3650)) {
        out.auto_archive_terminal_after_days = static_cast<std::uint32_t>(*days);
    }
    queue.ignore("size_warning_threshold_kb");
    queue.ignore("task_count_warning_threshold");
    queue.read_object("aging_thresholds", [](ObjectReader& thresholds) {
        thresholds.ignore("warning_days");
        thresholds.ignore("stale_days");
        thresholds.ignore("rotten_days");
    });
}

void read_workspace_root(ObjectReader& parallel, std::optional<std::string>& out) {
    if (!is_set(parallel, "workspace_root")) {
        return;
    }
    std::string root;
    read_name(parallel, "workspace_root", root);
    if (("/" + root + "/").find("/../") != std::string::npos) {
        parallel.fail("workspace_root", "must not have a \"..\" component; write the path it leads to");
    }
    out = std::move(root);
}

void read_push_backoff(ObjectReader& parallel, std::vector<Milliseconds>& out) {
    if (!is_set(parallel, "push_backoff_ms")) {
        return;
    }
    const boost::json::array* waits = parallel.find("push_backoff_ms")->if_array();
    if (waits == nullptr) {
        parallel.fail("push_backoff_ms", "must be an array of whole numbers (milliseconds)");
        return;
    }
    out.clear();
    for (const boost::json::value& wait : *waits) {
        boost::system::error_code not_exact;
        const bool whole = wait.is_int64() || wait.is_uint64();
        const auto milliseconds = whole ? wait.to_number<std::uint64_t>(not_exact) : 0;
        if (!whole || not_exact || milliseconds > longest_wait) {
            parallel.fail(fmt::format("push_backoff_ms[{}]", out.size()),
                          fmt::format("must be a whole number from 0 to {} (milliseconds)", longest_wait));
            return;
        }
        out.emplace_back(milliseconds);
    }
}

void read_allowlist(ObjectReader& parallel, TrustGate& gate, std::vector<std::string>& out) {
    constexpr std::string_view key = "ignored_file_allowlist";
    if (claim_if_set(parallel, key, gate)) {
        read_patterns(parallel, key, out);
    }
}

void read_parallel(ObjectReader& parallel, TrustGate& gate, ParallelConfig& out) {
    if (const auto workers = whole_number(parallel, "workers", 2, 255)) {
        out.workers = static_cast<unsigned>(*workers);
    }
    read_workspace_root(parallel, out.workspace_root);
    read_whole(parallel, "max_push_attempts", 0, 255, out.max_push_attempts);
    read_push_backoff(parallel, out.push_backoff);
    read_whole(parallel, "workspace_retention_hours", 0, any_u32, out.workspace_retention_hours);
    read_allowlist(parallel, gate, out.ignored_file_allowlist);
    if (parallel.find("worktree_root") != nullptr) {
        parallel.fail("worktree_root", "is retired; rename it to \"workspace_root\"");
    }
}

void read_plugins(ObjectReader& plugins, TrustGate& gate) {
    for (const std::string& key : plugins.keys()) {
        plugins.ignore(key);
    }
    plugins.read_object("plugins", [&plugins, &gate](ObjectReader& installed) {
        for (const std::string& name : installed.keys()) {
            installed.ignore(name);
            gate.claim(plugins.path_of("plugins"));
        }
    });
}

// Which profile is in force is the worker's business; what a profile sets must be sound and trusted all the
// same.
void check_profiles(ObjectReader& profiles, TrustGate& gate) {
    for (const std::string& name : profiles.keys()) {
        profiles.read_object(name, [&gate](ObjectReader& patch) {
            AgentSettings unused;
            read_agent(patch, gate, unused);
        });
    }
}

void read_root(ObjectReader& root, TrustGate& gate, ProjectConfig& config, AgentSettings& agent) {
    static_cast<void>(whole_number(root, "version", 2, 2));
    root.ignore("project_type");
    root.read_object("queue", [&config](ObjectReader& queue) { read_queue(queue, config.queue); });
    root.read_object("agent", [&gate, &agent](ObjectReader& reader) { read_agent(reader, gate, agent); });
    root.read_object("parallel", [&gate, &config](ObjectReader& parallel) {
        read_parallel(parallel, gate, config.parallel);
    });
    root.read_object("loop", [](ObjectReader& loop) {
        for (const std::string_view key : {"wait_when_empty", "empty_poll_ms", "wait_when_blocked",
                                           "wait_poll_ms", "wait_timeout_seconds", "notify_when_unblocked"}) {
            loop.ignore(key);
        }
    });
    root.read_object("plugins", [&gate](ObjectReader& plugins) { read_plugins(plugins, gate); });
    root.read_object("profiles", [&gate](ObjectReader& profiles) { check_profiles(profiles, gate); });
}

// What only the merged settings can show.
std::optional<JsonFault> combination_fault(const AgentSettings& agent) {
    if (agent.ci_gate.enabled && agent.ci_gate.argv.empty()) {
        return JsonFault{
            "agent.ci_gate.argv",
            "must name a command, such as [\"make\", \"ci\"]; or set agent.ci_gate.enabled to false"};
    }
    return std::nullopt;
}

}  // namespace

core::Result<ProjectConfig> load_project_config(const std::optional<Layer>& global,
                                                const std::optional<Layer>& project, bool trusted,
                                                const ProjectConfig& defaults) {
    const auto layers = open_layers(global, project, trusted, core::DuplicateKeys::last_wins);
    if (layers.has_error()) {
        return layers.error();
    }
    ProjectConfig config = defaults;
    AgentSettings agent;
    agent.ci_gate = defaults.ci_gate;
    for (const OpenLayer& layer : *layers) {
        auto error = read_layer(layer, [&config, &agent](ObjectReader& root, TrustGate& gate) {
            read_root(root, gate, config, agent);
        });
        if (error) {
            return std::move(*error);
        }
    }
    if (const auto fault = combination_fault(agent)) {
        return error_in(*layers, *fault);
    }
    config.ci_gate = std::move(agent.ci_gate);
    config.wants_webhook = agent.wants_webhook;
    return config;
}

}  // namespace ralph::config
