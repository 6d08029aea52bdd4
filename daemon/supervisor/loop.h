// Where everything that the supervisor waits for arrives: one thread that runs what is posted to it, and one
// helper thread for what waits for the disk or for dying processes. The simulation replaces loop.cpp by a
// loop that a seed drives.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace ralph::daemon {

class Loop {
  public:
    using Work = std::function<void()>;

    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    // Until there is nothing left to wait for, or it is stopped.
    void run();
    // What waits is never called; only what is on the helper thread already is ended.
    void stop();
    // On the loop's thread, later, in the order of posting. May be called on either thread.
    void post(Work work);
    // On the helper thread, one after the other.
    void post_to_helper(Work work);

    // Calls back for every arrival of one of the signals, until they are let go.
    void watch_signals(const std::vector<int>& signals, std::function<void(int)> arrived);
    void let_signals_go();

    struct Impl;  // for those that wait for something else (daemon/supervisor/loop_impl.h)
    [[nodiscard]] Impl& impl() { return *impl_; }

  private:
    std::unique_ptr<Impl> impl_;
};

// Calls back once, on the loop's thread, after a time. Armed again it forgets what it was armed for before;
// cancelled or destroyed it calls nobody.
class Timer {
  public:
    explicit Timer(Loop& loop);
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer();

    void arm(std::chrono::nanoseconds time, Loop::Work work);
    void cancel();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ralph::daemon
