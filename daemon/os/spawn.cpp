#include "daemon/os/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "core/base/check.h"

namespace ralph::daemon {
namespace {

struct Actions {
    Actions() { CHECK(posix_spawn_file_actions_init(&value) == 0); }
    ~Actions() { posix_spawn_file_actions_destroy(&value); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    posix_spawn_file_actions_t value{};
};

struct Attributes {
    Attributes() { CHECK(posix_spawnattr_init(&value) == 0); }
    ~Attributes() { posix_spawnattr_destroy(&value); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    posix_spawnattr_t value{};
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& text : strings) {
        result.push_back(const_cast<char*>(text.c_str()));  // posix_spawn does not write to them
    }
    result.push_back(nullptr);
    return result;
}

}  // namespace

int reap(const Child& child) {
    int status = 0;
    while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

Result<Child> spawn(const SpawnRequest& request) {
    // Moved above all targets first, so that no target number of one pair is the source of another.
    std::vector<FileDescriptor> moved;
    const int above = 3 + static_cast<int>(request.descriptors.size());
    for (const auto& [ours, target] : request.descriptors) {
        moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, above));
        if (!moved.back()) {
            return system_error("duplicate a descriptor", request.program, errno);
        }
    }
    Actions actions;
    if (!request.shares_terminal) {
        CHECK(posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0) == 0);
        CHECK(posix_spawn_file_actions_addopen(&actions.value, 1, "/dev/null", O_WRONLY, 0) == 0);
        // Not ours: a child that outlives us must not keep the pipe of our log open.
        CHECK(posix_spawn_file_actions_addopen(&actions.value, 2, "/dev/null", O_WRONLY, 0) == 0);
    }
    int next = 3;
    for (std::size_t i = 0; i < moved.size(); ++i) {
        CHECK(request.descriptors[i].second == next);
        CHECK(posix_spawn_file_actions_adddup2(&actions.value, moved[i].get(), next) == 0);
        ++next;
    }
    CHECK(posix_spawn_file_actions_addclosefrom_np(&actions.value, next) == 0);

    Attributes attributes;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    const int session = request.shares_terminal ? 0 : POSIX_SPAWN_SETSID;
    CHECK(posix_spawnattr_setflags(&attributes.value, static_cast<short>(session | POSIX_SPAWN_SETSIGMASK |
                                                                         POSIX_SPAWN_SETSIGDEF)) == 0);
    CHECK(posix_spawnattr_setsigmask(&attributes.value, &none) == 0);
    CHECK(posix_spawnattr_setsigdefault(&attributes.value, &all) == 0);

    std::vector<std::string> arguments{request.program};
    arguments.insert(arguments.end(), request.arguments.begin(), request.arguments.end());
    Child child;
    const int error = posix_spawn(&child.pid, request.program.c_str(), &actions.value, &attributes.value,
                                  pointers(arguments).data(), pointers(request.environment).data());
    if (error != 0) {
        return system_error("start", request.program, error);
    }
    // Our unreaped child: its number cannot have been used again.
    child.pidfd = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
    if (!child.pidfd) {
        const int reason = errno;
        static_cast<void>(::kill(child.pid, SIGKILL));
        static_cast<void>(::waitpid(child.pid, nullptr, 0));
        return system_error("open a pidfd of", request.program, reason);
    }
    return child;
}

}  // namespace ralph::daemon
