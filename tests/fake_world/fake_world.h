// The world that a simulated supervisor lives in: what daemon/os/clock.h, loop.h, process/identity.h,
// process/shim_process.h, runtime/watcher.h and store/file_calls.h reach is here. Whoever simulates fills in
// what a turn of the loop is and what shims do.
//
// The supervisor dies by `dead`: from then on no call of its has an effect, all fail with EIO, and its loop
// returns as soon as it is asked for the next turn.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/supervisor/run_record.h"
#include "daemon/supervisor/shim_process.h"
#include "tests/fake_world/disk.h"

namespace ralph::fake {

// What a supervisor holds of a shim; outlived by the shim.
struct ShimLink {
    int pid = 0;
    std::uint64_t number = 0;  // of this link; pids are used again
    bool gone = false;
    std::function<void(bool)> answered;
    std::function<void()> ended;
};

class ShimHost {
  public:
    ShimHost() = default;
    ShimHost(const ShimHost&) = delete;
    ShimHost& operator=(const ShimHost&) = delete;
    virtual ~ShimHost() = default;

    // The pid of a new shim, or nothing if it cannot be started.
    virtual std::optional<int> start_shim(const daemon::ShimRequest& request) = 0;
    virtual bool is_alive(const core::ProcessIdentity& identity) const = 0;
    virtual void let_go(int pid) = 0;
    virtual void withdraw(int pid) = 0;
    virtual void signal(int pid, int number) = 0;
    virtual bool process_exists(int pid) const = 0;
    // How many were ended; nothing if some do not end.
    virtual std::optional<std::size_t> end_orphaned_tree(const std::string& run_id) = 0;
};

struct LoopState {
    struct Armed {
        std::int64_t due_ms = 0;
        std::function<void()> work;
    };
    std::deque<std::function<void()>> posted;
    std::deque<std::function<void()>> helper;
    std::map<std::uint64_t, Armed> timers;  // by the number of the timer
    std::function<void(int)> signal_arrived;
    bool stopped = false;
    std::function<void(const std::string&, std::string_view)> file_changed;
    std::vector<std::string> watched_folders;
    std::size_t shims_awaited = 0;

    [[nodiscard]] bool waits() const {
        return !posted.empty() || !helper.empty() || !timers.empty() || signal_arrived || file_changed ||
               shims_awaited > 0;
    }
    [[nodiscard]] std::optional<std::int64_t> next_timer() const;
    // Runs the earliest timer that is due.
    bool run_due_timer(std::int64_t now_ms);
};

struct World {
    Disk disk;
    ShimHost* host = nullptr;
    bool dead = false;
    std::int64_t now_ms = 0;
    std::int64_t clock_error_ms = 0;
    int supervisor_pid = 1;
    std::string boot_id = "boot-1";
    std::function<void()> turn;
    LoopState* loop = nullptr;  // of the supervisor that lives; null if none does
    std::map<int, ShimLink*> links;
    std::uint64_t next_timer = 1;
    std::uint64_t next_link = 1;

    [[nodiscard]] core::Instant wall_clock() const;
    // Something happened in a watched folder.
    void tell_watchers(const std::string& path);
    // The shim says it is ready, or is gone.
    void answer(int pid, bool ready);
    void end(int pid);
    // Posts the end to whoever waits for it.
    void tell_end(const ShimLink& link);

  private:
    [[nodiscard]] ShimLink* find_link(int pid, std::uint64_t number) const;
};

// The one that the calls of this thread reach.
[[nodiscard]] World& world();

// Puts a world in place for as long as it lives.
class WorldScope {
  public:
    explicit WorldScope(World& world);
    WorldScope(const WorldScope&) = delete;
    WorldScope& operator=(const WorldScope&) = delete;
    ~WorldScope();

  private:
    World* before_;
};

}  // namespace ralph::fake
