// Who is that process? A pid is only a number that is used again; with the start time and the boot it is a
// name.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "core/base/process_identity.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"

namespace ralph::daemon {

// Of this boot, from the kernel; empty where the kernel does not tell.
[[nodiscard]] std::string boot_id();

// Field 22 of /proc/<pid>/stat, in clock ticks since the boot; nothing if there is no such process.
[[nodiscard]] std::optional<std::uint64_t> start_ticks(pid_t pid);

[[nodiscard]] core::ProcessIdentity own_identity();
[[nodiscard]] pid_t own_pid();
// Whether any process has that number and is not dead already: only ever a reason to believe that its former
// bearer is gone.
[[nodiscard]] bool process_exists(pid_t pid);

// A pidfd of exactly that process, or nothing if it is gone. The pidfd is opened first and the start time
// compared after that: a number that was recycled in between shows another start time.
[[nodiscard]] std::optional<FileDescriptor> open_process(const core::ProcessIdentity& identity);

// Signals the process behind the pidfd; false if it is gone.
bool signal_process(const FileDescriptor& pidfd, int signal);

// Ends, with SIGKILL, every process whose environment carries RALPH_RUN_ID=run_id, until none is left: what
// remains of the tree of a run whose shim is gone. Each is signalled through a pidfd whose environment was
// read after it was opened. Returns how many were signalled; an error if some are still there after
// `patience_milliseconds`.
[[nodiscard]] Result<std::size_t> end_orphaned_tree(const std::string& run_id, int patience_milliseconds);

}  // namespace ralph::daemon
