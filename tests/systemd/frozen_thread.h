// Stops one thread of a process, and no other, by tracing it.
#pragma once

#include <sys/types.h>

namespace ralph::tests {

class FrozenThread {
  public:
    explicit FrozenThread(pid_t thread);
    ~FrozenThread();
    FrozenThread(const FrozenThread&) = delete;
    FrozenThread& operator=(const FrozenThread&) = delete;

    // Its process is being ended: as its tracer we are the first who has to take note, lest its parent waits.
    void let_die();

  private:
    pid_t thread_;
};

}  // namespace ralph::tests
