// The processes below this one.
#pragma once

#include <sys/types.h>

#include <vector>

namespace ralph::shim {

// The children of a process, of all its threads.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);

// Signals every descendant, each through a pidfd that was opened while the process was listed as a child of
// one that is in the tree: a number that was recycled meanwhile is not in that list any more.
void signal_descendants(int signal);

}  // namespace ralph::shim
