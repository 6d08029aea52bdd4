// What a gate writes goes to a file of its own in .ralph/logs/parallel/gates/. A file keeps at most its last
// 32 MiB (the older half as NAME.log.1), and of all files the newest 100 are kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/os/file_descriptor.h"

namespace ralph::daemon {

// Whether a file has a name that a GateLog gives: "<gate>-<12 hexadecimal digits>[-<n>].log[.1]".
[[nodiscard]] bool is_gate_log(std::string_view name);

class GateLog {
  public:
    // `folder` is made if need be; the first free one of NAME.log, NAME-2.log and so on is written.
    GateLog(const std::string& folder, const std::string& name);

    // A log that cannot be written is no reason to stop a gate: the rest is dropped.
    void write(std::string_view text);
    [[nodiscard]] const std::string& path() const { return path_; }
    // The end of what was written, at most 8 KiB.
    [[nodiscard]] const std::string& tail() const { return tail_; }

  private:
    void open();

    std::string path_;
    FileDescriptor file_;
    std::size_t size_ = 0;
    std::string tail_;
};

}  // namespace ralph::daemon
