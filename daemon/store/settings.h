// Reads the settings of a repository: trust, config.jsonc and supervisor.jsonc, each from its layers.
#pragma once

#include <optional>
#include <string>

#include "config/project_config.h"
#include "config/supervisor_config.h"
#include "core/base/error.h"
#include "core/queue/queue_validation.h"
#include "core/supervisor/supervisor.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct Settings {
    Paths paths;
    bool trusted = false;
    std::string trust_refusal;  // why .ralph/trust.jsonc counts for nothing although it allows; else empty
    config::ProjectConfig project;
    config::SupervisorConfig supervisor;
    std::string queue_file;      // absolute, inside the repository
    std::string done_file;       // absolute, inside the repository
    std::string queue_relative;  // the same, relative to the root
    std::string done_relative;
    std::string workspace_root;  // absolute

    [[nodiscard]] core::QueueRules queue_rules() const {
        return {project.queue.id_prefix, project.queue.id_width, project.queue.max_dependency_depth};
    }
    [[nodiscard]] std::string workspace(std::string_view task_id) const {
        return workspace_root + "/" + std::string(task_id);
    }
};

// The root of the repository around `start`: the nearest folder upwards that has .ralph with a queue, config
// or done file in it, or .git (contract section 3.1).
[[nodiscard]] core::Result<std::string> find_repository(const std::string& start);

// `root` as found by find_repository. Asks git whether trust is this user's own (daemon/git/trust.cpp).
[[nodiscard]] core::Result<Settings> load_settings(const std::string& root);

// The parts: what .ralph/trust.jsonc says by itself, and the settings of a repository that is trusted or not.
[[nodiscard]] core::Result<bool> trust_file_allows(const Paths& paths);
[[nodiscard]] core::Result<Settings> read_settings(const Paths& paths, bool trusted);

// The same while a supervisor runs, which starts no git: a repository that was not trusted at its start is
// not trusted before the next one, whatever has come into it meanwhile. Trust that is taken back is lost at
// once.
[[nodiscard]] core::Result<Settings> reload_settings(const Settings& before);

// Reads and validates queue and done. A missing done file is an empty archive; warnings are returned beside.
struct LoadedQueue {
    core::QueueSnapshot snapshot;
    std::vector<std::string> warnings;
};
[[nodiscard]] core::Result<LoadedQueue> load_queue(const Settings& settings);

// The same in two parts, for those who must tell files that cannot be read from files that are wrong.
struct QueueTexts {
    std::string queue;
    std::optional<std::string> done;
};
[[nodiscard]] core::Result<QueueTexts> read_queue(const Settings& settings);
[[nodiscard]] core::Result<LoadedQueue> understand_queue(const Settings& settings, QueueTexts texts);

// One of the two files, not validated against the other. A missing file is an error unless
// `missing_is_empty`.
[[nodiscard]] core::Result<core::TaskFile> load_task_file(const std::string& path, bool missing_is_empty);

}  // namespace ralph::daemon
