// A kernel that refuses some system calls. A filter stays with its process and all its children, so that a
// child of the test is its only victim.
#pragma once

#include <functional>

namespace ralph::tests {

// Called in the child: from then on the kernel refuses these.
void refuse_call(long number, int error);
// Every new process, as where a user may have no more of them. Threads are none.
void refuse_processes();
// Those that begin as a copy of their parent: posix_spawn() still works.
void refuse_forks();

// What `body` returns in a child of this process, in which it may refuse anything.
[[nodiscard]] int status_in_child(const std::function<int()>& body);

}  // namespace ralph::tests
