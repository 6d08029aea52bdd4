// Tells people what happens: log lines, the history file, and a live table on a terminal.
#pragma once

#include <memory>
#include <string>

#include "core/supervisor/supervisor.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

class LiveTable;

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
