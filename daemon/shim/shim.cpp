// ralph-shim: starts one step, watches over it, and reports how it ended.
//
//   ralph-shim --grace MS --timeout MS --log NAME --log-limit BYTES --cwd DIR --banner TEXT -- COMMAND
//   [ARGUMENT...]
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
//   5. The exit record is durable before the lock is released. Its space is reserved before the step starts;
//   if it
//      can still not be written, the shim waits until it can.
//
// Inherited descriptors: 3 the run directory, 4 the control socket, 5 the directory of the log. The
// environment is the step's. docs/run-directory.md describes the files. No Boost, no streams, linked
// statically: there is one of these per running step.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/shim/files.h"
#include "daemon/shim/log.h"
#include "daemon/shim/tree.h"

namespace {

using namespace ralph::shim;

constexpr int run_directory = 3;
constexpr int control_socket = 4;
constexpr std::size_t exit_record_size = 4096;
constexpr const char* reserved_name = "exit.json.reserved";

// Exit codes of the shim itself; only the exit record speaks for the step.
constexpr int shim_done = 0;
constexpr int shim_not_started = 3;
constexpr int shim_usage = 2;

// Exit statuses of a step that could not be executed, as shells use them.
constexpr int status_not_executable = 126;
constexpr int status_not_found = 127;

struct Options {
    long grace_ms = 10'000;
    long timeout_ms = 0;  // 0: none
    std::string log_name;
    long long log_limit = 64LL << 20;
    std::string directory;
    std::string banner;
    char** command = nullptr;
};

[[nodiscard]] long long now_ms() {
    timespec time{};
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1'000'000;
}

[[nodiscard]] std::string wall_clock() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    tm parts{};
    gmtime_r(&time.tv_sec, &parts);
    std::array<char, 96> text{};
    snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, time.tv_nsec);
    return text.data();
}

// Field 22 of /proc/<pid>/stat; the command name before it may hold anything, so counting starts at its last
// ')'.
[[nodiscard]] unsigned long long start_ticks(pid_t pid) {
    const std::string stat = read_small_file(("/proc/" + std::to_string(pid) + "/stat").c_str());
    std::size_t at = stat.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) {
        at = stat.find(' ', at + 1);
    }
    return at == std::string::npos ? 0 : strtoull(stat.c_str() + at + 1, nullptr, 10);
}

[[nodiscard]] std::string identity_json(pid_t pid) {
    std::string boot_id = read_small_file("/proc/sys/kernel/random/boot_id");
    while (!boot_id.empty() && boot_id.back() == '\n') {
        boot_id.pop_back();
    }
    return "{\n  \"version\": 1,\n  \"pid\": " + std::to_string(pid) +
           ",\n  \"start_ticks\": " + std::to_string(start_ticks(pid)) + ",\n  \"boot_id\": \"" + boot_id +
           "\"\n}";
}

