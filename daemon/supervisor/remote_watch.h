// Looks at the remote from time to time, by a program that is run for that. The simulation replaces
// remote_watch.cpp.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/supervisor/loop.h"

namespace ralph::daemon {

struct LookProgram {
    std::string program;  // absolute path
    std::vector<std::string> arguments;
};

class RemoteWatch {
  public:
    explicit RemoteWatch(Loop& loop);
    RemoteWatch(const RemoteWatch&) = delete;
    RemoteWatch& operator=(const RemoteWatch&) = delete;
    ~RemoteWatch();

    // Calls back with the exit status of each look, on the loop's thread; with -1 for one that was killed.
    // The first look begins at once, or after the pause. The pauses vary, so that many hosts do not look at
    // the same moment. Zero: only when look_now() asks.
    void start(LookProgram program, std::chrono::milliseconds pause, bool at_once,
               std::function<void(int)> looked);
    // If a look is under way, another one follows it.
    void look_now();
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ralph::daemon
