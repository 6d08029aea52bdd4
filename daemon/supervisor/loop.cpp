#include "daemon/supervisor/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <utility>

#include "daemon/supervisor/loop_impl.h"

namespace ralph::daemon {

namespace asio = boost::asio;

Loop::Loop() : world_(std::make_unique<World>()) {}

Loop::~Loop() {
    world_->helper.join();
}

void Loop::run() {
    world_->context.run();
    world_->helper.join();
}

void Loop::stop() {
    world_->helper.stop();
    world_->context.stop();
}

void Loop::post(Work work) {
    asio::post(world_->context, std::move(work));
}

// The context must not run out of work while the helper is about to post to it.
void Loop::post_to_helper(Work work) {
    asio::post(world_->helper,
               [work = std::move(work), guard = asio::make_work_guard(world_->context)] { work(); });
}

void Loop::watch_signals(const std::vector<int>& signals, std::function<void(int)> arrived) {
    for (const int signal : signals) {
        world_->signals.add(signal);
    }
    world_->arrived = std::move(arrived);
    world_->wait_for_signal();
}

void Loop::let_signals_go() {
    world_->signals.cancel();
}

void Loop::World::wait_for_signal() {
    signals.async_wait([this](const boost::system::error_code& cancelled, int signal) {
        if (!cancelled) {
            arrived(signal);
            wait_for_signal();
        }
    });
}

// The number tells an arming that was overtaken, and whose handler is on its way already, from the present
// one; it lives as long as any handler.
struct Timer::World {
    explicit World(Loop& loop) : timer(loop.world().context) {}
    asio::steady_timer timer;
    std::shared_ptr<std::uint64_t> arming = std::make_shared<std::uint64_t>(0);
};

Timer::Timer(Loop& loop) : world_(std::make_unique<World>(loop)) {}

Timer::~Timer() {
    cancel();
}

void Timer::arm(std::chrono::nanoseconds time, Loop::Work work) {
    const std::uint64_t number = ++*world_->arming;
    world_->timer.expires_after(time);
    world_->timer.async_wait([work = std::move(work), arming = world_->arming,
                              number](const boost::system::error_code& cancelled) {
        if (!cancelled && *arming == number) {
            work();
        }
    });
}

void Timer::cancel() {
    ++*world_->arming;
    world_->timer.cancel();
}

}  // namespace ralph::daemon
