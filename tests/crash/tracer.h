// Kills a process of ralph at its n-th system call that writes.
//
// The command and all its descendants are traced with ptrace. Each is given a role by the program it
// executes: the supervisor, a shim, or the program of one step. Before the n-th call of the write class by a
// process of the wanted role that process is killed, as a whole; then all others are let go and run on, and
// the command's own end is awaited. Or all of them are killed at that moment.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace ralph::tests {

enum class Role { supervisor, shim, integrate, prepare, other, any };
enum class Victims { one, all };

struct Traced {
    bool killed = false;      // the n-th call was reached
    std::string call;         // its name, for messages
    int calls_seen = 0;       // of the role
    std::optional<int> exit;  // of the command: its exit status, or 1000 + signal
};

// `arguments[0]` is the program. Standard error of the command goes to `log`. With n = 0 nothing is killed
// and the calls are counted.
[[nodiscard]] Traced run_and_kill(const std::vector<std::string>& arguments,
                                  const std::vector<std::string>& environment, const std::string& directory,
                                  const std::string& log, Role role, int n, Victims victims = Victims::one);

}  // namespace ralph::tests
