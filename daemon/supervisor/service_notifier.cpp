#include "daemon/supervisor/service_notifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <utility>

#include "core/supervisor/summary.h"

namespace ralph::daemon {
namespace {

constexpr core::Milliseconds margin{30'000};
constexpr int feedings_per_period = 3;

}  // namespace

ServiceNotifier::ServiceNotifier(Loop& loop, std::shared_ptr<ServiceManager> manager,
                                 std::function<void(core::Event)> post, std::function<void()> leave)
    : loop_(loop), manager_(std::move(manager)), post_(std::move(post)), leave_(std::move(leave)) {}

void ServiceNotifier::begin() {
    if (!manager_) {
        return;
    }
    manager_->tell_ready();
    feeding_ = manager_->watchdog_period() / feedings_per_period;
    if (feeding_.count() > 0) {
        ping_watchdog();
    }
}

void ServiceNotifier::ping_watchdog() {
    manager_->ping_watchdog();
    watchdog_.arm(feeding_, [this] { ping_watchdog(); });
}

void ServiceNotifier::show(const core::Supervisor& supervisor) {
    if (!manager_) {
        return;
    }
    std::string text = core::summary(supervisor);
    if (text != status_) {
        manager_->tell_status(text);
        status_ = std::move(text);
    }
}

void ServiceNotifier::on_end_signal(int signal, core::Milliseconds stop_timeout,
                                    core::Milliseconds longest_end) {
    loop_.post_to_helper([this, signal, stop_timeout, longest_end] {
        auto job = manager_->pending_job();
        loop_.post([this, signal, stop_timeout, longest_end, job = std::move(job)] {
            act_on(signal, job, stop_timeout, longest_end);
        });
    });
}

void ServiceNotifier::act_on(int signal, const Result<ServiceManager::Job>& job,
                             core::Milliseconds stop_timeout, core::Milliseconds longest_end) {
    if (!job) {
        spdlog::warn(
            "{}, so it is not known why the service is to end; what runs goes on, and the next start "
            "adopts it",
            job.error().message);
        manager_->tell_stopping();
        leave_();
        return;
    }
    switch (*job) {
        case ServiceManager::Job::restart:
            spdlog::info("the service restarts; what runs goes on");
            manager_->tell_stopping();
            leave_();
            return;
        case ServiceManager::Job::stop:
            manager_->tell_stopping();
            manager_->extend_timeout(stop_timeout + longest_end + margin);
            post_(core::event::DrainRequested{signal, "the service is stopped", true});
            return;
        case ServiceManager::Job::shutdown:
            manager_->tell_stopping();
            manager_->extend_timeout(longest_end + margin);
            post_(core::event::StopRequested{signal, true});
            return;
        case ServiceManager::Job::none:
            post_(
                core::event::DrainRequested{signal, fmt::format("received {}", ::strsignal(signal)), false});
            return;
    }
}

void ServiceNotifier::reload(const std::function<void()>& read) {
    manager_->tell_reloading();
    read();
    manager_->tell_ready();
}

void ServiceNotifier::end() {
    watchdog_.cancel();
}

}  // namespace ralph::daemon
