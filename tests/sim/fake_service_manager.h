// The service manager of a simulated supervisor.
#pragma once

#include "daemon/service/service_manager.h"
#include "tests/sim/random.h"

namespace ralph::sim {

// Why the supervisor is signalled is anybody's guess, and sometimes it cannot be known.
class FakeServiceManager : public daemon::ServiceManager {
  public:
    explicit FakeServiceManager(Random& random) : random_(random) {}
    void tell_ready() override {}
    void tell_status(const std::string& /*text*/) override {}
    void tell_reloading() override {}
    void tell_stopping() override {}
    void extend_timeout(std::chrono::milliseconds /*time*/) override {}
    void ping_watchdog() override {}
    [[nodiscard]] std::chrono::microseconds watchdog_period() const override { return {}; }
    [[nodiscard]] daemon::Result<Job> pending_job() const override {
        switch (random_.below(5)) {
            case 0:
                return Job::stop;
            case 1:
                return Job::restart;
            case 2:
                return Job::shutdown;
            case 3:
                return Job::none;
            default:
                return core::Error{"nobody answers"};
        }
    }

  private:
    Random& random_;
};

}  // namespace ralph::sim