// Writes a file of the run directory so that it is either there as a whole, for good, or not there.
[[nodiscard]] bool write_durably(const char* name, std::string_view text) {
    const std::string temporary = std::string(name) + ".new";
    const int fd = openat(run_directory, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    const bool written = write_all(fd, text) && fsync(fd) == 0;
    close(fd);
    return written && renameat(run_directory, temporary.c_str(), run_directory, name) == 0 &&
           fsync(run_directory) == 0;
}

class Shim {
  public:
    explicit Shim(Options options)
        : options_(std::move(options)), log_(options_.log_name, options_.log_limit) {}

    int run() {
        if (!get_ready() || !wait_for_go()) {
            unlinkat(run_directory, reserved_name, 0);
            return shim_not_started;
        }
        if (!start_step()) {
            unlinkat(run_directory, reserved_name, 0);
            return shim_not_started;
        }
        watch();
        kill_tree();
        drain_output();
        report();
        return shim_done;
    }

  private:
    [[nodiscard]] bool get_ready();
    [[nodiscard]] bool wait_for_go() const;
    [[nodiscard]] bool start_step();
    [[noreturn]] void become_step(int output, int release) const;
    void watch();
    void handle_signals();
    void reap();
    void begin_ending();
    void kill_tree();
    void drain_output();
    void report();
    [[nodiscard]] std::string exit_record() const;
    [[nodiscard]] int poll_timeout() const;

    Options options_;
    Log log_;
    sigset_t original_mask_{};
    int signals_ = -1;
    int output_ = -1;
    int reserved_ = -1;
    pid_t worker_ = -1;
    bool worker_gone_ = false;
    int wait_status_ = 0;
    bool stopped_ = false;
    bool timed_out_ = false;
    long long deadline_ = 0;       // when the time is up; 0: never
    long long kill_deadline_ = 0;  // when the grace is over; 0: nothing has been asked to end
    std::string started_at_;
    std::string ended_at_;
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

    const int lock = openat(run_directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (signals_ < 0 || lock < 0 || fcntl(lock, F_OFD_SETLK, &whole) != 0) {
        return false;
    }
    reserved_ = openat(run_directory, reserved_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return reserved_ >= 0 && posix_fallocate(reserved_, 0, exit_record_size) == 0 &&
           write_durably("shim.json", identity_json(getpid()));
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
        if (waits[1].revents != 0) {
            return false;  // told to end before anything began
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
void Shim::become_step(int output, int release) const {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    syscall(SYS_close_range, 3U, ~0U, 0U);
    if (!options_.directory.empty() && chdir(options_.directory.c_str()) != 0) {
        dprintf(2, "ralph-shim: cannot enter %s: %s\n", options_.directory.c_str(), strerrordesc_np(errno));
        _exit(status_not_executable);
    }
    execvp(options_.command[0], options_.command);
    const int error = errno;
    dprintf(2, "ralph-shim: cannot execute %s: %s\n", options_.command[0], strerrordesc_np(error));
    _exit(error == ENOENT ? status_not_found : status_not_executable);
}

bool Shim::start_step() {
    std::array<int, 2> output{};
    std::array<int, 2> release{};
    if (pipe2(output.data(), O_CLOEXEC) != 0 || pipe2(release.data(), O_CLOEXEC) != 0) {
        return false;
    }
    log_.write("==> " + options_.banner + " " + wall_clock() + "\n");
    started_at_ = wall_clock();
    worker_ = fork();
    if (worker_ < 0) {
        return false;
    }
    if (worker_ == 0) {
        close(release[1]);
        become_step(output[1], release[0]);
    }
    close(output[1]);
    close(release[0]);
    output_ = output[0];
    fcntl(output_, F_SETFL, O_NONBLOCK);
    if (!write_durably("worker.json", identity_json(worker_))) {
        // A record that may or may not be there would claim a start: take it back, then let the child go.
        unlinkat(run_directory, "worker.json", 0);
        close(release[1]);
        waitpid(worker_, nullptr, 0);
        return false;
    }
    if (options_.timeout_ms > 0) {
        deadline_ = now_ms() + options_.timeout_ms;
    }
    const bool released = write_all(release[1], "g");
    close(release[1]);
    close(control_socket);
    return released;
}

int Shim::poll_timeout() const {
    const long long until = kill_deadline_ != 0 ? kill_deadline_ : deadline_;
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
            }
            output_open = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
        }
        handle_signals();
        if (kill_deadline_ == 0 && deadline_ != 0 && now_ms() >= deadline_) {
            timed_out_ = true;
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
            stopped_ = stopped_ || kill_deadline_ == 0;
            begin_ending();
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
            worker_gone_ = true;
            wait_status_ = status;
            ended_at_ = wall_clock();
        }
    }
}

// Kills until there is no child left. Children are ours to reap, so their numbers cannot be recycled; the
// orphans of those that die become our children, since we are the sub-reaper.
void Shim::kill_tree() {
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
            worker_gone_ = true;
            wait_status_ = status;
            ended_at_ = wall_clock();
        }
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

std::string Shim::exit_record() const {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    const bool signalled = WIFSIGNALED(wait_status_);
    const auto microseconds = [](const timeval& time) { return time.tv_sec * 1'000'000LL + time.tv_usec; };
    std::array<char, 1024> text{};
    snprintf(text.data(), text.size(),
             "{\n  \"version\": 1,\n  \"kind\": \"%s\",\n  \"value\": %d,\n  \"core_dumped\": %s,\n  "
             "\"timed_out\": %s,\n"
             "  \"stopped\": %s,\n  \"out_of_memory\": false,\n  \"started_at\": \"%s\",\n  \"ended_at\": "
             "\"%s\",\n"
             "  \"user_cpu_microseconds\": %lld,\n  \"system_cpu_microseconds\": %lld,\n  "
             "\"peak_memory_kib\": %ld\n}",
             signalled ? "signalled" : "exited",
             signalled ? WTERMSIG(wait_status_) : WEXITSTATUS(wait_status_),
             signalled && WCOREDUMP(wait_status_) ? "true" : "false", timed_out_ ? "true" : "false",
             stopped_ ? "true" : "false", started_at_.c_str(), ended_at_.c_str(),
             microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss);
    return text.data();
}

void Shim::report() {
    const std::string record = exit_record();
    // First into the space reserved for it; after a failed sync never again into the same file.
    bool durable =
        pwrite(reserved_, record.data(), record.size(), 0) == static_cast<ssize_t>(record.size()) &&
        ftruncate(reserved_, static_cast<off_t>(record.size())) == 0 && fsync(reserved_) == 0 &&
        renameat(run_directory, reserved_name, run_directory, "exit.json") == 0 && fsync(run_directory) == 0;
    int pause_ms = 100;
    struct stat directory {};
    // In a directory that somebody removed nothing can be written any more; then the run is lost, and known
    // to be.
    while (!durable && fstat(run_directory, &directory) == 0 && directory.st_nlink > 0) {
        poll(nullptr, 0, pause_ms);
        pause_ms = pause_ms < 5000 ? pause_ms * 2 : 5000;
        durable = write_durably("exit.json", record);
    }
}

[[nodiscard]] bool parse(int argc, char** argv, Options& options) {
    int at = 1;
    for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
        const std::string_view name = argv[at];
        const char* const value = argv[at + 1];
        if (name == "--grace") {
            options.grace_ms = strtol(value, nullptr, 10);
        } else if (name == "--timeout") {
            options.timeout_ms = strtol(value, nullptr, 10);
        } else if (name == "--log") {
            options.log_name = value;
        } else if (name == "--log-limit") {
            options.log_limit = strtoll(value, nullptr, 10);
        } else if (name == "--cwd") {
            options.directory = value;
        } else if (name == "--banner") {
            options.banner = value;
        } else {
            return false;
        }
    }
    options.command = argv + at + 1;
    return at + 1 < argc && !options.log_name.empty();
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
