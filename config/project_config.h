// config.jsonc, the settings that are shared with the Rust tools (contract section 3). Their files load here
// unchanged: keys that only they use are accepted, and keys that neither knows are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/agent_section.h"
#include "config/layer.h"
#include "core/base/error.h"
#include "core/base/time.h"

namespace ralph::config {

// Paths are as written: "~" is not expanded, and relative ones start at the repository root.
struct QueueConfig {
    std::string file = ".ralph/queue.jsonc";
    std::string done_file = ".ralph/done.jsonc";
    std::string id_prefix = "RQ";                                   // trimmed and in upper case, not empty
    std::uint32_t id_width = 4;                                     // digits, 1 to 255
    std::uint32_t max_dependency_depth = 10;                        // 1 to 100, deeper only warns
    std::optional<std::uint32_t> auto_archive_terminal_after_days;  // 0 to 3650; unused by parallel runs

    bool operator==(const QueueConfig&) const = default;
};

struct ParallelConfig {
    std::optional<unsigned> workers;  // 2 to 255; unset means that the command line must say
    std::optional<std::string>
        workspace_root;                    // a path as above, without ".."; unset means the default place
    std::uint32_t max_push_attempts = 50;  // 0 to 255; 0 blocks the push at once
    std::vector<core::Milliseconds> push_backoff{
        core::Milliseconds{500}, core::Milliseconds{2'000}, core::Milliseconds{5'000},
        core::Milliseconds{
            10'000}};  // the wait after attempt n, the last one for all later ones; empty: none
    std::uint32_t workspace_retention_hours = 24;     // accepted for the Rust tools' sake, which ignore it
    std::vector<std::string> ignored_file_allowlist;  // as parse_allowlist_entry gives them

    bool operator==(const ParallelConfig&) const = default;
};

struct ProjectConfig {
    QueueConfig queue;
    ParallelConfig parallel;
    CiGateConfig ci_gate;
    bool wants_webhook = false;  // agent.webhook is enabled: nothing of it acts, and that is to be told

    bool operator==(const ProjectConfig&) const = default;
};

// Defaults, overridden by the global layer, overridden by the project layer. Errors name file, line, column
// and key: text that is no JSONC, a wrong type or bound, an unknown key, a project layer that sets a key
// which runs commands while the repository is not `trusted`, and combinations that cannot work.
[[nodiscard]] core::Result<ProjectConfig> load_project_config(const std::optional<Layer>& global,
                                                              const std::optional<Layer>& project,
                                                              bool trusted,
                                                              const ProjectConfig& defaults = {});

}  // namespace ralph::config
