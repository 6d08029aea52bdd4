// Starting a child of the supervisor. posix_spawn is used because it runs no code of ours between fork and
// exec and costs the same however large the parent is.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"

namespace ralph::daemon {

struct SpawnRequest {
    std::string program;                   // absolute path
    std::vector<std::string> arguments;    // without argv[0]
    std::vector<std::string> environment;  // "NAME=value", complete
    std::vector<std::pair<int, int>>
        descriptors;               // (ours, the child's), the child's from 3 upwards without gaps
    bool shares_terminal = false;  // our session, input, output and error instead of its own and none
};

struct Child {
    pid_t pid = -1;
    FileDescriptor pidfd;
};

// Waits for its end, and takes it: how it ended, as waitpid(2) says it.
int reap(const Child& child);

// The child is in a session of its own, has /dev/null as its standard input, output and error (unless it
// shares our terminal), no signal blocked or ignored, and no descriptor but the given ones. A program that
// cannot be executed is an error here.
[[nodiscard]] Result<Child> spawn(const SpawnRequest& request);

}  // namespace ralph::daemon
