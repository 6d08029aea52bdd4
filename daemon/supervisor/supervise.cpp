#include "daemon/supervisor/supervise.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "core/queue/task.h"
#include "daemon/os/clock.h"
#include "daemon/store/holds.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/spending.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/supervisor/recovery.h"
#include "daemon/supervisor/reporter.h"
#include "daemon/supervisor/runtime.h"

namespace ralph::daemon {
namespace {

// How long recovery may take before the service manager takes it for stuck: some slow syncs for each task.
constexpr std::chrono::minutes recovery_patience{15};

Result<void> make_folders(const Paths& paths) {
    for (const std::string& folder :
         {paths.parallel(), paths.runs(), paths.retry_requests(), paths.cancel_requests(), paths.logs()}) {
        if (auto made = make_directories(folder); !made) {
            return Error{made.error().message, "make sure that the folder can be written"};
        }
    }
    // They may have been there without being durable.
    for (const std::string& folder : {paths.root, paths.ralph(), paths.cache(), paths.parallel()}) {
        TRY(sync_directory(folder));
    }
    return {};
}

}  // namespace

// The locks are let go after everything else.
Result<int> supervise(Supervision supervision) {
    const Paths paths = supervision.settings.paths;
    const core::Moment now = present_moment();
    if (supervision.service) {  // all that follows waits for the disk, until the loop runs
        supervision.service->extend_timeout(recovery_patience);
    }
    TRY(make_folders(paths));
    if (const auto made = make_directories(supervision.settings.accounts_folder); !made) {
        spdlog::warn("{}; limits of agents' accounts are not known across repositories", made.error().line());
    }
    TRY_ASSIGN(const auto lock, SupervisorLock::acquire(paths, core::format_rfc3339(now.wall)));
    const auto queue_lock =
        QueueLock::acquire(paths, "run loop", core::format_rfc3339(now.wall), lock.predecessor());
    if (!queue_lock) {
        return queue_lock.error();
    }
    if (auto claimed =
            supervision.claim_place ? supervision.claim_place(supervision.settings) : Result<void>{};
        !claimed) {
        return claimed.error();
    }
    note_start(paths, lock.resumed(), now.wall);
    // A request made before the start is lost, as with the Rust tools.
    TRY(remove_file(paths.stop_file()));
    if (auto counts = begin_run(paths, lock.session_started_at()); !counts) {
        spdlog::warn("{}", counts.error().line());
    }
    TRY_ASSIGN(auto recovered, recover_state(supervision.settings, lock, supervision.branch, now));
    for (const std::string& warning : recovered.warnings) {
        spdlog::warn("{}", core::printable(warning));
    }
    core::SupervisorSettings limits = supervision.take_settings(supervision.settings);
    Reporter reporter(paths, supervision.live_table);
    spdlog::info("{} workers on {}, landing on origin/{}{}", limits.workers, paths.root, supervision.branch,
                 lock.resumed() ? "; going on after an interruption" : "");
    auto supervisor =
        core::make_supervisor(std::move(limits), std::move(recovered.state), std::move(recovered.attempted));
    supervisor.created = std::move(recovered.created);
    supervisor.seemed_expired = std::move(recovered.seemed_expired);
    Runtime runtime(std::move(supervision.settings), std::move(supervision.executables), lock,
                    std::move(supervisor), reporter, std::move(supervision.service),
                    std::move(supervision.take_settings));
    runtime.let_watch(supervision.tells, std::move(supervision.observe));
    return runtime.run();
}

}  // namespace ralph::daemon
