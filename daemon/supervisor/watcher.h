// Tells of changes in folders, by inotify. The simulation replaces watcher.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/os/files.h"
#include "daemon/supervisor/loop.h"

namespace ralph::daemon {

class Watcher {
  public:
    // `changed` is called with a watched folder and the name in it that was written, renamed, made or
    // removed; with an empty name when something may have been missed and everything should be looked at.
    using Changed = std::function<void(const std::string& folder, std::string_view name)>;

    // Whether a file that is being written is told of when it is closed, or at each write.
    enum class Writes { whole, each };

    explicit Watcher(Loop& loop);
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();

    // A folder that is removed and made again later is watched again. Where the kernel has no inotify for us
    // (a user has 128 of them), that is told once, and everything is looked at every other second until it
    // has.
    void start(std::vector<std::string> folders, Changed changed, Writes writes = Writes::whole);
    void stop();

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace ralph::daemon
