#include "tests/crash/tracer.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

namespace ralph::tests {
namespace {

struct Call {
    long number;
    const char* name;
};
// What changes a file, a folder, a process or a peer.
constexpr std::array<Call, 29> write_class{{
    {SYS_write, "write"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_writev, "writev"},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_rename, "rename"},
    {SYS_renameat, "renameat"},
    {SYS_renameat2, "renameat2"},
    {SYS_link, "link"},
    {SYS_linkat, "linkat"},
    {SYS_unlink, "unlink"},
    {SYS_unlinkat, "unlinkat"},
    {SYS_mkdir, "mkdir"},
    {SYS_mkdirat, "mkdirat"},
    {SYS_rmdir, "rmdir"},
    {SYS_ftruncate, "ftruncate"},
    {SYS_fallocate, "fallocate"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_fork, "fork"},
    {SYS_vfork, "vfork"},
    {SYS_clone, "clone"},
    {SYS_clone3, "clone3"},
    {SYS_kill, "kill"},
    {SYS_execve, "execve"},
    {SYS_flock, "flock"},
    {SYS_exit_group, "exit_group"},
    {SYS_openat, "openat"},
    {SYS_pidfd_send_signal, "pidfd_send_signal"},
}};

const char* name_of_write(const user_regs_struct& registers) {
    const auto number = static_cast<long>(registers.orig_rax);
    if (number == SYS_openat && (registers.rdx & (O_CREAT | O_TRUNC)) == 0) {
        return nullptr;  // only opening to make or to empty
    }
    for (const Call& call : write_class) {
        if (call.number == number) {
            return call.name;
        }
    }
    return nullptr;
}

Role role_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
    const std::string line((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::string program = line.substr(0, line.find('\0'));
    const std::string base = program.substr(program.rfind('/') + 1);
    const std::string rest = line.size() > program.size() ? line.substr(program.size() + 1) : "";
    if (base == "ralph-shim") {
        return Role::shim;
    }
    if (base != "ralph") {
        return Role::other;
    }
    if (rest.rfind("step", 0) != 0) {
        return Role::supervisor;
    }
    return rest.find("integrate") != std::string::npos ? Role::integrate
           : rest.find("prepare") != std::string::npos ? Role::prepare
                                                       : Role::other;
}

pid_t process_of(pid_t thread) {
    std::ifstream file("/proc/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("Tgid:", 0) == 0) {
            return static_cast<pid_t>(std::strtol(line.c_str() + 5, nullptr, 10));
        }
    }
    return thread;
}

pid_t start(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
            const std::string& directory, const std::string& log) {
    std::vector<char*> argv;
    std::vector<char*> envp;
    for (const auto& text : arguments) {
        argv.push_back(const_cast<char*>(text.c_str()));
    }
    for (const auto& text : environment) {
        envp.push_back(const_cast<char*>(text.c_str()));
    }
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(null, 0);
        ::dup2(null, 1);
        ::dup2(file, 2);
        if (::chdir(directory.c_str()) == 0 && ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) {
            ::raise(SIGSTOP);
            ::execve(argv[0], argv.data(), envp.data());
        }
        ::_exit(127);
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        throw std::runtime_error("cannot trace");
    }
    constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                             PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, options);
    ::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    return pid;
}

struct Tracee {
    Role role = Role::other;
    bool inside_call = false;
};

class Tracer {
  public:
    Tracer(pid_t command, Role role, int n, Victims victims)
        : command_(command), role_(role), n_(n), victims_(victims) {
        tracees_[command].role = Role::supervisor;
    }

    Traced trace() {
        int status = 0;
        while (!tracees_.empty()) {
            const pid_t pid = ::waitpid(-1, &status, __WALL);
            if (pid < 0) {
                break;
            }
            handle(pid, status);
            if (result_.killed) {
                let_go();
                break;
            }
        }
        if (!result_.exit && ::waitpid(command_, &status, 0) == command_) {
            ended(command_, status);
        }
        return result_;
    }

  private:
    void ended(pid_t pid, int status) {
        tracees_.erase(pid);
        if (pid == command_) {
            result_.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
    }

    void handle(pid_t pid, int status) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            ended(pid, status);
            return;
        }
        Tracee& tracee = tracees_[pid];
        const int signal = WSTOPSIG(status);
        const int event = status >> 16;
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
            unsigned long child = 0;
            ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
            // A thread is of its process; a new process is nobody until it executes something.
            const auto thread = static_cast<pid_t>(child);
            const Role role = process_of(thread) == process_of(pid) ? tracee.role : Role::other;
            tracees_[thread].role = role;
        } else if (event == PTRACE_EVENT_EXEC) {
            tracee.role = role_of(pid);
        } else if (signal == (SIGTRAP | 0x80)) {
            tracee.inside_call = !tracee.inside_call;
            if (tracee.inside_call && (role_ == Role::any || tracee.role == role_) && at_wanted_call(pid)) {
                return;
            }
        } else if (signal != SIGSTOP && signal != SIGTRAP) {
            ::ptrace(PTRACE_SYSCALL, pid, nullptr, static_cast<long>(signal));
            return;
        }
        ::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    }

    bool at_wanted_call(pid_t pid) {
        user_regs_struct registers{};
        if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) {
            return false;
        }
        const char* const name = name_of_write(registers);
        if (name == nullptr || ++result_.calls_seen != n_) {
            return false;
        }
        result_.killed = true;
        result_.call = name;
        ::kill(process_of(pid), SIGKILL);  // our tracee, stopped: its number is its own
        for (const auto& [other, tracee] : tracees_) {
            if (victims_ == Victims::all) {
                ::kill(other, SIGKILL);  // not reaped yet
            }
        }
        return true;
    }

    // Every tracee must be stopped to be let go. One that cannot be stopped has ended.
    void let_go() {
        for (const auto& [pid, tracee] : tracees_) {
            ::syscall(SYS_tkill, pid, SIGSTOP);
        }
        while (!tracees_.empty()) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, __WALL);
            if (pid < 0) {
                return;
            }
            if (WIFEXITED(status) || WIFSIGNALED(status)) {
                ended(pid, status);
                continue;
            }
            const int event = status >> 16;
            const int signal = WSTOPSIG(status);
            if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
                unsigned long child = 0;
                ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
                tracees_[static_cast<pid_t>(child)];
                ::ptrace(PTRACE_CONT, pid, nullptr, nullptr);
            } else if (signal == SIGSTOP && event == 0) {
                ::syscall(SYS_tkill, pid, SIGCONT);  // a second stop may be pending: its first, or ours
                ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
                tracees_.erase(pid);
            } else {
                const bool real = event == 0 && signal != SIGTRAP && signal != (SIGTRAP | 0x80);
                ::ptrace(PTRACE_CONT, pid, nullptr, static_cast<long>(real ? signal : 0));
            }
        }
    }

    pid_t command_;
    Role role_;
    int n_;
    Victims victims_;
    std::map<pid_t, Tracee> tracees_;
    Traced result_;
};

}  // namespace

Traced run_and_kill(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                    const std::string& directory, const std::string& log, Role role, int n, Victims victims) {
    const pid_t command = start(arguments, environment, directory, log);
    return Tracer(command, role, n, victims).trace();
}

}  // namespace ralph::tests
