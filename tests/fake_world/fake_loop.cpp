// daemon/supervisor/loop.h, watcher.h and remote_watch.h in the fake world: whoever simulates decides what
// comes next. There is no remote to look at.
#include <utility>

#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/remote_watch.h"
#include "daemon/supervisor/watcher.h"
#include "tests/fake_world/fake_world.h"

namespace ralph::daemon {

struct Loop::Impl {
    fake::LoopState state;
    fake::LoopState* before = nullptr;
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {
    impl_->before = std::exchange(fake::world().loop, &impl_->state);
}

Loop::~Loop() {
    // What was posted may own what still wants to reach the loop when it goes.
    fake::LoopState& state = impl_->state;
    state.posted.clear();
    state.helper.clear();
    auto timers = std::exchange(state.timers, {});
    timers.clear();
    // Nor may a link go while it is walked over.
    std::vector<std::function<void(bool)>> answers;
    std::vector<std::function<void()>> ends;
    for (const auto& [pid, link] : fake::world().links) {
        answers.push_back(std::exchange(link->answered, nullptr));
        ends.push_back(std::exchange(link->ended, nullptr));
    }
    answers.clear();
    ends.clear();
    fake::world().loop = impl_->before;
}

void Loop::run() {
    fake::World& world = fake::world();
    while (!world.dead && !impl_->state.stopped && impl_->state.waits()) {
        world.turn();
    }
}

void Loop::stop() {
    impl_->state.stopped = true;
}

void Loop::post(Work work) {
    impl_->state.posted.push_back(std::move(work));
}

void Loop::post_to_helper(Work work) {
    impl_->state.helper.push_back(std::move(work));
}

void Loop::watch_signals(const std::vector<int>& /*signals*/, std::function<void(int)> arrived) {
    impl_->state.signal_arrived = std::move(arrived);
}

void Loop::let_signals_go() {
    impl_->state.signal_arrived = nullptr;
}

struct Timer::Impl {
    fake::LoopState* loop;
    std::uint64_t number;
};

Timer::Timer(Loop& loop) : impl_(new Impl{&loop.impl().state, fake::world().next_timer++}) {}

Timer::~Timer() {
    cancel();
}

void Timer::arm(std::chrono::nanoseconds time, Loop::Work work) {
    const auto pause = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    impl_->loop->timers[impl_->number] = {fake::world().now_ms + pause, std::move(work)};
}

void Timer::cancel() {
    impl_->loop->timers.erase(impl_->number);
}

struct Watcher::Impl {
    fake::LoopState* loop;
};

Watcher::Watcher(Loop& loop) : impl_(new Impl{&loop.impl().state}) {}

Watcher::~Watcher() = default;

void Watcher::start(std::vector<std::string> folders, Changed changed, Writes /*writes*/) {
    impl_->loop->watched_folders = std::move(folders);
    impl_->loop->file_changed = std::move(changed);
}

void Watcher::stop() {
    impl_->loop->file_changed = nullptr;
}

struct RemoteWatch::Impl {};

RemoteWatch::RemoteWatch(Loop& /*loop*/) {}

RemoteWatch::~RemoteWatch() = default;

void RemoteWatch::start(LookProgram /*program*/, std::chrono::milliseconds /*pause*/, bool /*at_once*/,
                        std::function<void(int)> /*looked*/) {}

void RemoteWatch::look_now() {}

void RemoteWatch::stop() {}

}  // namespace ralph::daemon
