// spending.json: what the agents of a repository have used today, and since this run of ralph began. Every
// agent step adds to it; a lock keeps them apart.
#pragma once

#include <optional>
#include <string>

#include "core/agents/spending.h"
#include "core/base/error.h"
#include "core/base/time.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// Empty if there is none. A file that cannot be understood is an error: what was used is not known then.
[[nodiscard]] Result<core::Spending> read_spending(const Paths& paths);

// Durable when it returns. `run_directory` names the run, with its task; `total` as in core::count_usage.
[[nodiscard]] Result<core::Spending> count_usage(const Paths& paths, const std::string& run_directory,
                                                 const core::Usage& total, core::Instant now);
[[nodiscard]] Result<void> end_counting(const Paths& paths, const std::string& run_directory);

// A run of ralph that began then goes on, or begins.
[[nodiscard]] Result<void> begin_run(const Paths& paths, const std::string& began);
// That run is over; a crash leaves it as it is.
[[nodiscard]] Result<void> end_run(const Paths& paths);

// The budget of the run or the day that is spent, as a pause of all agents. If it is not known what was used,
// and there is such a budget, that is one, too.
[[nodiscard]] std::optional<core::AccountPause> budget_pause(const core::Budgets& budgets,
                                                             const Result<core::Spending>& spending,
                                                             core::Instant now);

}  // namespace ralph::daemon
