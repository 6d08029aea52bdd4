#include "daemon/supervisor/shim_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>

#include "daemon/os/identity.h"
#include "daemon/os/spawn.h"
#include "daemon/supervisor/loop_impl.h"

namespace ralph::daemon {
namespace {

namespace asio = boost::asio;

// What must be left when a shim has been started: reading how a step ended, and writing the state, must not
// fail because too many run.
constexpr int spare_descriptors = 8;

Result<void> check_spare_descriptors(int any) {
    std::vector<FileDescriptor> spare;
    for (int i = 0; i < spare_descriptors; ++i) {
        spare.emplace_back(::fcntl(any, F_DUPFD_CLOEXEC, 0));
        if (!spare.back()) {
            return system_error("keep some spare descriptors beside", "the shim", errno);
        }
    }
    return {};
}

// waitid's P_PIDFD; glibc 2.36 has it, its header guards differ.
constexpr idtype_t by_pidfd = static_cast<idtype_t>(3);

}  // namespace

struct ShimProcess::Impl {
    Impl(Loop& loop, FileDescriptor owned)
        : pidfd(loop.impl().context, owned.release()), control(loop.impl().context) {}

    asio::posix::stream_descriptor pidfd;
    asio::posix::stream_descriptor control;
    bool our_child = false;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

ShimProcess::ShimProcess(std::unique_ptr<Impl> world) : impl_(std::move(world)) {}

ShimProcess::~ShimProcess() {
    *impl_->alive = false;
}

Result<std::unique_ptr<ShimProcess>> ShimProcess::start(Loop& loop, const ShimRequest& request) {
    std::array<int, 2> sockets{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
        return system_error("socketpair", request.run_directory, errno);
    }
    FileDescriptor ours(sockets[0]);
    const FileDescriptor theirs(sockets[1]);
    const FileDescriptor run_directory(
        ::open(request.run_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!run_directory) {
        return system_error("open", request.run_directory, errno);
    }
    const FileDescriptor log_directory(
        ::open(request.log_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!log_directory) {
        return system_error("open", request.log_directory, errno);
    }
    SpawnRequest spawned;
    spawned.program = request.program;
    spawned.arguments = request.arguments;
    spawned.environment = request.environment;
    spawned.descriptors = {{run_directory.get(), 3}, {theirs.get(), 4}, {log_directory.get(), 5}};
    TRY(check_spare_descriptors(theirs.get()));
    TRY_ASSIGN(auto child, spawn(spawned));
    auto world = std::make_unique<Impl>(loop, std::move(child.pidfd));
    world->our_child = true;
    world->control.assign(ours.release());
    return std::unique_ptr<ShimProcess>(new ShimProcess(std::move(world)));
}

std::unique_ptr<ShimProcess> ShimProcess::adopt(Loop& loop, const core::ProcessIdentity& identity) {
    auto pidfd = open_process(identity);
    if (!pidfd) {
        return nullptr;
    }
    return std::unique_ptr<ShimProcess>(new ShimProcess(std::make_unique<Impl>(loop, std::move(*pidfd))));
}

void ShimProcess::await_ready(std::function<void(bool)> answered) {
    impl_->control.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this, alive = impl_->alive,
         answered = std::move(answered)](const boost::system::error_code& problem) {
            if (*alive) {
                char byte = 0;
                answered(!problem && ::recv(impl_->control.native_handle(), &byte, 1, MSG_DONTWAIT) == 1 &&
                         byte == 'R');
            }
        });
}

bool ShimProcess::let_go() {
    const bool sent =
        impl_->control.is_open() && ::send(impl_->control.native_handle(), "G", 1, MSG_NOSIGNAL) == 1;
    withdraw();
    return sent;
}

void ShimProcess::withdraw() {
    boost::system::error_code ignored;
    impl_->control.close(ignored);
}

void ShimProcess::await_end(std::function<void()> ended) {
    impl_->pidfd.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this, alive = impl_->alive, ended = std::move(ended)](const boost::system::error_code&) {
            if (!*alive) {
                return;
            }
            if (impl_->our_child) {
                siginfo_t info{};
                static_cast<void>(::waitid(by_pidfd, static_cast<id_t>(impl_->pidfd.native_handle()), &info,
                                           WEXITED | WNOHANG));
            }
            ended();
        });
}

void ShimProcess::signal(int number) {
    static_cast<void>(::syscall(SYS_pidfd_send_signal, impl_->pidfd.native_handle(), number, nullptr, 0));
}

}  // namespace ralph::daemon
