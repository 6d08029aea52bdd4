#include "daemon/supervisor/remote_watch.h"

#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <optional>
#include <random>
#include <utility>

#include "daemon/os/program.h"
#include "daemon/os/spawn.h"
#include "daemon/supervisor/loop_impl.h"

namespace ralph::daemon {
namespace {

// git ends by itself before; a program that was stopped does not.
constexpr std::chrono::minutes longest_look{15};

}  // namespace

struct RemoteWatch::Impl {
    explicit Impl(Loop& loop) : timer(loop), ended(loop.impl().context) {}

    void wait();
    void look();
    void on_end();

    LookProgram program;
    std::chrono::milliseconds pause{0};
    std::function<void(int)> looked;
    Timer timer;
    std::optional<Child> child;
    boost::asio::posix::stream_descriptor ended;
    bool again = false;
    bool stopped = true;
    std::minstd_rand dice{std::random_device{}()};
};

RemoteWatch::RemoteWatch(Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}

RemoteWatch::~RemoteWatch() = default;

void RemoteWatch::start(LookProgram program, std::chrono::milliseconds pause, bool at_once,
                        std::function<void(int)> looked) {
    impl_->program = std::move(program);
    impl_->pause = pause;
    impl_->looked = std::move(looked);
    impl_->stopped = false;
    if (at_once && pause.count() > 0) {
        impl_->look();
    } else {
        impl_->wait();
    }
}

void RemoteWatch::look_now() {
    if (impl_->child) {
        impl_->again = true;
    } else if (!impl_->stopped) {
        impl_->look();
    }
}

// A look that is under way ends by itself.
void RemoteWatch::stop() {
    boost::system::error_code ignored;
    impl_->stopped = true;
    impl_->timer.cancel();
    impl_->ended.close(ignored);
}

// Between three and five quarters of the pause.
void RemoteWatch::Impl::wait() {
    if (pause.count() > 0) {
        std::uniform_int_distribution<std::int64_t> jitter(pause.count() * 3 / 4, pause.count() * 5 / 4);
        timer.arm(std::chrono::milliseconds{jitter(dice)}, [this] { look(); });
    }
}

void RemoteWatch::Impl::look() {
    SpawnRequest request;
    request.program = program.program;
    request.arguments = program.arguments;
    request.environment = our_environment();
    auto started = spawn(request);
    if (!started) {
        spdlog::debug("the remote is not looked at: {}", started.error().line());
        wait();
        return;
    }
    child.emplace(std::move(*started));
    ended.assign(child->pidfd.release());
    ended.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& problem) {
                         if (!problem) {
                             on_end();
                         }
                     });
    timer.arm(longest_look, [this] {
        static_cast<void>(::syscall(SYS_pidfd_send_signal, ended.native_handle(), SIGKILL, nullptr, 0));
    });
}

void RemoteWatch::Impl::on_end() {
    boost::system::error_code ignored;
    const int status = reap(*child);
    ended.close(ignored);
    child.reset();
    wait();
    if (std::exchange(again, false)) {
        look();
    }
    looked(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

}  // namespace ralph::daemon
