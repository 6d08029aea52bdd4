// The file in a workspace by which a step tells that, and why, its task is blocked (the Rust tools know it).
#pragma once

#include <optional>
#include <string>

#include "core/supervisor/run_record.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// All of a workspace (Paths::in). The block marker that the worker left in the workspace, if it is one: what
// cannot be understood is none, nor is a link, or what lies behind one, or anything else that a worker can
// make but a plain file. A file that the disk does not give is an error.
[[nodiscard]] Result<std::optional<core::BlockMarker>> read_marker(const Paths& workspace);
[[nodiscard]] Result<void> write_marker(const Paths& workspace, const core::BlockMarker& marker);
// Durably. Missing is success.
[[nodiscard]] Result<void> remove_marker(const Paths& workspace);

}  // namespace ralph::daemon
