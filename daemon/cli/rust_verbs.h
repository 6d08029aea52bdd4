// What the commands of rust_commands.h do, where no other command does it. Each returns the exit code.
#pragma once

#include <functional>
#include <string>

#include "core/queue/task.h"
#include "daemon/cli/rust_commands.h"

namespace ralph::daemon {

[[nodiscard]] int show_next(const CommonArguments& common);
[[nodiscard]] int show_next_id(const CommonArguments& common);
[[nodiscard]] int search_queue(const CommonArguments& common, const std::string& text);
[[nodiscard]] int explain_queue(const CommonArguments& common);
[[nodiscard]] int count_tasks(const CommonArguments& common);
[[nodiscard]] int unlock_queue(const CommonArguments& common, bool dry_run);
[[nodiscard]] int show_settings(const CommonArguments& common);
[[nodiscard]] int show_paths(const CommonArguments& common);
[[nodiscard]] int show_supervisor(const CommonArguments& common);
[[nodiscard]] int show_system(const std::string& version);
[[nodiscard]] int print_completions(const std::string& shell);
[[nodiscard]] int change_one(const CommonArguments& common, const RustArguments& arguments,
                             const std::string& verb,
                             const std::function<core::Result<void>(core::Task&)>& change);
[[nodiscard]] int set_task_status(const CommonArguments& common, const RustArguments& arguments,
                                  const std::string& text);
[[nodiscard]] int relate_tasks(const CommonArguments& common, const RustArguments& arguments);
[[nodiscard]] int clone_task(const CommonArguments& common, const RustArguments& arguments);
[[nodiscard]] int archive_done(const CommonArguments& common, bool no_push);
[[nodiscard]] int sort_queue(const CommonArguments& common, bool no_push);

}  // namespace ralph::daemon
