// Gating ahead of time: while the gate runs on one candidate, those that will probably be asked for next are
// built and gated beside it, each in a process and a folder of its own (`ralph step gate`). Only verdicts
// come of it. What is pushed, and when, is decided as if there were no such thing; a verdict that is there
// already is merely not waited for.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/landing/gate.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/spawn.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

class Speculation {
  public:
    using Tasks = std::vector<std::string>;

    // With integration.parallel_gates - 1 slots. The context must outlive this.
    explicit Speculation(const StepContext& context);
    // Ends what runs.
    ~Speculation();
    Speculation(const Speculation&) = delete;
    Speculation& operator=(const Speculation&) = delete;

    // On these files, by the gates with these commands (gate.h).
    struct Verdict {
        std::string files;
        std::string commands;
        GateVerdict gates;
    };

    [[nodiscard]] std::size_t slots() const { return slots_.size(); }

    // These are likely, the most likely first: tasks on top of `tip`, which holds `landed` of this run. What
    // runs for another one is ended, and what is likely begins where there is a slot.
    void schedule(const std::vector<Tasks>& likely, const std::string& tip, const Tasks& landed);

    // What came of a candidate with these tasks, `landed` included, if it has been gated here or is at this
    // moment; then its end is waited for. The candidate was built anew there: compare the files.
    [[nodiscard]] std::optional<Verdict> take(const Tasks& content);

    // What else is on the target now is unknown here: nothing holds any more.
    void forget();

    // What is gated, each "RQ-0001,RQ-0002".
    [[nodiscard]] std::vector<std::string> under_way() const;

  private:
    struct Slot {
        unsigned number = 0;  // from 2: the first one is the merge queue's own
        Child child;
        FileDescriptor held;     // closed: it shall end
        FileDescriptor verdict;  // a file without a name that it writes to
        std::chrono::steady_clock::time_point give_up;
        Tasks content;
        [[nodiscard]] bool is_free() const { return child.pid < 0; }
    };

    void start(Slot& slot, const Tasks& tasks, const std::string& tip, Tasks content);
    // Whether it has ended. Waits for that until then, at the longest.
    bool reap(Slot& slot, std::chrono::steady_clock::time_point until);
    void end(const std::vector<Slot*>& unwanted);
    [[nodiscard]] core::Milliseconds longest_run() const;

    const StepContext& context_;
    std::vector<Slot> slots_;
    std::map<Tasks, Verdict> verdicts_;
};

// The process at one slot: builds the candidate that RALPH_GATE_TASKS on top of RALPH_GATE_TIP make, gates
// it, and writes the verdict to its descriptor 4. Ends early once its descriptor 3 is at its end. 0: there is
// a verdict.
[[nodiscard]] int run_gate_step(const StepContext& context);

}  // namespace ralph::daemon
