// The settings that a supervisor decided with, for the built-in steps that it starts: a file that is edited
// meanwhile cannot make the two differ. Part of spec.json.
#pragma once

#include <boost/json/object.hpp>

#include "core/base/error.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// Without worker.env and agent.webhook: they may hold secrets, and no built-in step needs them.
[[nodiscard]] boost::json::object snapshot_of(const Settings& settings);

[[nodiscard]] core::Result<Settings> settings_of(const Paths& paths, const boost::json::object& snapshot);

}  // namespace ralph::daemon
