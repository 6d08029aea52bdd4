// The service manager that started us, if one did: what we tell it, and what it tells when it signals us.
// Where there is none, there is no object: nothing here is needed to supervise.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/base/error.h"

namespace ralph::daemon {

using core::Result;

class ServiceManager {
  public:
    // Why we were told to end. It uses one signal for all of them.
    enum class Job {
        stop,
        restart,   // an upgrade, too: what runs is to go on, and the next start adopts it
        shutdown,  // of the machine, or of the user's session
        none,      // nothing is pending: somebody else has sent the signal
    };

    ServiceManager() = default;
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;
    virtual ~ServiceManager() = default;

    virtual void tell_ready() = 0;
    // One line for `systemctl status`.
    virtual void tell_status(const std::string& text) = 0;
    virtual void tell_reloading() = 0;
    virtual void tell_stopping() = 0;
    // Ending may take so long from now on, whatever the unit says.
    virtual void extend_timeout(std::chrono::milliseconds time) = 0;
    virtual void ping_watchdog() = 0;
    // How often that has to be done at least; 0: there is no watchdog.
    [[nodiscard]] virtual std::chrono::microseconds watchdog_period() const = 0;
    // Asks it, and waits for the answer for at most some seconds: on the helper thread. An error: it cannot
    // be known, so nothing must be ended.
    [[nodiscard]] virtual Result<Job> pending_job() const = 0;
};

// systemd, where it waits for our notifications (NOTIFY_SOCKET); else null. sd_notify(3),
// org.freedesktop.systemd1(5).
[[nodiscard]] std::unique_ptr<ServiceManager> connect_service_manager();

}  // namespace ralph::daemon
