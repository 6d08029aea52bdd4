// One chaos run: supervisors are started until one has drained the queue, and meanwhile everything goes
// wrong.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/history.h"
#include "tests/chaos/round.h"
#include "tests/chaos/supervisors.h"
#include "tests/chaos/workload.h"
#include "tests/support/disk.h"

namespace ralph::chaos {

class Campaign {
  public:
    // `disk` may be null: then it is never filled.
    Campaign(const tests::Project& project, tests::Disk* disk, Supervisors& supervisors,
             std::string colleague, const Options& options, Random& random, History& history);

    // Until the queue is drained. `with_faults`: false for a run in peace.
    void run(bool with_faults);

  private:
    struct Frozen {
        daemon::FileDescriptor pidfd;
        Nanoseconds until;
    };

    void start();
    void tick(bool with_faults);
    void take(const SupervisorEnd& end);
    void take_refusal(const SupervisorEnd& end);
    void strike(Fault fault);
    [[nodiscard]] bool perform(Fault fault);
    [[nodiscard]] bool kill_supervisor();
    [[nodiscard]] bool kill_part(bool of_worker, Part part);
    [[nodiscard]] bool freeze();
    [[nodiscard]] bool drain();
    [[nodiscard]] bool push_foreign();
    [[nodiscard]] bool ask_status();
    [[nodiscard]] bool ask_retry();
    void fill_disk();
    void sample();
    void clear_remote_lock();
    void settle();
    [[nodiscard]] Nanoseconds next_deadline() const;
    [[nodiscard]] Nanoseconds pause(int from_ms, int to_ms);
    void violate(std::string text) { history_.violations.push_back(std::move(text)); }

    const tests::Project& project_;
    tests::Disk* disk_;
    Supervisors& supervisors_;
    std::string colleague_;
    const Options& options_;
    Random& random_;
    History& history_;
    std::vector<Frozen> frozen_;
    std::vector<pid_t> known_;  // every supervisor that was started
    bool drained_ = false;
    Nanoseconds next_fault_ = 0;
    Nanoseconds next_sample_ = 0;
    Nanoseconds next_start_ = 0;
    Nanoseconds disk_free_at_ = 0;
    int foreign_pushes_ = 0;
};

}  // namespace ralph::chaos
