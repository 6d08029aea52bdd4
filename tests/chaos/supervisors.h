// The supervisors of a chaos run: our own children, started again when they die, as a service manager would.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "daemon/os/file_descriptor.h"
#include "tests/chaos/clock.h"
#include "tests/support/project.h"

namespace ralph::chaos {

struct Supervisor {
    pid_t pid = -1;
    daemon::FileDescriptor pidfd;
    std::string log;  // path of what it wrote
    Nanoseconds started = 0;
    bool contender = false;  // started although another one lives, or together with another one
    bool told_to_drain = false;
};

struct SupervisorEnd {
    Supervisor supervisor;
    int wait_status = 0;

    [[nodiscard]] std::optional<int> exit_code() const;
    [[nodiscard]] bool killed() const;  // by SIGKILL
};

class Supervisors {
  public:
    Supervisors(const tests::Project& project, std::string log_folder, unsigned workers);
    ~Supervisors();
    Supervisors(const Supervisors&) = delete;
    Supervisors& operator=(const Supervisors&) = delete;

    // Returns when it has executed its program.
    Supervisor& start(bool contender);
    [[nodiscard]] std::vector<Supervisor>& living() { return living_; }
    // Waits until one has ended or the time is up, and takes those that have out of `living`.
    [[nodiscard]] std::vector<SupervisorEnd> wait(Nanoseconds until);
    // Kills it, which must have been alive, and reaps it.
    SupervisorEnd kill(std::size_t index);
    [[nodiscard]] int started() const { return started_; }

  private:
    const tests::Project& project_;
    std::string log_folder_;
    unsigned workers_;
    int started_ = 0;
    std::vector<Supervisor> living_;
};

// Whether the session of `ralph run` goes on with the next start, as the lock file tells after an end.
[[nodiscard]] bool session_goes_on(const tests::Project& project);

// How many entries /proc/<pid>/<what> has: fd, task.
[[nodiscard]] std::size_t count_of(pid_t pid, const char* what);

}  // namespace ralph::chaos
