// What a supervisor owes the service manager that started it, and what that asks of it by signals.
//
//   READY=1         once the locks are held and what ran is being adopted
//   STATUS=         after every decision that changes it
//   WATCHDOG=1      by a timer of the loop itself: a loop that is stuck is noticed, and restarted
//   SIGTERM         the pending job tells what is meant: a restart leaves all runs under their shims, a stop
//   drains
//                   for stop_timeout, a machine that shuts down ends them at once. What cannot be known ends
//                   nothing.
//   SIGHUP          reads the settings again
//
// Without a service manager all of it does nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/supervisor/supervisor.h"
#include "daemon/service/service_manager.h"
#include "daemon/supervisor/loop.h"

namespace ralph::daemon {

class ServiceNotifier {
  public:
    // `leave`: the supervisor alone ends, at once, and all runs go on under their shims.
    ServiceNotifier(Loop& loop, std::shared_ptr<ServiceManager> manager,
                    std::function<void(core::Event)> post, std::function<void()> leave);

    [[nodiscard]] bool is_service() const { return manager_ != nullptr; }
    void begin();
    void show(const core::Supervisor& supervisor);
    // `longest_end`: how long ending may take beyond draining.
    void on_end_signal(int signal, core::Milliseconds stop_timeout, core::Milliseconds longest_end);
    // `read` reads the settings again and posts what changes.
    void reload(const std::function<void()>& read);
    // No timer of ours keeps the loop any longer.
    void end();

  private:
    void ping_watchdog();
    void act_on(int signal, const Result<ServiceManager::Job>& job, core::Milliseconds stop_timeout,
                core::Milliseconds longest_end);

    Loop& loop_;
    std::shared_ptr<ServiceManager> manager_;
    std::function<void(core::Event)> post_;
    std::function<void()> leave_;
    Timer watchdog_{loop_};
    std::chrono::microseconds feeding_{0};  // how often; 0: never
    std::string status_;
};

}  // namespace ralph::daemon
