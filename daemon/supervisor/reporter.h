// Tells people what happens: log lines, the history file, and a live table on a terminal.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/supervisor/supervisor.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

class LiveTable;

// "exited with status 0 after 12.3 s; CPU 3.2 s, 41 MiB"
[[nodiscard]] std::string describe_end(const core::RunEnd& end);
// "waits to land", "failed: work exited with status 1"
[[nodiscard]] std::string describe(const core::action::Announce& announcement);

class Reporter {
  public:
    // The live table is drawn on standard error if that is a terminal and `live` allows it.
    Reporter(Paths paths, bool live);
    Reporter(const Reporter&) = delete;
    Reporter& operator=(const Reporter&) = delete;
    ~Reporter();

    // Tells it, and returns the line for the history.
    [[nodiscard]] std::string announce(const core::action::Announce& announcement, core::Instant now);
    // On the helper thread, since it waits for the disk.
    void remember(const std::string& line);
    // The same: a line of ours between the output of a task's steps.
    void write_log(const std::string& task_id, std::string_view text) const;
    void note(const core::action::Note& note);
    // The table shows this from now on.
    void show(const core::Supervisor& supervisor);
    // Leaves the table as it is and draws no more.
    void close();

  private:
    Paths paths_;
    std::shared_ptr<LiveTable> table_;
    bool history_failed_ = false;
};

}  // namespace ralph::daemon
