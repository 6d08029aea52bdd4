// One run of a step under its shim, as the supervisor sees it: launched or adopted, then watched to its end.
// Both ways lead to the same place, since all that is known of an end comes from the run directory.
//
//   launch: run directory made -> shim spawned -> 'R' received -> 'G' sent -> watched
//   adopt:  shim's identity proven by pidfd and start time            -> watched
//   watched: pidfd readable -> directory read, orphaned tree ended -> ended
//
// Everything happens on the loop's thread but what waits for the disk or for dying processes, which is posted
// to the helper thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"
#include "daemon/store/paths.h"
#include "daemon/supervisor/cgroup_limits.h"
#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/shim_process.h"

namespace ralph::daemon {

struct Launch {
    core::RunSpec spec;
    std::vector<std::string> environment;  // complete, RALPH_RUN_ID included
    core::Milliseconds timeout{0};         // 0: none
    core::Milliseconds silence{0};         // how long it may write nothing; 0: as long as it likes
    core::Milliseconds kill_grace{0};
    long long log_limit_bytes = 0;
    std::vector<CgroupLimit> limits;
    std::uint64_t descriptors = 0;  // the step's limit; 0: ours
    std::string shim;               // path of ralph-shim
};

struct RunCallbacks {
    std::function<void()> started;
    // Exactly once, the last thing that happens.
    std::function<void(core::RunEnd end, core::Outcome outcome, std::optional<core::BlockMarker> marker)>
        ended;
};

class StepRun : public std::enable_shared_from_this<StepRun> {
  public:
    StepRun(Loop& loop, Paths paths, std::string task_id, std::string workspace, core::Run run,
            core::Milliseconds kill_grace, RunCallbacks callbacks);

    void launch(Launch launch);
    void adopt();
    // Asks the shim to end the tree. A shim that does not in its grace is killed, and the tree with it.
    void end();

  private:
    void spawn_shim(const Launch& launch);
    void on_ready(bool ready);
    void try_adopt();
    void watch();
    void on_gone();
    void look_at_end();
    void look_again();
    void start_failed(std::string reason);
    void finish(core::RunEnd end, core::Outcome outcome, std::optional<core::BlockMarker> marker);

    Loop& loop_;
    Paths paths_;
    std::string task_id_;
    std::string workspace_;
    core::Run run_;
    core::Milliseconds kill_grace_;
    RunCallbacks callbacks_;
    std::string directory_;
    std::unique_ptr<ShimProcess> shim_;  // null before it is started or adopted, and when it is gone
    Timer timer_;
    int adoptions_tried_ = 0;
    bool answered_ = false;  // the shim has been let go or refused; true for an adopted one
    bool end_requested_ = false;
};

}  // namespace ralph::daemon
