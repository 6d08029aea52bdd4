// The documents that a shim leaves in its run directory (docs/run-directory.md).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "daemon/shim/cgroup.h"

namespace ralph::shim {

constexpr int run_directory = 3;  // the inherited descriptor

// Writes a file of the run directory so that it is either there as a whole, for good, or not there.
[[nodiscard]] bool write_durably(const char* name, std::string_view text);

// Identity of a process of this boot; `cgroup` is that of the step, empty where it has none of its own.
[[nodiscard]] std::string process_document(pid_t pid, const std::string& cgroup);

struct Ending {
    int wait_status = 0;
    bool timed_out = false;
    bool stopped = false;
    bool out_of_memory = false;
    int exec_error = 0;  // errno, if the step's program could not be executed
    std::string started_at;
    std::string ended_at;
    Usage usage;
};

[[nodiscard]] std::string exit_document(const Ending& ending);

// The way of the exit record to the disk: its space is taken before the step can fill the disk.
class ExitRecord {
  public:
    [[nodiscard]] bool reserve();
    // Nothing was started: there will be no exit record.
    void cancel();
    // Returns when the record is durable, however long that takes; or at once when somebody has removed the
    // run directory, in which nothing can be written any more: then the run is lost, and known to be.
    void deliver(const std::string& document);

  private:
    int reserved_ = -1;
};

}  // namespace ralph::shim
