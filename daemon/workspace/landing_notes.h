// What the merge queue notes of a task in its own git folder, for those that ask whether the task's work has
// landed.
#pragma once

#include <string>
#include <string_view>

#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

inline constexpr std::string_view integration_workspace_name = ".integration";
inline constexpr std::string_view work_prefix = "refs/ralph/work/";
inline constexpr std::string_view landing_prefix = "refs/ralph/landing/";

// HEAD of the task's workspace when its work was last taken over.
[[nodiscard]] std::string work_ref(std::string_view task_id);
// What became of that in the candidate that was pushed last.
[[nodiscard]] std::string landing_ref(std::string_view task_id);

// "lane.git" of ".integration", "lane-2.git" of ".integration-2".
[[nodiscard]] std::string integration_git_name(std::string_view workspace_name);

// The git of the integration workspace called so.
[[nodiscard]] Git integration_git(const Settings& settings,
                                  std::string_view name = integration_workspace_name);

}  // namespace ralph::daemon
