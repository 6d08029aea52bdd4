// What `ralph run parallel status` says (contract section 11), from the facts: pure, for tests.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/agents/account.h"
#include "core/agents/agent_record.h"
#include "core/supervisor/state.h"
#include "core/supervisor/supervisor.h"
#include "daemon/landing/landing_progress.h"
#include "daemon/store/live_view.h"

namespace ralph::daemon {

struct RetainedWorkspace {
    std::string task_id;
    std::string path;
    std::string marker;  // "n/m", "unreadable" or "missing"
};

// What a task's agents have said and used, all runs together.
struct AgentSummary {
    std::string task_id;
    core::AgentRecord last;
    core::Usage usage;
    std::uint32_t runs = 0;
};

// Seen on disk when the status was asked for.
struct StatusFacts {
    std::optional<core::ParallelState> state;
    std::optional<std::string> living_supervisor;  // "pid 123 since ..."
    std::vector<RetainedWorkspace> retained;       // of failed and blocked tasks
    std::vector<std::string> drift;                // what a next start will clean up
    std::vector<std::string> retries;              // tasks that were asked to run again
    std::optional<LandingView> lane;               // the integrate run that is under way
    std::optional<core::HostPressure> pressure;    // that holds back workers
    std::vector<core::AccountPause> paused_accounts;
    std::vector<AgentSummary> agents;  // of the tasks that an agent has worked on
    core::Usage used_in_run;  // by all of them, since the run of ralph began that goes on or was last
    core::Usage used_today;
    Paths paths;
    std::optional<LiveView> live;   // of the supervisor that lives
    std::vector<core::Hold> holds;  // what it says that stops the work, and what else does
    core::Instant now = {};
};

// Document version 3, the keys in the contract's order.
[[nodiscard]] boost::json::object status_document(const StatusFacts& facts);

// The same for people; ends with a line end.
[[nodiscard]] std::string status_text(const StatusFacts& facts);

}  // namespace ralph::daemon
