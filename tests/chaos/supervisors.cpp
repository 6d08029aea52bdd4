#include "tests/chaos/supervisors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "daemon/os/identity.h"

namespace ralph::chaos {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (const std::string& text : strings) {
        result.push_back(const_cast<char*>(text.c_str()));
    }
    result.push_back(nullptr);
    return result;
}

// In the child, between fork and exec. `executed` is closed by a successful exec; a byte in it is a failure.
[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& envp,
                         const char* directory, const char* log, int executed) {
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR);
    const int file = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(file, 2);
    ::dup3(executed, 3, O_CLOEXEC);
    ::syscall(SYS_close_range, 4U, ~0U, 0U);
    if (::chdir(directory) == 0) {
        ::execve(argv[0], argv.data(), envp.data());
    }
    static_cast<void>(::write(3, "x", 1) + 0);
    ::_exit(127);
}

}  // namespace

std::optional<int> SupervisorEnd::exit_code() const {
    return WIFEXITED(wait_status) ? std::optional(WEXITSTATUS(wait_status)) : std::nullopt;
}

bool SupervisorEnd::killed() const {
    return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
}

Supervisors::Supervisors(const tests::Project& project, std::string log_folder, unsigned workers)
    : project_(project), log_folder_(std::move(log_folder)), workers_(workers) {}

Supervisors::~Supervisors() {
    while (!living_.empty()) {
        static_cast<void>(kill(0));
    }
}

Supervisor& Supervisors::start(bool contender) {
    Supervisor supervisor;
    supervisor.log = fmt::format("{}/supervisor-{}.log", log_folder_, ++started_);
    supervisor.contender = contender;
    const std::vector<std::string> arguments{std::string(RALPH_BINARY_DIR) + "/ralph", "run", "--parallel",
                                             std::to_string(workers_)};
    const std::vector<std::string> environment = project_.environment();
    const auto argv = pointers(arguments);
    const auto envp = pointers(environment);
    const std::string directory = project_.root();
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        throw std::runtime_error("pipe2");
    }
    const daemon::FileDescriptor read_end(ends[0]);
    daemon::FileDescriptor write_end(ends[1]);
    supervisor.started = boot_clock();
    supervisor.pid = ::fork();
    if (supervisor.pid == 0) {
        become(argv, envp, directory.c_str(), supervisor.log.c_str(), write_end.get());
    }
    write_end.reset();
    char failure = 0;
    if (supervisor.pid < 0 || ::read(read_end.get(), &failure, 1) != 0) {
        throw std::runtime_error("cannot start " + arguments.front());
    }
    // Our child that nobody has reaped: the number is its own.
    supervisor.pidfd = daemon::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, supervisor.pid, 0)));
    living_.push_back(std::move(supervisor));
    return living_.back();
}

std::vector<SupervisorEnd> Supervisors::wait(Nanoseconds until) {
    std::vector<pollfd> waits;
    for (const Supervisor& supervisor : living_) {
        waits.push_back({supervisor.pidfd.get(), POLLIN, 0});
    }
    const Nanoseconds left = std::max<Nanoseconds>(0, until - boot_clock());
    const timespec patience{static_cast<time_t>(left / 1'000'000'000),
                            static_cast<long>(left % 1'000'000'000)};
    static_cast<void>(::ppoll(waits.data(), waits.size(), &patience, nullptr));
    std::vector<SupervisorEnd> ends;
    for (std::size_t i = living_.size(); i-- > 0;) {
        int status = 0;
        if (::waitpid(living_[i].pid, &status, WNOHANG) == living_[i].pid) {
            ends.push_back({std::move(living_[i]), status});
            living_.erase(living_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    return ends;
}

SupervisorEnd Supervisors::kill(std::size_t index) {
    SupervisorEnd end{std::move(living_.at(index)), 0};
    living_.erase(living_.begin() + static_cast<std::ptrdiff_t>(index));
    static_cast<void>(daemon::signal_process(end.supervisor.pidfd, SIGKILL));
    while (::waitpid(end.supervisor.pid, &end.wait_status, 0) < 0 && errno == EINTR) {
    }
    return end;
}

bool session_goes_on(const tests::Project& project) {
    return tests::Project::read(project.paths().supervisor_lock()).find("pid: ") != std::string::npos;
}

std::size_t count_of(pid_t pid, const char* what) {
    std::error_code gone;
    std::size_t count = 0;
    for (auto entry = std::filesystem::directory_iterator(fmt::format("/proc/{}/{}", pid, what), gone);
         !gone && entry != std::filesystem::directory_iterator(); entry.increment(gone)) {
        ++count;
    }
    return count;
}

}  // namespace ralph::chaos
