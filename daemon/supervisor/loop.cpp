#include "daemon/supervisor/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <utility>

#include "daemon/supervisor/loop_impl.h"

namespace ralph::daemon {

namespace asio = boost::asio;

Loop::Loop() : impl_(std::make_unique<Impl>()) {}

Loop::~Loop() {
    impl_->helper.join();
}

void Loop::run() {
    impl_->context.run();
    impl_->helper.join();
}

void Loop::stop() {
    impl_->helper.stop();
    impl_->context.stop();
}

void Loop::post(Work work) {
    asio::post(impl_->context, std::move(work));
}

// The context must not run out of work while the helper is about to post to it.
void Loop::post_to_helper(Work work) {
    asio::post(impl_->helper,
               [work = std::move(work), guard = asio::make_work_guard(impl_->context)] { work(); });
}

void Loop::watch_signals(const std::vector<int>& signals, std::function<void(int)> arrived) {
    for (const int signal : signals) {
        impl_->signals.add(signal);
    }
    impl_->arrived = std::move(arrived);
    impl_->wait_for_signal();
}

void Loop::let_signals_go() {
    impl_->signals.cancel();
}

void Loop::Impl::wait_for_signal() {
    signals.async_wait([this](const boost::system::error_code& cancelled, int signal) {
        if (!cancelled) {
            arrived(signal);
            wait_for_signal();
        }
    });
}

// The number tells an arming that was overtaken, and whose handler is on its way already, from the present
// one; it lives as long as any handler.
struct Timer::Impl {
    explicit Impl(Loop& loop) : timer(loop.impl().context) {}
    asio::steady_timer timer;
    std::shared_ptr<std::uint64_t> arming = std::make_shared<std::uint64_t>(0);
};

Timer::Timer(Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}

Timer::~Timer() {
    cancel();
}

void Timer::arm(std::chrono::nanoseconds time, Loop::Work work) {
    const std::uint64_t number = ++*impl_->arming;
    impl_->timer.expires_after(time);
    impl_->timer.async_wait(
        [work = std::move(work), arming = impl_->arming, number](const boost::system::error_code& cancelled) {
            if (!cancelled && *arming == number) {
                work();
            }
        });
}

void Timer::cancel() {
    ++*impl_->arming;
    impl_->timer.cancel();
}

}  // namespace ralph::daemon
