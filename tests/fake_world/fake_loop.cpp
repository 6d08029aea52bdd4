// daemon/supervisor/loop.h and daemon/supervisor/watcher.h in the fake world: whoever simulates decides what
// comes next.
#include <utility>

#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/watcher.h"
#include "tests/fake_world/fake_world.h"

namespace ralph::daemon {

struct Loop::World {
    fake::LoopState state;
    fake::LoopState* before = nullptr;
};

Loop::Loop() : world_(std::make_unique<World>()) {
    world_->before = std::exchange(fake::world().loop, &world_->state);
}

Loop::~Loop() {
    // What was posted may own what still wants to reach the loop when it goes.
    fake::LoopState& state = world_->state;
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
    fake::world().loop = world_->before;
}

void Loop::run() {
    fake::World& world = fake::world();
    while (!world.dead && !world_->state.stopped && world_->state.waits()) {
        world.turn();
    }
}

void Loop::stop() {
    world_->state.stopped = true;
}

void Loop::post(Work work) {
    world_->state.posted.push_back(std::move(work));
}

void Loop::post_to_helper(Work work) {
    world_->state.helper.push_back(std::move(work));
}

void Loop::watch_signals(const std::vector<int>& /*signals*/, std::function<void(int)> arrived) {
    world_->state.signal_arrived = std::move(arrived);
}

void Loop::let_signals_go() {
    world_->state.signal_arrived = nullptr;
}

struct Timer::World {
    fake::LoopState* loop;
    std::uint64_t number;
};

Timer::Timer(Loop& loop) : world_(new World{&loop.world().state, fake::world().next_timer++}) {}

Timer::~Timer() {
    cancel();
}

void Timer::arm(std::chrono::nanoseconds time, Loop::Work work) {
    const auto pause = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    world_->loop->timers[world_->number] = {fake::world().now_ms + pause, std::move(work)};
}

void Timer::cancel() {
    world_->loop->timers.erase(world_->number);
}

struct Watcher::World {
    fake::LoopState* loop;
};

Watcher::Watcher(Loop& loop) : world_(new World{&loop.world().state}) {}

Watcher::~Watcher() = default;

void Watcher::start(std::vector<std::string> folders, Changed changed) {
    world_->loop->watched_folders = std::move(folders);
    world_->loop->file_changed = std::move(changed);
}

void Watcher::stop() {
    world_->loop->file_changed = nullptr;
}

}  // namespace ralph::daemon
