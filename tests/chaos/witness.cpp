#include "tests/chaos/witness.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "daemon/os/identity.h"
#include "tests/chaos/clock.h"

namespace ralph::chaos {
namespace {

constexpr int could_not_probe = 99;
constexpr unsigned lock_patience_seconds = 10;

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// One write to a file that is only appended to: lines of several processes do not mix.
bool append(const std::string& path, const std::string& line) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const bool written =
        file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (file >= 0) {
        ::close(file);
    }
    return written;
}

struct Self {
    std::string ledger;
    std::string task = variable("RALPH_TASK_ID");
    std::string run_id = variable("RALPH_RUN_ID");
    std::string attempt = variable("RALPH_ATTEMPT");

    [[nodiscard]] bool tell(const std::string& what, int status) const {
        return append(ledger,
                      fmt::format("{} {} {} {} {} {} {} {}\n", what, task, run_id, attempt, ::getpid(),
                                  daemon::start_ticks(::getpid()).value_or(0), boot_clock(), status));
    }
};

bool has_line(const std::string& environment, const std::string& variable_text) {
    const std::string end(1, '\0');
    return (end + environment).find(end + variable_text + end) != std::string::npos;
}

// A process that is past its end has no environment any more, though it may hold its files for a moment yet.
bool another_run_lives(const Self& self) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        std::ifstream file(entry.path() / "environ", std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        if (has_line(text, "RALPH_TASK_ID=" + self.task) && !has_line(text, "RALPH_RUN_ID=" + self.run_id)) {
            return true;
        }
    }
    return false;
}

// The descriptor is kept open, and is inherited, on purpose.
bool lock(const Self& self, const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (file < 0) {
        return false;
    }
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    bool overlaps = another_run_lives(self);
    if (!overlaps) {
        // Whoever holds it is ending. The alarm interrupts the wait should that not be true.
        struct sigaction wake {};
        wake.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &wake, nullptr);
        ::alarm(lock_patience_seconds);
        overlaps = ::flock(file, LOCK_EX) != 0;
        ::alarm(0);
    }
    return !overlaps || self.tell("overlap", 0);
}

}  // namespace

int witness(const char* folder, char** command) {
    const Self self{std::string(folder) + "/ledger"};
    if (self.task.empty() || self.run_id.empty() || *command == nullptr ||
        !lock(self, fmt::format("{}/{}.lock", folder, self.task)) || !self.tell("begin", 0)) {
        return could_not_probe;
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::execvp(command[0], command);
        ::_exit(could_not_probe);
    }
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0) {
        return could_not_probe;
    }
    const int told = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return self.tell("end", told) ? told : could_not_probe;
}

int stranger(const char* file) {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    const int signals = ::signalfd(-1, &all, SFD_CLOEXEC);
    while (signals >= 0) {
        std::array<pollfd, 2> waits{{{signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), -1) < 0) {
            break;
        }
        signalfd_siginfo info{};
        if (waits[0].revents != 0 &&
            ::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            append(file, fmt::format("signal {} from {}\n", info.ssi_signo, info.ssi_pid));
        }
        if (waits[1].revents != 0) {
            return 0;
        }
    }
    return could_not_probe;
}

}  // namespace ralph::chaos
