// Where everything of a repository lies.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/supervisor/run_record.h"

namespace ralph::daemon {

inline constexpr std::string_view stop_now = "now";

// Both of the Rust tools' folders (contract section 14.2): a repository has one of them, and that of cueloop
// is used as the other one is.
inline constexpr std::string_view ralph_folder = ".ralph";
inline constexpr std::string_view cueloop_folder = ".cueloop";

struct Paths {
    std::string root;                  // absolute, without a slash at the end
    std::string folder{ralph_folder};  // below it

    [[nodiscard]] std::string ralph() const { return root + "/" + folder; }
    [[nodiscard]] std::string config() const { return ralph() + "/config.jsonc"; }
    [[nodiscard]] std::string supervisor_config() const { return ralph() + "/supervisor.jsonc"; }
    [[nodiscard]] std::string trust() const { return ralph() + "/trust.jsonc"; }
    [[nodiscard]] std::string queue_lock() const { return ralph() + "/lock"; }
    [[nodiscard]] std::string cache() const { return ralph() + "/cache"; }
    // What asks to drain; to end at once if it begins with the word below.
    [[nodiscard]] std::string stop_file() const { return cache() + "/stop_requested"; }
    [[nodiscard]] std::string parallel() const { return cache() + "/parallel"; }
    [[nodiscard]] std::string state() const { return parallel() + "/state.json"; }
    [[nodiscard]] std::string previous_state() const { return parallel() + "/state.prev.json"; }
    [[nodiscard]] std::string supervisor_lock() const { return parallel() + "/supervisor.lock"; }
    // The repository itself, or the file that leads to it.
    [[nodiscard]] std::string git() const { return root + "/.git"; }
    // Held for the moments in which the repository's own checkout, queue or done file is changed.
    [[nodiscard]] std::string repository_lock() const { return parallel() + "/repository.lock"; }
    // There while the checkout is on its way from one commit to another.
    [[nodiscard]] std::string checkout_move() const { return parallel() + "/checkout.json"; }
    // What is to be told of commits that were taken off the target by force, until somebody has seen it.
    [[nodiscard]] std::string rewritten_target() const { return parallel() + "/target-rewritten"; }
    // What was seen of the remote last (daemon/store/remote_view.h), and what asks to look at once.
    [[nodiscard]] std::string remote_view() const { return parallel() + "/remote.json"; }
    [[nodiscard]] std::string look_request() const { return cache() + "/look_requested"; }
    // What the supervisor that runs does and waits for (daemon/store/live_view.h).
    [[nodiscard]] std::string live_view() const { return parallel() + "/live.json"; }
    // When the session's supervisors began, one a line (daemon/store/holds.h).
    [[nodiscard]] std::string starts() const { return parallel() + "/starts"; }
    // Held by a running integrate step.
    [[nodiscard]] std::string integrate_lock() const { return parallel() + "/integrate.lock"; }
    [[nodiscard]] std::string events() const { return parallel() + "/events.jsonl"; }
    // What agents have used (daemon/store/spending.h), and what is held while that is changed.
    [[nodiscard]] std::string spending() const { return parallel() + "/spending.json"; }
    [[nodiscard]] std::string spending_lock() const { return parallel() + "/spending.lock"; }
    [[nodiscard]] std::string retry_requests() const { return parallel() + "/retry-requests"; }
    [[nodiscard]] std::string cancel_requests() const { return parallel() + "/cancel-requests"; }
    // What a person asks of all tasks (daemon/store/steering.h), and what is held while that is changed.
    [[nodiscard]] std::string steering() const { return cache() + "/steering.json"; }
    [[nodiscard]] std::string steering_lock() const { return parallel() + "/steering.lock"; }
    // Since when what is kept of one kind has seemed to be kept for long enough.
    [[nodiscard]] std::string expired(std::string_view kind) const {
        return parallel() + "/expired-" + std::string(kind) + ".json";
    }
    [[nodiscard]] std::string runs() const { return parallel() + "/runs"; }
    [[nodiscard]] std::string runs_of(std::string_view task_id) const {
        return runs() + "/" + std::string(task_id);
    }
    [[nodiscard]] std::string task_file(std::string_view task_id) const {
        return runs_of(task_id) + "/task.json";
    }
    [[nodiscard]] std::string acknowledged(std::string_view task_id) const {
        return runs_of(task_id) + "/settled";
    }
    [[nodiscard]] std::string run(std::string_view task_id, const core::Run& run) const {
        return runs_of(task_id) + "/" + core::run_directory_name(run);
    }
    [[nodiscard]] std::string logs() const { return ralph() + "/logs/parallel"; }
    [[nodiscard]] std::string gate_logs() const { return logs() + "/gates"; }
    // Which candidates have passed their gates lately.
    [[nodiscard]] std::string green_gates() const { return parallel() + "/green_gates"; }
    // A workspace, which has the folder of its repository.
    [[nodiscard]] Paths in(const std::string& workspace) const { return {workspace, folder}; }
    // Inside a workspace (contract section 8.4).
    [[nodiscard]] std::string block_marker() const { return parallel() + "/blocked_push.json"; }
    [[nodiscard]] std::string handoffs(std::string_view task_id) const {
        return parallel() + "/handoffs/" + std::string(task_id);
    }
    // Where a planning phase leaves its plan, as with the Rust tools.
    [[nodiscard]] std::string plan(std::string_view task_id) const {
        return cache() + "/plans/" + std::string(task_id) + ".md";
    }
    [[nodiscard]] std::string followups(std::string_view task_id) const {
        return cache() + "/followups/" + std::string(task_id) + ".json";
    }
    // Of one of these, below the root.
    [[nodiscard]] std::string relative(const std::string& path) const { return path.substr(root.size() + 1); }

    [[nodiscard]] std::string log(std::string_view task_id) const {
        return logs() + "/" + std::string(task_id) + ".log";
    }
};

// cueloop's folder if it is there and the other one is not. An error: what cannot be asked for is not known.
[[nodiscard]] core::Result<Paths> paths_of(const std::string& root);

}  // namespace ralph::daemon
