// One life of a supervisor: locks, recovery, and the runtime until it has finished.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/supervisor/supervisor.h"
#include "daemon/service/service_manager.h"
#include "daemon/store/settings.h"
#include "daemon/supervisor/launch_builder.h"

namespace ralph::daemon {

struct Supervision {
    Settings settings;
    Executables executables;
    std::string branch;                       // where work is landed
    bool live_table = true;                   // on a terminal
    std::shared_ptr<ServiceManager> service;  // that has started us, or null
    // What the command line makes of the settings; called when they count from now on, again after a reload.
    std::function<core::SupervisorSettings(const Settings&)> take_settings;
    // Before anything is started, and under the locks: the place of the workspaces is ours, or an error.
    std::function<Result<void>(const Settings&)> claim_place = {};
    bool tells = false;  // what it does and waits for, in live.json
    // Is shown its memory after each decision that was acted upon.
    std::function<void(const core::Supervisor&)> observe = {};
};

// Returns the exit code of `ralph run`, or why it could not begin.
[[nodiscard]] Result<int> supervise(Supervision supervision);

}  // namespace ralph::daemon
