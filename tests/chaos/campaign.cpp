#include "tests/chaos/campaign.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>

#include "core/base/jsonc.h"
#include "daemon/os/identity.h"

namespace ralph::chaos {
namespace {

constexpr Nanoseconds restart_pause = 100 * millisecond;
constexpr Nanoseconds sample_pause = 250 * millisecond;
constexpr Nanoseconds patience =
    900'000 * millisecond;  // for a whole run; something hangs if it takes longer
constexpr Nanoseconds remote_lock_age = 2'000 * millisecond;

struct Weight {
    Fault fault;
    unsigned weight;
};
constexpr std::array<Weight, 14> weights{{{Fault::kill_supervisor, 18},
                                          {Fault::kill_shim, 8},
                                          {Fault::kill_worker, 6},
                                          {Fault::kill_below_worker, 4},
                                          {Fault::kill_step, 10},
                                          {Fault::kill_below_step, 6},
                                          {Fault::freeze, 12},
                                          {Fault::fill_disk, 6},
                                          {Fault::second_supervisor, 6},
                                          {Fault::contest, 5},
                                          {Fault::drain, 4},
                                          {Fault::foreign_push, 5},
                                          {Fault::status, 4},
                                          {Fault::retry, 6}}};

Fault choose(Random& random) {
    unsigned sum = 0;
    for (const Weight& each : weights) {
        sum += each.weight;
    }
    unsigned at = static_cast<unsigned>(random() % sum);
    for (const Weight& each : weights) {
        if (at < each.weight) {
            return each.fault;
        }
        at -= each.weight;
    }
    return Fault::kill_supervisor;
}

std::string last_line(const std::string& path) {
    std::string text = tests::Project::read(path);
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    const std::size_t at = text.rfind('\n');
    return at == std::string::npos ? text : text.substr(at + 1);
}

}  // namespace

Campaign::Campaign(const tests::Project& project, tests::Disk* disk, Supervisors& supervisors,
                   std::string colleague, const Options& options, Random& random, History& history)
    : project_(project),
      disk_(disk),
      supervisors_(supervisors),
      colleague_(std::move(colleague)),
      options_(options),
      random_(random),
      history_(history) {}

Nanoseconds Campaign::pause(int from_ms, int to_ms) {
    return std::uniform_int_distribution<Nanoseconds>(from_ms, to_ms)(random_) * millisecond;
}

void Campaign::run(bool with_faults) {
    drained_ = false;
    const Nanoseconds begin = boot_clock();
    history_.sessions.push_back(begin);
    next_fault_ = begin + pause(100, options_.pause_ms);
    start();
    while (!drained_ || !supervisors_.living().empty()) {
        for (const SupervisorEnd& end : supervisors_.wait(next_deadline())) {
            take(end);
        }
        tick(with_faults && !drained_);
        if (boot_clock() - begin > patience) {
            violate("the queue is not drained after a quarter of an hour");
            break;
        }
    }
    settle();
}

void Campaign::start() {
    known_.push_back(supervisors_.start(false).pid);
}

Nanoseconds Campaign::next_deadline() const {
    Nanoseconds next = std::min(next_fault_, next_sample_);
    if (supervisors_.living().empty()) {
        next = std::min(next, next_start_);
    }
    for (const Frozen& each : frozen_) {
        next = std::min(next, each.until);
    }
    return disk_free_at_ != 0 ? std::min(next, disk_free_at_) : next;
}

void Campaign::tick(bool with_faults) {
    const Nanoseconds now = boot_clock();
    for (std::size_t i = frozen_.size(); i-- > 0;) {
        if (frozen_[i].until <= now) {
            static_cast<void>(daemon::signal_process(frozen_[i].pidfd, SIGCONT));
            frozen_.erase(frozen_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    if (disk_free_at_ != 0 && disk_free_at_ <= now) {
        disk_->empty();
        history_.disk_full.back().second = boot_clock();
        disk_free_at_ = 0;
    }
    if (next_sample_ <= now) {
        sample();
        next_sample_ = now + sample_pause;
    }
    if (supervisors_.living().empty() && !drained_ && next_start_ <= now) {
        start();
    }
    if (next_fault_ <= now) {
        if (with_faults) {
            strike(choose(random_));
        }
        next_fault_ = boot_clock() + pause(100, options_.pause_ms);
    }
}

// Whatever still hangs over from the faults ends here.
void Campaign::settle() {
    for (const Frozen& each : frozen_) {
        static_cast<void>(daemon::signal_process(each.pidfd, SIGCONT));
    }
    frozen_.clear();
    if (disk_free_at_ != 0) {
        disk_->empty();
        history_.disk_full.back().second = boot_clock();
        disk_free_at_ = 0;
    }
}

// --- ends of supervisors

void Campaign::take(const SupervisorEnd& end) {
    next_start_ = boot_clock() + restart_pause;
    const auto code = end.exit_code();
    if (code == 0 || code == 3) {
        history_.sessions.push_back(boot_clock());
        drained_ = true;
    } else if (code == 128 + SIGTERM && end.supervisor.told_to_drain) {
        history_.sessions.push_back(boot_clock());
    } else if (code == 1) {
        take_refusal(end);
    } else {
        violate(fmt::format("a supervisor ended with wait status {:#x}, and nobody asked for it: {}",
                            end.wait_status, last_line(end.supervisor.log)));
    }
}

// A supervisor may refuse to run because another one does, which it must name, or because of a full disk.
void Campaign::take_refusal(const SupervisorEnd& end) {
    const std::string said = last_line(end.supervisor.log);
    const bool another = said.find("another ralph supervises") != std::string::npos;
    const bool named = std::any_of(known_.begin(), known_.end(), [&](pid_t pid) {
        return pid != end.supervisor.pid && said.find(fmt::format("pid {},", pid)) != std::string::npos;
    });
    if (another && (!named || known_.size() < 2)) {
        violate("a second supervisor does not name the first: " + said);
        return;
    }
    if (!another && !session_goes_on(project_)) {
        history_.sessions.push_back(boot_clock());
    }
    if (!another && !history_.disk_was_full(end.supervisor.started - 1000 * millisecond, 0)) {
        violate("a supervisor could not start: " + said);
    }
}

// --- faults

void Campaign::strike(Fault fault) {
    try {
        ++(perform(fault) ? history_.counts : history_.without_victim)[fault];
    } catch (const std::runtime_error& problem) {
        // git and ralph are run by us, too; a full disk is theirs as well.
        if (!history_.disk_was_full(boot_clock() - 5000 * millisecond, 0)) {
            violate(fmt::format("{}: {}", to_string(fault), problem.what()));
        }
    }
}

bool Campaign::perform(Fault fault) {
    switch (fault) {
        case Fault::kill_supervisor:
            return kill_supervisor();
        case Fault::kill_shim:
            return kill_part(random_() % 2 == 0, Part::shim);
        case Fault::kill_worker:
            return kill_part(true, Part::leader);
        case Fault::kill_below_worker:
            return kill_part(true, Part::descendant);
        case Fault::kill_step:
            return kill_part(false, Part::leader);
        case Fault::kill_below_step:
            return kill_part(false, Part::descendant);
        case Fault::freeze:
            return freeze();
        case Fault::fill_disk:
            if (disk_ == nullptr || disk_free_at_ != 0) {
                return false;
            }
            fill_disk();
            return true;
        case Fault::second_supervisor:
            if (supervisors_.living().empty()) {
                return false;
            }
            known_.push_back(supervisors_.start(true).pid);
            return true;
        case Fault::contest: {
            const bool killed = kill_supervisor();
            known_.push_back(supervisors_.start(true).pid);
            known_.push_back(supervisors_.start(true).pid);
            return killed;
        }
        case Fault::drain:
            return drain();
        case Fault::foreign_push:
            return push_foreign();
        case Fault::status:
            return ask_status();
        case Fault::retry:
            return ask_retry();
    }
    return false;
}

bool Campaign::kill_supervisor() {
    if (supervisors_.living().empty()) {
        return false;
    }
    const SupervisorEnd end = supervisors_.kill(random_() % supervisors_.living().size());
    if (!end.killed()) {
        take(end);  // it had ended by itself
        return false;
    }
    next_start_ = boot_clock() + restart_pause;
    if (!session_goes_on(project_)) {
        // It had finished, and was killed on its way out.
        history_.sessions.push_back(boot_clock());
    }
    return true;
}

bool Campaign::kill_part(bool of_worker, Part part) {
    std::vector<LiveRun> runs = live_runs(project_.paths());
    std::shuffle(runs.begin(), runs.end(), random_);
    for (const LiveRun& run : runs) {
        if ((run.run.step == core::StepKind::work) != of_worker) {
            continue;
        }
        const auto victim = open_victim(run, part, project_.remote(), random_);
        if (!victim) {
            continue;
        }
        // In the book before it happens: what it causes must not be seen first.
        history_.strikes.push_back({boot_clock(), run.task_id, run.run_id, run.run.step, part});
        if (daemon::signal_process(victim->pidfd, SIGKILL)) {
            return true;
        }
    }
    return false;
}

bool Campaign::freeze() {
    daemon::FileDescriptor pidfd;
    const auto kind = random_() % 4;
    if (kind == 0 && !supervisors_.living().empty()) {
        const pid_t pid = supervisors_.living().front().pid;  // not reaped: the number is its own
        pidfd = daemon::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    } else if (const auto runs = live_runs(project_.paths()); !runs.empty()) {
        const Part part = kind == 1 ? Part::shim : kind == 2 ? Part::leader : Part::descendant;
        auto victim = open_victim(runs[random_() % runs.size()], part, project_.remote(), random_);
        if (victim) {
            pidfd = std::move(victim->pidfd);
        }
    }
    if (!pidfd || !daemon::signal_process(pidfd, SIGSTOP)) {
        return false;
    }
    frozen_.push_back({std::move(pidfd), boot_clock() + pause(100, 3000)});
    return true;
}

bool Campaign::drain() {
    for (Supervisor& supervisor : supervisors_.living()) {
        // A second SIGTERM would end the workers, which is another story.
        if (!supervisor.told_to_drain && boot_clock() - supervisor.started > 500 * millisecond) {
            supervisor.told_to_drain = true;
            return daemon::signal_process(supervisor.pidfd, SIGTERM);
        }
    }
    return false;
}

void Campaign::fill_disk() {
    history_.disk_full.emplace_back(boot_clock(), 0);
    disk_->fill();
    disk_free_at_ = boot_clock() + pause(200, 3000);
}

bool Campaign::push_foreign() {
    const std::string subject = fmt::format("foreign {}", ++foreign_pushes_);
    history_.foreign[subject] = false;
    project_.git(colleague_, {"fetch", "-q", "origin", "main"});
    project_.git(colleague_, {"reset", "-q", "--hard", "FETCH_HEAD"});
    tests::Project::write(fmt::format("{}/foreign-{}.txt", colleague_, foreign_pushes_), subject + "\n");
    project_.git(colleague_, {"add", "-A"});
    project_.git(colleague_, {"commit", "-q", "-m", subject});
    constexpr int tries = 3;
    for (int i = 0; i < tries; ++i) {
        daemon::ProgramRequest push;
        push.program = "git";
        push.arguments = {"push", "-q", "origin", "HEAD:main"};
        push.directory = colleague_;
        push.environment = project_.environment();
        const auto end = daemon::run_program(push);
        if (end && end->succeeded()) {
            history_.foreign[subject] = true;
            return true;
        }
        project_.git(colleague_, {"pull", "-q", "--rebase", "origin", "main"});
    }
    return false;
}

bool Campaign::ask_status() {
    const auto end = project_.ralph({"run", "parallel", "status", "--json"});
    if (!end.succeeded() || !core::JsonDocument::parse(end.output, "status")) {
        violate("status says: " + end.errors + end.output);
    }
    return true;
}

bool Campaign::ask_retry() {
    std::vector<std::string> candidates;
    for (const core::WorkerRecord& record : project_.state().workers) {
        if (record.lifecycle == core::Lifecycle::failed ||
            record.lifecycle == core::Lifecycle::blocked_push) {
            candidates.push_back(record.task_id);
        }
    }
    if (candidates.empty()) {
        return false;
    }
    const std::string id = candidates[random_() % candidates.size()];
    const Nanoseconds asked = boot_clock();
    const auto end = project_.ralph({"run", "parallel", "retry", "--task", id});
    // Even a refused one may have been written down before the refusal.
    history_.retries.emplace_back(asked, id);
    if (!end.succeeded() && (end.status != 1 || end.errors.empty())) {
        violate("retry says: " + end.errors);
    }
    return end.succeeded();
}

// --- what else is looked after

void Campaign::sample() {
    if (disk_ != nullptr && disk_->is_filled()) {
        disk_->fill();
    }
    clear_remote_lock();
    for (const Supervisor& supervisor : supervisors_.living()) {
        const std::size_t descriptors = count_of(supervisor.pid, "fd");
        const std::size_t threads = count_of(supervisor.pid, "task");
        history_.most_descriptors = std::max(history_.most_descriptors, descriptors);
        history_.most_threads = std::max(history_.most_threads, threads);
        // A run takes two descriptors, and a few more for moments; twice as many tasks as workers may be
        // active.
        if (descriptors > 40 + 6ULL * options_.workers || threads > 8) {
            violate(fmt::format("the supervisor has {} descriptors and {} threads", descriptors, threads));
        }
    }
}

// The remote lies on this machine, so a tree of ours that is killed may take the remote's half of a push with
// it, as no kill of ours could on a machine of its own. What that half leaves is the remote's to clear.
void Campaign::clear_remote_lock() {
    const std::string lock = project_.remote() + "/refs/heads/main.lock";
    struct stat info {};
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (::stat(lock.c_str(), &info) == 0 &&
        (now.tv_sec - info.st_mtim.tv_sec) * 1000 * millisecond > remote_lock_age) {
        ::unlink(lock.c_str());
        ++history_.remote_locks_cleared;
    }
}

}  // namespace ralph::chaos
