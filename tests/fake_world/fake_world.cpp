#include "tests/fake_world/fake_world.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/check.h"
#include "daemon/os/cgroup.h"
#include "daemon/os/clock.h"
#include "daemon/os/identity.h"

namespace ralph::fake {
namespace {

thread_local World* current = nullptr;

constexpr std::int64_t epoch_ms = 1'771'545'600'000;  // 2026-02-20T00:00:00Z

}  // namespace

World& world() {
    CHECK(current != nullptr);
    return *current;
}

WorldScope::WorldScope(World& world) : before_(std::exchange(current, &world)) {}

WorldScope::~WorldScope() {
    current = before_;
}

core::Instant World::wall_clock() const {
    return core::Instant{core::Milliseconds{epoch_ms + now_ms + clock_error_ms}};
}

void World::tell_watchers(const std::string& path) {
    if (loop == nullptr || !loop->file_changed) {
        return;
    }
    const std::size_t slash = path.rfind('/');
    const std::string folder = path.substr(0, slash);
    const auto& folders = loop->watched_folders;
    if (std::find(folders.begin(), folders.end(), folder) != folders.end()) {
        loop->posted.emplace_back([this, folder, name = path.substr(slash + 1)] {
            if (loop != nullptr && loop->file_changed) {
                const auto changed = loop->file_changed;
                changed(folder, name);
            }
        });
    }
}

ShimLink* World::find_link(int pid, std::uint64_t number) const {
    const auto found = links.find(pid);
    return found != links.end() && found->second->number == number ? found->second : nullptr;
}

void World::answer(int pid, bool ready) {
    const auto found = links.find(pid);
    if (found == links.end()) {
        return;
    }
    loop->posted.emplace_back([this, pid, number = found->second->number, ready] {
        ShimLink* const link = find_link(pid, number);
        if (link != nullptr && link->answered) {
            const auto answered = std::exchange(link->answered, nullptr);
            --loop->shims_awaited;
            answered(ready);
        }
    });
}

void World::end(int pid) {
    const auto found = links.find(pid);
    if (found != links.end()) {
        answer(pid, false);
        found->second->gone = true;
        tell_end(*found->second);
    }
}

void World::tell_end(const ShimLink& gone) {
    loop->posted.emplace_back([this, pid = gone.pid, number = gone.number] {
        ShimLink* const link = find_link(pid, number);
        if (link != nullptr && link->ended) {
            const auto ended = std::exchange(link->ended, nullptr);
            --loop->shims_awaited;
            ended();
        }
    });
}

std::optional<std::int64_t> LoopState::next_timer() const {
    std::optional<std::int64_t> next;
    for (const auto& [number, armed] : timers) {
        next = std::min(armed.due_ms, next.value_or(armed.due_ms));
    }
    return next;
}

bool LoopState::run_due_timer(std::int64_t now_ms) {
    const auto found = std::min_element(
        timers.begin(), timers.end(),
        [](const auto& left, const auto& right) { return left.second.due_ms < right.second.due_ms; });
    if (found == timers.end() || found->second.due_ms > now_ms) {
        return false;
    }
    const auto work = std::move(found->second.work);
    timers.erase(found);
    work();
    return true;
}

}  // namespace ralph::fake

// --- clock and processes
// ------------------------------------------------------------------------------------------

namespace ralph::daemon {

core::Instant monotonic_clock() {
    return core::Instant{core::Milliseconds{fake::world().now_ms}};
}

int utc_offset_minutes(core::Instant) {
    return 0;
}

core::Instant wall_clock() {
    return fake::world().wall_clock();
}

void pause_for(std::chrono::milliseconds time) {
    fake::world().now_ms += time.count();
}

std::string boot_id() {
    return fake::world().boot_id;
}

core::ProcessIdentity own_identity() {
    return {own_pid(), 1, boot_id()};
}

pid_t own_pid() {
    return fake::world().supervisor_pid;
}

bool process_exists(pid_t pid) {
    const fake::World& world = fake::world();
    return pid == world.supervisor_pid || (world.host != nullptr && world.host->process_exists(pid));
}

Result<std::size_t> end_orphaned_tree(const std::string& run_id, int /*patience_milliseconds*/) {
    fake::World& world = fake::world();
    if (world.dead || world.host == nullptr) {
        return Error{"the supervisor is dead"};
    }
    const auto ended = world.host->end_orphaned_tree(run_id);
    return ended ? Result<std::size_t>{*ended} : Result<std::size_t>{Error{"some do not end"}};
}

// The shims of this world make none.
Result<void> end_orphaned_cgroup(const std::string& /*path*/, const std::string& /*run_id*/,
                                 int /*patience_milliseconds*/) {
    return {};
}

struct ShimProcess::Impl {
    fake::ShimLink link;
};

ShimProcess::ShimProcess(std::unique_ptr<Impl> world) : impl_(std::move(world)) {
    impl_->link.number = fake::world().next_link++;
    fake::world().links[impl_->link.pid] = &impl_->link;
}

ShimProcess::~ShimProcess() {
    fake::World& world = fake::world();
    const auto found = world.links.find(impl_->link.pid);
    if (found != world.links.end() && found->second == &impl_->link) {
        world.links.erase(found);
        if (world.loop != nullptr) {
            world.loop->shims_awaited -= (impl_->link.answered ? 1U : 0U) + (impl_->link.ended ? 1U : 0U);
        }
    }
}

Result<std::unique_ptr<ShimProcess>> ShimProcess::start(Loop& /*loop*/, const ShimRequest& request) {
    fake::World& world = fake::world();
    const auto pid = world.dead ? std::nullopt : world.host->start_shim(request);
    if (!pid) {
        return Error{"ralph-shim: start failed: Resource temporarily unavailable"};
    }
    auto made = std::make_unique<Impl>();
    made->link.pid = *pid;
    return std::unique_ptr<ShimProcess>(new ShimProcess(std::move(made)));
}

std::unique_ptr<ShimProcess> ShimProcess::adopt(Loop& /*loop*/, const core::ProcessIdentity& identity) {
    if (fake::world().dead || !fake::world().host->is_alive(identity)) {
        return nullptr;
    }
    auto made = std::make_unique<Impl>();
    made->link.pid = identity.pid;
    return std::unique_ptr<ShimProcess>(new ShimProcess(std::move(made)));
}

void ShimProcess::await_ready(std::function<void(bool)> answered) {
    impl_->link.answered = std::move(answered);
    ++fake::world().loop->shims_awaited;
}

bool ShimProcess::let_go() {
    fake::World& world = fake::world();
    if (world.dead || impl_->link.gone) {
        return false;
    }
    world.host->let_go(impl_->link.pid);
    return true;
}

void ShimProcess::withdraw() {
    if (!fake::world().dead && !impl_->link.gone) {
        fake::world().host->withdraw(impl_->link.pid);
    }
}

void ShimProcess::await_end(std::function<void()> ended) {
    fake::World& world = fake::world();
    impl_->link.ended = std::move(ended);
    ++world.loop->shims_awaited;
    if (impl_->link.gone) {
        world.tell_end(impl_->link);
    }
}

void ShimProcess::signal(int number) {
    if (!fake::world().dead && !impl_->link.gone) {
        fake::world().host->signal(impl_->link.pid, number);
    }
}

}  // namespace ralph::daemon
