#include "daemon/os/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/environment.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>
#include <boost/process/pipe.hpp>
#include <boost/process/search_path.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"
#include "daemon/shim/tree.h"

namespace ralph::daemon {
namespace {

namespace bp = boost::process;
using Clock = std::chrono::steady_clock;
using core::Error;
using core::Result;

constexpr std::size_t errors_limit = std::size_t{256} << 10U;

Result<std::string> find_program(const ProgramRequest& request) {
    const std::string& name = request.program;
    const std::string remedy = "install it, or fix the setting that names it";
    if (name.find('/') == std::string::npos) {
        const std::string found = name.empty() ? std::string{} : bp::search_path(name).string();
        if (found.empty()) {
            return Error{
                {fmt::format("{}: there is no such program in PATH", name), remedy, request.missing}};
        }
        return {boost::system::in_place_value, found};
    }
    std::string path = name.front() == '/' ? name : request.directory + "/" + name;
    if (::access(path.c_str(), X_OK) != 0) {
        return Error{fmt::format("{}: {}", path, ::strerrordesc_np(errno)), remedy};
    }
    return {boost::system::in_place_value, std::move(path)};
}

bp::environment make_environment(const std::vector<std::string>& lines) {
    bp::environment environment;
    for (const std::string& line : lines) {
        const std::size_t equals = line.find('=');
        if (equals != std::string::npos && equals > 0) {
            environment[line.substr(0, equals)] = line.substr(equals + 1);
        }
    }
    return environment;
}

// Runs in the child between fork and exec. bp::limit_handles of 1.81 is not used: it also closes the pipe by
// which a failed exec is reported, so that a program that could not be started would look like one that
// ended. Nor is bp::start_dir, which goes on in our own directory if it cannot change to the other.
template <class Executor>
void set_up_child(Executor& executor, const char* directory, int inherited) {
    ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    if (inherited >= 0) {
        ::fcntl(inherited, F_SETFD, 0);
    }
    if (::chdir(directory) != 0) {
        executor.set_error(std::error_code(errno, std::system_category()), "chdir failed");
        ::_exit(EXIT_FAILURE);
    }
}

// The program's standard input: a file in memory, so that writing it never blocks.
Result<FileDescriptor> input_of(const ProgramRequest& request) {
    if (request.input.empty()) {
        FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        return null ? Result<FileDescriptor>{std::move(null)} : system_error("open", "/dev/null", errno);
    }
    FileDescriptor file(::memfd_create("input", MFD_CLOEXEC));
    std::string_view rest = request.input;
    while (file && !rest.empty()) {
        const ssize_t written = ::write(file.get(), rest.data(), rest.size());
        if (written < 0 && errno != EINTR) {
            return system_error("write", "the input of " + request.program, errno);
        }
        rest.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    if (!file || ::lseek(file.get(), 0, SEEK_SET) != 0) {
        return system_error("memfd_create", "the input of " + request.program, errno);
    }
    return file;
}

// The reading end of one captured stream.
class Stream {
  public:
    explicit Stream(int fd) : fd_(fd) { static_cast<void>(::fcntl(fd, F_SETFL, O_NONBLOCK)); }

    [[nodiscard]] int fd() const { return ended_ ? -1 : fd_; }  // poll ignores -1

    // Appends what can be read without waiting, but not much more than a mebibyte at once.
    void drain(std::string& out) {
        std::array<char, 65536> buffer{};
        for (int i = 0; i < 16 && !ended_; ++i) {
            const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
            if (got > 0) {
                out.append(buffer.data(), static_cast<std::size_t>(got));
            } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
                ended_ = true;
            } else if (errno == EAGAIN) {
                return;
            }
        }
    }

  private:
    int fd_;
    bool ended_ = false;
};

// Everything between the start and the end of a child.
class Watch {
  public:
    Watch(const ProgramRequest& request, pid_t pid) : request_(request), pid_(pid) {
        if (request.timeout) {
            deadline_ = Clock::now() + *request.timeout;
        }
        note_output();
    }

