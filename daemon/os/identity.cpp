#include "daemon/os/identity.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "daemon/os/wait.h"

namespace ralph::daemon {
namespace {

FileDescriptor open_pidfd(pid_t pid) {
    return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

std::string read_proc(pid_t pid, const char* name) {
    const auto text = read_file(fmt::format("/proc/{}/{}", pid, name), 4ULL << 20);
    return text && *text ? **text : std::string{};
}

bool carries(pid_t pid, const std::string& variable) {
    const std::string environment = read_proc(pid, "environ");
    std::size_t at = 0;
    while (at < environment.size()) {
        const std::size_t end = std::min(environment.find('\0', at), environment.size());
        if (environment.compare(at, end - at, variable) == 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

std::vector<FileDescriptor> processes_with(const std::string& variable) {
    std::vector<FileDescriptor> found;
    const auto names = list_directory("/proc");
    if (!names) {
        return found;
    }
    for (const std::string& name : *names) {
        pid_t pid = 0;
        const auto [rest, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (problem != std::errc{} || rest != name.data() + name.size() || pid == ::getpid()) {
            continue;
        }
        FileDescriptor pidfd = open_pidfd(pid);
        if (pidfd && carries(pid, variable)) {
            found.push_back(std::move(pidfd));
        }
    }
    return found;
}

}  // namespace

std::string boot_id() {
    const auto text = read_file("/proc/sys/kernel/random/boot_id", 256);
    std::string id = text && *text ? **text : std::string{};
    while (!id.empty() && id.back() == '\n') {
        id.pop_back();
    }
    return id;
}

std::optional<std::uint64_t> start_ticks(pid_t pid) {
    const std::string stat = read_proc(pid, "stat");
    // The command name in parentheses may hold anything, so counting starts at its last ')'.
    std::size_t at = stat.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) {
        at = stat.find(' ', at + 1);
    }
    if (at == std::string::npos) {
        return std::nullopt;
    }
    std::uint64_t ticks = 0;
    const auto [rest, problem] = std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks);
    return problem == std::errc{} ? std::optional(ticks) : std::nullopt;
}

core::ProcessIdentity own_identity() {
    return core::ProcessIdentity{::getpid(), start_ticks(::getpid()).value_or(0), boot_id()};
}

pid_t own_pid() {
    return ::getpid();
}

bool process_exists(pid_t pid) {
    if (::kill(pid, 0) != 0 && errno == ESRCH) {
        return false;
    }
    // Killed, and not reaped yet by its parent: it holds nothing and does nothing any more.
    const std::string stat = read_proc(pid, "stat");
    const std::size_t state = stat.rfind(") ");
    return state == std::string::npos || (stat[state + 2] != 'Z' && stat[state + 2] != 'X');
}

std::optional<FileDescriptor> open_process(const core::ProcessIdentity& identity) {
    if (identity.pid <= 0 || identity.boot_id != boot_id()) {
        return std::nullopt;
    }
    FileDescriptor pidfd = open_pidfd(identity.pid);
    if (!pidfd || start_ticks(identity.pid) != identity.start_ticks) {
        return std::nullopt;
    }
    return pidfd;
}

bool signal_process(const FileDescriptor& pidfd, int signal) {
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

Result<std::size_t> end_orphaned_tree(const std::string& run_id, int patience_milliseconds) {
    const std::string variable = "RALPH_RUN_ID=" + run_id;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_milliseconds);
    std::size_t signalled = 0;
    while (true) {
        const std::vector<FileDescriptor> left = processes_with(variable);
        if (left.empty()) {
            return signalled;
        }
        for (const FileDescriptor& pidfd : left) {
            signalled += signal_process(pidfd, SIGKILL) ? 1 : 0;
        }
        for (const FileDescriptor& pidfd : left) {
            static_cast<void>(wait_until(deadline, pidfd.get(), POLLIN));
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            return Error{fmt::format("{} processes of run {} do not end", left.size(), run_id)};
        }
    }
}

}  // namespace ralph::daemon
