// ralph-shim: starts one step, watches over it, and reports how it ended.
//
//   ralph-shim --grace MS --timeout MS --silence MS --log NAME --log-limit BYTES --descriptors N --cwd DIR
//   --banner TEXT [--limit FILE=VALUE]... -- COMMAND [ARGUMENT...]
//
// It is the reason why a crash of the supervisor costs nothing: it outlives the supervisor, reaps the whole
// tree of the step, and leaves the exit record for whoever supervises next. The promises, in the order of its
// life:
//
//   1. One shim per run: it holds a write lock (of the open file description) on `lock` from before it
//   reports ready until it is gone.
//   2. Nothing starts without the go byte. It reports ready ('R') on the control socket, then waits for 'G'.
//   End of
//      file means that the supervisor died in between: it goes away, and nothing has been started.
//   3. Nothing runs unrecorded: worker.json is durable before the step executes anything.
//   4. The tree ends with the step: when the step's process is gone, when its time is up, or on SIGTERM (then
//   with
//      SIGTERM first and SIGKILL after the grace), every descendant is killed and reaped.
//   SIGUSR1 means that a new supervisor has enabled the controllers again: the limits are written anew.
//   5. The exit record is durable before the lock is released. Its space is reserved before the step starts;
//   if it
//      can still not be written, the shim waits until it can.
//
// Inherited descriptors: 3 the run directory, 4 the control socket, 5 the directory of the log. The
// environment is the step's. docs/run-directory.md describes the files. No Boost, no streams, linked
// statically: there is one of these per running step.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "daemon/shim/cgroup.h"
#include "daemon/shim/clock.h"
#include "daemon/shim/files.h"
#include "daemon/shim/log.h"
#include "daemon/shim/oom_score.h"
#include "daemon/shim/options.h"
#include "daemon/shim/report.h"
#include "daemon/shim/tree.h"

namespace {

using namespace ralph::shim;

constexpr int control_socket = 4;

// Exit codes of the shim itself; only the exit record speaks for the step.
constexpr int shim_done = 0;
constexpr int shim_not_started = 3;
constexpr int shim_usage = 2;

// Exit statuses of a step that could not be executed, as shells use them.
constexpr int status_not_executable = 126;
constexpr int status_not_found = 127;

class Shim {
  public:
    explicit Shim(Options options)
        : options_(std::move(options)), log_(options_.log_name, options_.log_limit) {}

    int run() {
        if (!get_ready() || !wait_for_go() || !start_step()) {
            cgroup_.remove();
            exit_record_.cancel();
            return shim_not_started;
        }
        watch();
        end_tree();
        // Of a step that was killed while it wrote them.
        unlinkat(run_directory, "outcome.json.new", 0);
        unlinkat(run_directory, "lane.json.new", 0);
        drain_output();
        note_failure();
        exit_record_.deliver(exit_document(ending_));
        return shim_done;
    }

  private:
    [[nodiscard]] bool get_ready();
    [[nodiscard]] bool wait_for_go() const;
    [[nodiscard]] bool is_told_to_end() const;
    [[nodiscard]] bool start_step();
    void write_limits();
    [[noreturn]] void become_step(int output, int release, int failure) const;
    void limit_descriptors() const;
    void note_failure();
    void watch();
    void handle_signals();
    void reap();
    void begin_ending();
    void end_tree();
    void kill_descendants();
    void drain_output();
    void note_end(int status);
    void note_output();
    [[nodiscard]] long long end_of_patience() const;
    [[nodiscard]] int poll_timeout() const;

    Options options_;
    Log log_;
    Cgroup cgroup_{getenv("RALPH_RUN_ID")};
    OomScore oom_score_;
    ExitRecord exit_record_;
    std::optional<OutOfMemoryKills> out_of_memory_kills_;
    sigset_t original_mask_{};
    int signals_ = -1;
    int output_ = -1;
    int failure_ = -1;  // the step's process writes errno there if it cannot execute the step
    pid_t worker_ = -1;
    bool worker_gone_ = false;
    Ending ending_;
    long long deadline_ = 0;          // when the time is up; 0: never
    long long silence_deadline_ = 0;  // the same if nothing is written until then
    long long kill_deadline_ = 0;     // when the grace is over; 0: nothing has been asked to end
};

bool Shim::get_ready() {
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
        sigaddset(&handled, signal);
    }
    sigprocmask(SIG_BLOCK, &handled, &original_mask_);
    std::signal(SIGPIPE, SIG_IGN);
    signals_ = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_CHILD_SUBREAPER, 1);

    const int lock = openat(run_directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (signals_ < 0 || lock < 0 || fcntl(lock, F_OFD_SETLK, &whole) != 0) {
        return false;
    }
    return exit_record_.reserve() && write_durably("shim.json", process_document(getpid(), cgroup_.path()));
}

