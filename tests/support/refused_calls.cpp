#include "tests/support/refused_calls.h"

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ralph::tests {
namespace {

constexpr int status_without_filter = 100;

sock_filter load(std::size_t offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter refuse(int error) {
    return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error));
}
// The next one only if the loaded number is this.
sock_filter only_if(long number) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1);
}
sock_filter allow() {
    return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

void install(std::vector<sock_filter> program) {
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        ::_exit(status_without_filter);
    }
}

// clone() with none of these flags. Its first argument is the flags on all machines of Debian's but s390; of
// clone3(), whose flags lie in memory, callers are told that there is none.
void refuse_clones_without(std::uint32_t flags) {
    std::vector<sock_filter> program{load(offsetof(seccomp_data, nr)), only_if(SYS_clone3), refuse(ENOSYS)};
#ifdef SYS_fork
    program.insert(program.end(), {only_if(SYS_fork), refuse(EAGAIN)});
#endif
#ifdef SYS_vfork
    if ((flags & CLONE_VM) == 0) {
        program.insert(program.end(), {only_if(SYS_vfork), refuse(EAGAIN)});
    }
#endif
    program.insert(program.end(),
                   {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3), load(offsetof(seccomp_data, args)),
                    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 1, 0), refuse(EAGAIN), allow()});
    install(std::move(program));
}

}  // namespace

void refuse_call(long number, int error) {
    install({load(offsetof(seccomp_data, nr)), only_if(number), refuse(error), allow()});
}

void refuse_processes() {
    refuse_clones_without(CLONE_THREAD);
}

void refuse_forks() {
    refuse_clones_without(CLONE_VM | CLONE_THREAD);
}

int status_in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::_exit(body());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

}  // namespace ralph::tests
