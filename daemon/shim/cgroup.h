// The step's own cgroup, where one is delegated to us, and what the kernel counts per cgroup.
//
// A process can leave its session, its parent and its environment behind, but not its cgroup: ending the
// cgroup ends all of the step, even when the shim is gone and the supervisor has to do it. Without delegation
// there is no cgroup, and the tree is ended by walking it.
#pragma once

#include <string>
#include <string_view>

namespace ralph::shim {

// Of a whole tree, as far as the kernel tells.
struct Usage {
    long long user_microseconds = 0;
    long long system_microseconds = 0;
    long long peak_memory_kib = 0;
};

class Cgroup {
  public:
    // Where the cgroup of that run will be: see delegation.h.
    explicit Cgroup(const char* run_id);

    // Empty: there is none and will be none.
    [[nodiscard]] const std::string& path() const { return path_; }

    // Without success there is no cgroup, and path() is empty.
    void create();
    // Writes a limit ("memory.max") before anything is in it. False if the kernel refuses the value. Where
    // the controller is not enabled there is no such file, and nothing to do.
    [[nodiscard]] bool limit(const std::string& file, std::string_view value) const;
    // Between fork and exec: moves the calling process into it. Async-signal-safe.
    void enter() const;
    // Kills all that is in it, those that are being forked included. Returns when the last one has died.
    void end() const;
    // Adds what the kernel has counted for it, where that is more than what is known.
    void measure(Usage& usage) const;
    // With those that the step made in it. What is still in use stays.
    void remove();

  private:
    std::string path_;
    int processes_ = -1;  // cgroup.procs
};

// Counts the processes that the kernel has killed for want of memory: in the step's own cgroup if that has a
// memory controller, else in the nearest enclosing one (cgroup v2 or v1), which is ours, too.
class OutOfMemoryKills {
  public:
    // Begins to count.
    explicit OutOfMemoryKills(const Cgroup& step);
    [[nodiscard]] bool any() const { return count() > before_; }

  private:
    [[nodiscard]] long long count() const;

    std::string file_;  // empty: the kernel does not tell
    long long before_ = 0;
};

}  // namespace ralph::shim
