// The gate: the programs that judge a candidate before it is pushed.
//
// What has passed is remembered by its files, queue and done file apart, for a day: after a crash, for a
// candidate that was only built anew, and for what a worker has gated itself with `ralph gate`, nothing is
// judged twice. What was red is remembered for the present run alone, since the reason may have been
// elsewhere.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "daemon/git/git.h"
#include "daemon/store/gates.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct GateVerdict {
    bool green = true;
    bool recalled = false;     // the gate did not run now
    bool ran = true;           // false: it could not be run at all, which is nobody's work's fault
    std::string reason;        // of a red one: "gate `ci` exited with status 1: its last words; see LOG"
    std::string note;          // of a green one, if there is something to say
    std::string command = {};  // of the red gate, for people
    std::string output = {};   // the end of what it wrote
};

// What a gate runs in.
struct GateGround {
    // Before each run.
    std::function<core::Result<void>()> make_ready;
    // After each run: puts the working tree back to the commit. Returns what the gate has done to its ground
    // that makes it red whatever its exit code says ("removed ..."), or nothing; what cannot be repaired is
    // an error.
    std::function<core::Result<std::string>(const std::string& commit)> restore;
};

class Gates {
  public:
    // The settings must outlive this.
    Gates(const Settings& settings, Git git, GateGround ground);

    // Called before a gate runs, with its name.
    std::function<void(const std::string& name)> about_to_run;
    int until_end_of = -1;  // as in ProgramRequest

    [[nodiscard]] bool are_none() const { return gates_.empty(); }
    // Of all gates: what is green for others says nothing.
    [[nodiscard]] const std::string& commands() const { return commands_; }

    // What verdicts are remembered by: the commit's files, queue and done file apart, as one object of git.
    [[nodiscard]] core::Result<std::string> files_of(const std::string& commit) const;

    // What is known of them without running anything. A green one may be of yesterday, and others' doing, if
    // `recalled` is set.
    [[nodiscard]] std::optional<GateVerdict> recall(const std::string& files) const;
    // They were green elsewhere in this run.
    void learn_green(const std::string& files) { remember(files, GateVerdict{}); }

    // Judges HEAD, which must be `commit` with these files, and leaves the working tree as it was; `tasks`
    // are in it, on top of `base`. A red gate runs again as often as gate.retries says. It runs even if it is
    // known what comes of it. An error: that could not be found out now.
    [[nodiscard]] core::Result<GateVerdict> judge(const std::string& commit, const std::string& files,
                                                  const std::string& base,
                                                  const std::vector<std::string>& tasks);

  private:
    [[nodiscard]] core::Result<GateVerdict> run(const NamedGate& gate, const std::string& commit,
                                                const std::string& base,
                                                const std::vector<std::string>& tasks);

    void remember(const std::string& files, const GateVerdict& verdict);

    const Settings& settings_;
    Git git_;
    GateGround ground_;
    std::vector<NamedGate> gates_;
    std::string commands_;
    std::map<std::string, GateVerdict> known_;  // by files, of this run
};

}  // namespace ralph::daemon
