// Reads the settings of a repository: trust, config.jsonc and supervisor.jsonc, each from its layers.
#pragma once

#include <optional>
#include <string>

#include "config/layer.h"
#include "config/project_config.h"
#include "config/supervisor_config.h"
#include "core/base/error.h"
#include "core/queue/queue_validation.h"
#include "core/supervisor/supervisor.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Those that are there.
struct SettingsFiles {
    std::optional<config::Layer> global_project;
    std::optional<config::Layer> project;
    std::optional<config::Layer> global_supervisor;
    std::optional<config::Layer> supervisor;
};

struct Settings {
    Paths paths;
    SettingsFiles files;  // that all of it comes from
    bool trusted = false;
    std::string trust_refusal;  // why .ralph/trust.jsonc counts for nothing although it allows; else empty
    config::ProjectConfig project;
    config::SupervisorConfig supervisor;
    std::string queue_file;      // absolute, inside the repository
    std::string done_file;       // absolute, inside the repository
    std::string queue_relative;  // the same, relative to the root
    std::string done_relative;
    std::string workspace_root;   // absolute
    std::string accounts_folder;  // absolute: what all repositories of the user know of accounts

    [[nodiscard]] core::QueueRules queue_rules() const {
        return {project.queue.id_prefix, project.queue.id_width, project.queue.max_dependency_depth};
    }
    [[nodiscard]] core::HostLimits host_limits() const {
        return {supervisor.host.memory, supervisor.host.disk, supervisor.host.stall_percent};
    }
    [[nodiscard]] std::string workspace(std::string_view task_id) const {
        return workspace_root + "/" + std::string(task_id);
    }
};

// The root of the repository around `start`: the nearest folder upwards that has .ralph with a queue, config
// or done file in it, or .git (contract section 3.1).
[[nodiscard]] core::Result<std::string> find_repository(const std::string& start);

// What .ralph/trust.jsonc says by itself; whether that counts is asked of daemon/git/trust.h.
[[nodiscard]] core::Result<bool> trust_file_allows(const Paths& paths);
// The settings of a repository that is trusted or not, from its files, or from what was read of them before.
[[nodiscard]] core::Result<Settings> read_settings(const Paths& paths, bool trusted);
[[nodiscard]] core::Result<Settings> make_settings(const Paths& paths, bool trusted, SettingsFiles files);

// The same while a supervisor runs, which starts no git: a repository that was not trusted at its start is
// not trusted before the next one, whatever has come into it meanwhile. Trust that is taken back is lost at
// once.
[[nodiscard]] core::Result<Settings> reload_settings(const Settings& before);

}  // namespace ralph::daemon
