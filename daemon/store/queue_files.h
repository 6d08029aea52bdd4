// Queue and done file of a repository, as they are on the disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/queue/task.h"
#include "core/supervisor/supervisor.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

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
[[nodiscard]] core::Result<LoadedQueue> parse_queue(const Settings& settings, QueueTexts texts);

// One of the two files, not validated against the other. A missing file is an error unless
// `missing_is_empty`.
[[nodiscard]] core::Result<core::TaskFile> load_task_file(const std::string& path, bool missing_is_empty);

}  // namespace ralph::daemon
