// The parallel state: one record per task, exactly what state.json v3 holds (contract section 6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/supervisor/lifecycle.h"

namespace ralph::core {

inline constexpr std::uint32_t state_schema_version = 3;

struct WorkerRecord {
    std::string task_id;
    std::string workspace_path;
    Lifecycle lifecycle = Lifecycle::running;
    std::string started_at;  // as read; a record of ours holds format_rfc3339's form
    std::optional<std::string> completed_at;
    std::uint32_t push_attempts = 0;
    std::optional<std::string> last_error;

    [[nodiscard]] bool is_terminal() const { return core::is_terminal(lifecycle); }

    void
    mark_running();  // clears last_error; keeps completed_at and push_attempts, as the Rust tools' retry does
    void mark_integrating();
    void mark_completed(Instant now);  // clears last_error
    void mark_failed(Instant now, std::string error);
    void mark_blocked_push(Instant now, std::string error);
    void count_push_attempt();  // saturates

    bool operator==(const WorkerRecord&) const = default;
};

struct ParallelState {
    std::uint32_t schema_version = state_schema_version;
    std::string started_at;
    std::string target_branch;
    std::vector<WorkerRecord> workers;

    // Where several records carry one task id (possible in files of others), all of these act on the first.
    void upsert(WorkerRecord record);
    bool remove(std::string_view task_id);  // whether there was one
    [[nodiscard]] const WorkerRecord* find(std::string_view task_id) const;
    [[nodiscard]] WorkerRecord* find(std::string_view task_id);
    [[nodiscard]] bool has(std::string_view task_id) const { return find(task_id) != nullptr; }
    [[nodiscard]] std::vector<const WorkerRecord*> by_lifecycle(Lifecycle lifecycle) const;
    [[nodiscard]] std::size_t count(Lifecycle lifecycle) const;
    [[nodiscard]] std::size_t active_count() const;  // running and integrating
    [[nodiscard]] std::size_t blocked_count() const { return count(Lifecycle::blocked_push); }

    bool operator==(const ParallelState&) const = default;
};

}  // namespace ralph::core
