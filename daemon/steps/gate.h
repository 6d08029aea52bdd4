// The gate: the programs that judge a candidate before it is pushed, run in the integration workspace.
//
// What has passed is remembered by its files, queue and done file apart, for a day: after a crash, and for a
// candidate that was only built anew, nothing is judged twice. What was red is remembered for the present run
// alone, since the reason may have been elsewhere.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/run_record.h"
#include "core/time.h"
#include "daemon/steps/git.h"
#include "daemon/steps/integration_workspace.h"
#include "daemon/steps/step_context.h"

namespace ralph::daemon {

struct NamedGate {
    std::string name;
    std::vector<std::string> command;
    core::Milliseconds timeout;
};

// agent.ci_gate as "ci", then those of `gates` in supervisor.jsonc, in the order in which they run.
[[nodiscard]] std::vector<NamedGate> gates_of(const Settings& settings);

struct GateVerdict {
    bool green = true;
    bool ran = true;           // false: it could not be run at all, which is nobody's work's fault
    std::string reason;        // of a red one: "gate `ci` exited with status 1: its last words; see LOG"
    std::string note;          // of a green one, if there is something to say
    std::string command = {};  // of the red gate, for people
    std::string output = {};   // the end of what it wrote
};

class Gates {
  public:
    // Both must outlive this.
    Gates(const StepContext& context, const IntegrationWorkspace& integration);

    // Called before a gate runs, with its name.
    std::function<void(const std::string& name)> about_to_run;

    // Judges HEAD, which must be `commit`, and leaves the working tree as it was. A red gate runs again as
    // often as gate.retries says. Memory::leave: runs even if it is known what comes of it. An error: that
    // could not be found out now.
    enum class Memory { use, leave };
    [[nodiscard]] core::Result<GateVerdict> judge(const std::string& commit, const std::string& base,
                                                  const std::vector<std::string>& tasks, Memory memory);

  private:
    [[nodiscard]] core::Result<std::string> files_of(const std::string& commit) const;
    [[nodiscard]] core::Result<GateVerdict> run(const NamedGate& gate, const std::string& commit,
                                                const std::string& base,
                                                const std::vector<std::string>& tasks);

    void remember_green(const std::string& files);

    const StepContext& context_;
    const IntegrationWorkspace& integration_;
    const Git& git_;
    std::vector<NamedGate> gates_;
    std::string commands_;  // of all gates: what is green for others says nothing
    std::map<std::string, core::Instant> green_;
    std::map<std::string, GateVerdict> red_;
};

}  // namespace ralph::daemon
