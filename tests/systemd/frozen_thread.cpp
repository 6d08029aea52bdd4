#include "tests/systemd/frozen_thread.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <stdexcept>
#include <utility>

namespace ralph::tests {

FrozenThread::FrozenThread(pid_t thread) : thread_(thread) {
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0 ||
        ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0 ||
        ::waitpid(thread, nullptr, __WALL) != thread) {
        throw std::runtime_error("cannot stop a thread");
    }
}

FrozenThread::~FrozenThread() {
    if (thread_ > 0) {
        ::ptrace(PTRACE_DETACH, thread_, nullptr, nullptr);
    }
}

void FrozenThread::let_die() {
    int status = 0;
    while (::waitpid(thread_, &status, __WALL) == thread_ && !WIFEXITED(status) && !WIFSIGNALED(status)) {
        ::ptrace(PTRACE_CONT, thread_, nullptr, WIFSTOPPED(status) ? WSTOPSIG(status) : 0);
    }
    thread_ = -1;
}

}  // namespace ralph::tests
