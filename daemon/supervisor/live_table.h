// A table of the tasks that is redrawn below the log lines on a terminal.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <mutex>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::daemon {

// The lines of the table, at most `height` of them, each cut at `width` columns. Pure, for tests.
[[nodiscard]] std::vector<std::string> table_lines(const core::Supervisor& supervisor, std::size_t width,
                                                   std::size_t height);

// Is itself the log's sink, since a log line must be written above the table.
class LiveTable : public spdlog::sinks::base_sink<std::mutex> {
  public:
    void show(const core::Supervisor& supervisor);
    void close();

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override;
    void flush_() override;

  private:
    void erase();
    void draw();

    std::vector<std::string> lines_;
    std::size_t drawn_ = 0;
    bool closed_ = false;
};

}  // namespace ralph::daemon
