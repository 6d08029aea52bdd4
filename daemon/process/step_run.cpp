#include "daemon/process/step_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <utility>

#include "core/check.h"
#include "daemon/process/identity.h"
#include "daemon/process/spawn.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds ready_patience{30};
constexpr std::chrono::seconds deaf_shim_patience{10};
constexpr std::chrono::milliseconds adoption_pause{50};
constexpr int adoption_tries = 200;
constexpr std::chrono::milliseconds look_again_pause{500};

// waitid's P_PIDFD; glibc 2.36 has it, its header guards differ.
constexpr idtype_t by_pidfd = static_cast<idtype_t>(3);

}  // namespace

StepRun::StepRun(asio::io_context& context, asio::thread_pool& helper, Paths paths, std::string task_id,
                 core::Run run, core::Milliseconds kill_grace, RunCallbacks callbacks)
    : context_(context),
      helper_(helper),
      paths_(std::move(paths)),
      task_id_(std::move(task_id)),
      run_(run),
      kill_grace_(kill_grace),
      callbacks_(std::move(callbacks)),
      directory_(paths_.run(task_id_, run_)),
      control_(context),
      pidfd_(context),
      timer_(context) {}

void StepRun::launch(Launch launch) {
    auto request = std::make_shared<const Launch>(std::move(launch));
    asio::post(helper_, [self = shared_from_this(), request] {
        auto made = make_run_directory(self->paths_, request->spec);
        if (made) {
            made = make_directories(self->paths_.logs());
        }
        asio::post(self->context_, [self, request, made = std::move(made)] {
            if (made) {
                self->spawn_shim(*request);
            } else {
                self->unstarted(made.error().message);
            }
        });
    });
}

void StepRun::spawn_shim(const Launch& launch) {
    std::array<int, 2> sockets{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
        unstarted(system_error("socketpair", directory_, errno).message);
        return;
    }
    FileDescriptor ours(sockets[0]);
    const FileDescriptor theirs(sockets[1]);
    const FileDescriptor run_directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const FileDescriptor log_directory(::open(paths_.logs().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!run_directory || !log_directory) {
        unstarted(system_error("open", directory_, errno).message);
        return;
    }
    SpawnRequest request;
    request.program = launch.shim;
    request.environment = launch.environment;
    request.descriptors = {{run_directory.get(), 3}, {theirs.get(), 4}, {log_directory.get(), 5}};
    request.arguments = {
        "--grace",
        std::to_string(launch.kill_grace.count()),
        "--timeout",
        std::to_string(launch.timeout.count()),
        "--log",
        task_id_ + ".log",
        "--log-limit",
        std::to_string(launch.log_limit_bytes),
        "--cwd",
        launch.spec.working_directory,
        "--banner",
        fmt::format("{} {} run {} attempt {}", task_id_, to_string(run_.step), run_.number, run_.attempt),
        "--"};
    request.arguments.insert(request.arguments.end(), launch.spec.command.begin(), launch.spec.command.end());
    auto child = spawn(request);
    if (!child) {
        unstarted(child.error().message);
        return;
    }
    our_child_ = true;
    control_.assign(ours.release());
    pidfd_.assign(child->pidfd.release());
    await_ready();
}

void StepRun::await_ready() {
    timer_.expires_after(ready_patience);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            // Nothing has been started: closing the socket makes the shim give up, and if it is deaf, it is
            // ours to end.
            self->control_.close();
            static_cast<void>(
                ::syscall(SYS_pidfd_send_signal, self->pidfd_.native_handle(), SIGKILL, nullptr, 0));
        }
    });
    control_.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this()](const boost::system::error_code& problem) { self->on_ready(problem); });
}

void StepRun::on_ready(const boost::system::error_code& problem) {
    timer_.cancel();
    char byte = 0;
    const bool ready =
        !problem && ::recv(control_.native_handle(), &byte, 1, MSG_DONTWAIT) == 1 && byte == 'R';
    const bool go = ready && !end_requested_ && ::send(control_.native_handle(), "G", 1, MSG_NOSIGNAL) == 1;
    if (control_.is_open()) {
        control_.close();
    }
    if (go) {
        callbacks_.started();
    }
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code&) { self->on_gone(); });
}

void StepRun::adopt() {
    try_adopt();
}

void StepRun::try_adopt() {
    const auto view = view_run(directory_, run_);
    if (view && !view->shim_alive) {
        on_gone();
        return;
    }
    if (view && view->shim) {
        if (auto pidfd = open_process(*view->shim)) {
            watch(std::move(*pidfd));
            return;
        }
    }
    // The lock is held, but by whom is not written yet, or it is let go this very moment. Either is over
    // soon; a holder that never becomes known is left alone, since a process is only signalled when its
    // identity is proven.
    if (++adoptions_tried_ >= adoption_tries) {
        adoptions_tried_ = adoption_tries;
    }
    timer_.expires_after(adoption_pause * (adoptions_tried_ == adoption_tries ? 100 : 1));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            self->try_adopt();
        }
    });
}

void StepRun::watch(FileDescriptor pidfd) {
    pidfd_.assign(pidfd.release());
    if (end_requested_) {
        end();
    }
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code&) { self->on_gone(); });
}

void StepRun::end() {
    end_requested_ = true;
    if (!pidfd_.is_open() || control_.is_open()) {
        return;  // not started yet: on_ready or watch will see the request
    }
    static_cast<void>(::syscall(SYS_pidfd_send_signal, pidfd_.native_handle(), SIGTERM, nullptr, 0));
    timer_.expires_after(kill_grace_ + deaf_shim_patience);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled && self->pidfd_.is_open()) {
            static_cast<void>(
                ::syscall(SYS_pidfd_send_signal, self->pidfd_.native_handle(), SIGKILL, nullptr, 0));
        }
    });
}

void StepRun::on_gone() {
    timer_.cancel();
    if (our_child_) {
        siginfo_t info{};
        static_cast<void>(
            ::waitid(by_pidfd, static_cast<id_t>(pidfd_.native_handle()), &info, WEXITED | WNOHANG));
    }
    if (pidfd_.is_open()) {
        pidfd_.close();
    }
    look_at_end();
}

// What cannot be read now (no descriptor left, an I/O error) is not an outcome: it is read again until it can
// be.
void StepRun::look_at_end() {
    asio::post(helper_, [self = shared_from_this()] {
        auto view = view_run(self->directory_, self->run_);
        if (!view) {
            asio::post(self->context_, [self] { self->look_again(); });
            return;
        }
        core::RunEnd end = end_of(*view);
        core::Outcome outcome = view->outcome;
        asio::post(self->context_, [self, end = std::move(end), outcome = std::move(outcome)] {
            self->finish(end, outcome);
        });
    });
}

void StepRun::look_again() {
    timer_.expires_after(look_again_pause);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            self->look_at_end();
        }
    });
}

void StepRun::unstarted(std::string reason) {
    finish(core::UnstartedRun{std::move(reason)}, {});
}

void StepRun::finish(core::RunEnd end, core::Outcome outcome) {
    CHECK(callbacks_.ended);
    const auto ended = std::exchange(callbacks_.ended, nullptr);
    ended(std::move(end), std::move(outcome));
}

}  // namespace ralph::daemon