    // Returns when the process has ended; it is not reaped yet.
    Result<ProgramEnd> until_end(bp::pipe* output, bp::pipe* errors) {
        const FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        if (!pidfd) {
            return give_up(fmt::format("pidfd_open failed: {}", ::strerrordesc_np(errno)));
        }
        Stream out(output == nullptr ? -1 : output->native_source());
        Stream err(errors == nullptr ? -1 : errors->native_source());
        ProgramEnd end;
        while (true) {
            std::array<pollfd, 5> waited{pollfd{pidfd.get(), POLLIN, 0}, pollfd{out.fd(), POLLIN, 0},
                                         pollfd{err.fd(), POLLIN, 0},
                                         pollfd{terminated_ ? -1 : request_.until_end_of, 0, 0},
                                         pollfd{terminated_ ? -1 : request_.stop, POLLIN, 0}};
            const int ready = ::poll(waited.data(), waited.size(), milliseconds_left());
            if (ready < 0 && errno != EINTR) {
                return give_up(fmt::format("poll failed: {}", ::strerrordesc_np(errno)));
            }
            // Both also if there is always something to read.
            const bool is_unwanted = ready > 0 && (waited[3].revents & (POLLERR | POLLHUP)) != 0;
            if (is_unwanted) {
                end.timed_out = true;
                terminated_ = true;
                deadline_.reset();
                signal_group(SIGKILL);
            } else if (ready > 0 && waited[4].revents != 0) {
                end.stopped = true;
                end.timed_out = true;
                escalate();
            } else if (deadline_ && Clock::now() >= *deadline_) {
                end.timed_out = true;
                escalate();
            }
            watch_silence(end);
            if (output != nullptr) {
                out.drain(end.output);
                err.drain(end.errors);
            }
            if (!end.output.empty() || !end.errors.empty()) {
                note_output();
            }
            hand_over(end);
            if (end.errors.size() > 2 * errors_limit) {
                end.errors.erase(0, end.errors.size() - errors_limit);
            }
            if (end.output.size() > request_.output_limit) {
                return give_up(fmt::format("wrote more than {} bytes", request_.output_limit));
            }
            if (ready > 0 && (waited[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
                if (end.timed_out) {
                    signal_group(SIGKILL);
                }
                return end;
            }
        }
    }

  private:
    void hand_over(ProgramEnd& end) {
        if (request_.on_output && !end.output.empty()) {
            request_.on_output(end.output);
            end.output.clear();
        }
        if (request_.on_errors && !end.errors.empty()) {
            request_.on_errors(end.errors);
            end.errors.clear();
        }
        if (request_.is_enough && !terminated_ && request_.is_enough()) {
            end.enough = true;
            end.timed_out = true;
            escalate();
        }
    }

    void note_output() {
        if (request_.silence && !terminated_) {
            silent_since_ = Clock::now();
            told_of_silence_ = false;
        }
    }

    void watch_silence(ProgramEnd& end) {
        if (!silent_since_ || terminated_) {
            return;
        }
        const auto silent = Clock::now() - *silent_since_;
        if (silent >= *request_.silence) {
            end.silent = true;
            end.timed_out = true;
            escalate();
        } else if (silent >= *request_.silence / 2 && !std::exchange(told_of_silence_, true) &&
                   request_.on_silence) {
            request_.on_silence(std::chrono::duration_cast<core::Milliseconds>(silent));
        }
    }

    // The earliest moment at which something is to be done without any event.
    [[nodiscard]] std::optional<Clock::time_point> next_moment() const {
        std::optional<Clock::time_point> next = deadline_;
        if (silent_since_ && !terminated_) {
            const auto due = *silent_since_ + (told_of_silence_ ? *request_.silence : *request_.silence / 2);
            next = next ? std::min(*next, due) : due;
        }
        return next;
    }

    [[nodiscard]] int milliseconds_left() const {
        const auto next = next_moment();
        if (!next) {
            return -1;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
    }

    void escalate() {
        signal_group(terminated_ ? SIGKILL : SIGTERM);
        deadline_ = terminated_ ? std::nullopt : std::optional(Clock::now() + request_.grace);
        terminated_ = true;
    }

    Error give_up(const std::string& why) {
        signal_group(SIGKILL);
        return Error{fmt::format("{}: {}", request_.program, why)};
    }

    // The child is not reaped while this object is used, so that its number still means its group.
    void signal_group(int signal) const { static_cast<void>(::kill(-pid_, signal)); }

    const ProgramRequest& request_;
    pid_t pid_;
    std::optional<Clock::time_point> deadline_;
    std::optional<Clock::time_point> silent_since_;
    bool told_of_silence_ = false;
    bool terminated_ = false;
};

template <class... Streams>
Result<ProgramEnd> start_and_wait(const ProgramRequest& request, const std::string& path, bp::pipe* output,
                                  bp::pipe* errors, Streams&&... streams) {
    std::error_code problem;
    TRY_ASSIGN(const auto input, input_of(request));
    bp::child child(
        bp::exe = path, bp::args = request.arguments, make_environment(request.environment),
        bp::extend::on_exec_setup =
            [&request, &input](auto& executor) {
                ::dup2(input.get(), STDIN_FILENO);
                set_up_child(executor, request.directory.c_str(), request.inherited);
            },
        problem, std::forward<Streams>(streams)...);
    if (problem) {
        return Error{
            {fmt::format("{}: cannot be started in {}: {}", path, request.directory, problem.message()),
             {},
             fault_of(problem.value())}};
    }
    auto end = Watch(request, child.id()).until_end(output, errors);
    child.wait(problem);
    if (!end) {
        return end;
    }
    const int status = child.native_exit_code();
    if (problem) {
        return Error{fmt::format("{}: waiting for it failed: {}", path, problem.message())};
    }
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (end->errors.size() > errors_limit) {
        end->errors.erase(0, end->errors.size() - errors_limit);
    }
    return end;
}

// While it lives, orphans below us become our children, and at the end all our children are killed and
// reaped, but for those that were there before.
class TreeEnd {
  public:
    TreeEnd() : spared_(shim::children_of(::getpid())) {
        static_cast<void>(::prctl(PR_SET_CHILD_SUBREAPER, 1));
    }
    ~TreeEnd() {
        for (auto left = others(); !left.empty(); left = others()) {
            for (const pid_t child : left) {
                static_cast<void>(::kill(child, SIGKILL));
            }
            // It is our child and cannot have been reaped by anybody else.
            while (::waitpid(left.front(), nullptr, 0) < 0 && errno == EINTR) {
            }
        }
        static_cast<void>(::prctl(PR_SET_CHILD_SUBREAPER, 0));
    }
    TreeEnd(const TreeEnd&) = delete;
    TreeEnd& operator=(const TreeEnd&) = delete;

  private:
    [[nodiscard]] std::vector<pid_t> others() const {
        std::vector<pid_t> children = shim::children_of(::getpid());
        children.erase(std::remove_if(children.begin(), children.end(),
                                      [this](pid_t child) {
                                          return std::find(spared_.begin(), spared_.end(), child) !=
                                                 spared_.end();
                                      }),
                       children.end());
        return children;
    }

    std::vector<pid_t> spared_;
};

}  // namespace

std::string ProgramEnd::describe() const {
    if (timed_out) {
        return "ran out of its time";
    }
    return signal != 0 ? fmt::format("was killed by signal {}", signal)
                       : fmt::format("exited with status {}", status);
}

Result<ProgramEnd> run_program(const ProgramRequest& request) {
    TRY_ASSIGN(auto path, find_program(request));
    std::optional<TreeEnd> tree;
    if (request.whole_tree) {
        tree.emplace();
    }
    try {
        if (!request.capture) {
            return start_and_wait(request, path, nullptr, nullptr);
        }
        bp::pipe output;
        if (request.on_output && !request.on_errors) {
            return start_and_wait(request, path, &output, nullptr, (bp::std_out & bp::std_err) > output);
        }
        bp::pipe errors;
        return start_and_wait(request, path, &output, &errors, bp::std_out > output, bp::std_err > errors);
    } catch (const std::system_error& problem) {  // no descriptors, no memory for a fork
        return Error{
            {fmt::format("{}: cannot be started: {}", path, problem.what()), {}, core::Fault::passing}};
    }
}

bool is_at_end(int pipe) {
    pollfd end{pipe, 0, 0};
    return ::poll(&end, 1, 0) > 0 && (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

std::vector<std::string> our_environment() {
    std::vector<std::string> lines;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
        lines.emplace_back(*entry);
    }
    return lines;
}

std::string our_variable(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): a step has one thread
    return value == nullptr ? std::string{} : value;
}

}  // namespace ralph::daemon