// Takes one signal. Others than these are no reason to end: an adopting supervisor's comes early at times.
bool Shim::is_told_to_end() const {
    signalfd_siginfo info{};
    return read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info) &&
           (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT);
}

bool Shim::wait_for_go() const {
    if (send(control_socket, "R", 1, MSG_NOSIGNAL) != 1) {
        return false;
    }
    while (true) {
        std::array<pollfd, 2> waits{{{control_socket, POLLIN, 0}, {signals_, POLLIN, 0}}};
        if (poll(waits.data(), waits.size(), -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        if (waits[1].revents != 0 && is_told_to_end()) {
            return false;  // told to end before anything began
        }
        if (waits[0].revents == 0) {
            continue;
        }
        char byte = 0;
        const ssize_t got = read(control_socket, &byte, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        return got == 1 && byte == 'G';
    }
}

// Between fork and exec: only async-signal-safe calls.
void Shim::become_step(int output, int release, int failure) const {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cgroup_.enter();
    oom_score_.restore();
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    dup2(output, 2);
    char byte = 0;
    ssize_t got = 0;
    while ((got = read(release, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (got != 1) {
        _exit(status_not_found);  // the shim is gone: nothing is started
    }
    std::signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
    constexpr int kept_failure = 3;
    if (failure != kept_failure) {
        dup3(failure, kept_failure, O_CLOEXEC);
    }
    syscall(SYS_close_range, 4U, ~0U, 0U);
    limit_descriptors();
    if (!options_.directory.empty() && chdir(options_.directory.c_str()) != 0) {
        dprintf(2, "ralph-shim: cannot enter %s: %s\n", options_.directory.c_str(), strerrordesc_np(errno));
        _exit(status_not_executable);
    }
    execvp(options_.command[0], options_.command);
    const int error = errno;
    static_cast<void>(!write(kept_failure, &error, sizeof error));
    dprintf(2, "ralph-shim: cannot execute %s: %s\n", options_.command[0], strerrordesc_np(error));
    _exit(error == ENOENT ? status_not_found : status_not_executable);
}

// As many as ralph itself was started with.
void Shim::limit_descriptors() const {
    rlimit limit{};
    const auto wanted = static_cast<rlim_t>(options_.descriptors);
    if (options_.descriptors > 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && wanted < limit.rlim_max) {
        limit.rlim_cur = wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

bool Shim::start_step() {
    std::array<int, 2> output{};
    std::array<int, 2> release{};
    std::array<int, 2> failure{};
    if (pipe2(output.data(), O_CLOEXEC) != 0 || pipe2(release.data(), O_CLOEXEC) != 0 ||
        pipe2(failure.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    log_.write("==> " + options_.banner + " " + wall_clock() + "\n");
    ending_.started_at = wall_clock();
    cgroup_.create();
    write_limits();
    out_of_memory_kills_.emplace(cgroup_);
    worker_ = fork();
    if (worker_ < 0) {
        return false;
    }
    if (worker_ == 0) {
        close(release[1]);
        become_step(output[1], release[0], failure[1]);
    }
    close(output[1]);
    close(release[0]);
    close(failure[1]);
    failure_ = failure[0];
    output_ = output[0];
    fcntl(output_, F_SETFL, O_NONBLOCK);
    if (!write_durably("worker.json", process_document(worker_, cgroup_.path()))) {
        // A record that may or may not be there would claim a start: take it back, then let the child go.
        unlinkat(run_directory, "worker.json", 0);
        close(release[1]);
        waitpid(worker_, nullptr, 0);
        return false;
    }
    if (options_.timeout_ms > 0) {
        deadline_ = now_ms() + options_.timeout_ms;
    }
    note_output();
    const bool released = write_all(release[1], "g");
    close(release[1]);
    close(control_socket);
    return released;
}

void Shim::write_limits() {
    for (const auto& [file, value] : options_.limits) {
        if (!cgroup_.limit(file, value)) {
            log_.write("==> the kernel refuses " + value + " as " + file + "\n");
        }
    }
}

void Shim::note_output() {
    if (options_.silence_ms > 0) {
        silence_deadline_ = now_ms() + options_.silence_ms;
    }
}

// The earlier of the two, of which 0 means never.
long long Shim::end_of_patience() const {
    if (deadline_ == 0 || silence_deadline_ == 0) {
        return deadline_ + silence_deadline_;
    }
    return deadline_ < silence_deadline_ ? deadline_ : silence_deadline_;
}

int Shim::poll_timeout() const {
    const long long until = kill_deadline_ != 0 ? kill_deadline_ : end_of_patience();
    if (until == 0) {
        return -1;
    }
    const long long left = until - now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : static_cast<int>(left);
}

void Shim::watch() {
    bool output_open = true;
    while (!worker_gone_) {
        std::array<pollfd, 2> waits{{{signals_, POLLIN, 0}, {output_open ? output_ : -1, POLLIN, 0}}};
        if (poll(waits.data(), waits.size(), poll_timeout()) < 0 && errno != EINTR) {
            abort();
        }
        if (waits[1].revents != 0) {
            std::array<char, 65536> buffer{};
            const ssize_t got = read(output_, buffer.data(), buffer.size());
            if (got > 0) {
                log_.write({buffer.data(), static_cast<std::size_t>(got)});
                note_output();
            }
            output_open = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
        }
        handle_signals();
        if (kill_deadline_ == 0 && end_of_patience() != 0 && now_ms() >= end_of_patience()) {
            ending_.timed_out = true;
            begin_ending();
        } else if (kill_deadline_ != 0 && now_ms() >= kill_deadline_) {
            return;
        }
    }
}

void Shim::handle_signals() {
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            ending_.stopped = ending_.stopped || kill_deadline_ == 0;
            begin_ending();
        } else if (info.ssi_signo == SIGUSR1) {
            write_limits();
        }
    }
    reap();
}

void Shim::begin_ending() {
    if (kill_deadline_ == 0) {
        kill_deadline_ = now_ms() + options_.grace_ms;
        signal_descendants(SIGTERM);
        signal_descendants(SIGCONT);
    }
}

void Shim::reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == worker_) {
            note_end(status);
        }
    }
}

void Shim::note_end(int status) {
    worker_gone_ = true;
    ending_.wait_status = status;
    ending_.ended_at = wall_clock();
}

// Whoever is still there is killed: by the cgroup all at once, and by descent whatever is in no cgroup of
// ours. Returns when the last one is gone, with what all of them have used.
void Shim::end_tree() {
    const bool ended_by_itself = worker_gone_;
    cgroup_.end();
    kill_descendants();
    ending_.out_of_memory = ended_by_itself && WIFSIGNALED(ending_.wait_status) &&
                            WTERMSIG(ending_.wait_status) == SIGKILL && out_of_memory_kills_->any();
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    const auto microseconds = [](const timeval& time) { return time.tv_sec * 1'000'000LL + time.tv_usec; };
    ending_.usage = {microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss};
    cgroup_.measure(ending_.usage);
    cgroup_.remove();
}

// Kills until there is no child left. Children are ours to reap, so their numbers cannot be recycled; the
// orphans of those that die become our children, since we are the sub-reaper.
void Shim::kill_descendants() {
    while (true) {
        const std::vector<pid_t> children = children_of(getpid());
        for (const pid_t child : children) {
            kill(child, SIGKILL);
        }
        int status = 0;
        const pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == ECHILD) {
            return;
        }
        if (pid == worker_) {
            note_end(status);
        }
    }
}

void Shim::note_failure() {
    int error = 0;
    if (read(failure_, &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
        ending_.exec_error = error;
    }
}

void Shim::drain_output() {
    std::array<char, 65536> buffer{};
    ssize_t got = 0;
    while ((got = read(output_, buffer.data(), buffer.size())) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0) {
            log_.write({buffer.data(), static_cast<std::size_t>(got)});
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse(argc, argv, options)) {
        dprintf(2, "ralph-shim is started by ralph, not by hand\n");
        return shim_usage;
    }
    // What was inherited must not reach the step.
    for (const int fd : {run_directory, control_socket, log_directory}) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return Shim(std::move(options)).run();
}
