#include "daemon/supervisor/watcher.h"

#include <spdlog/spdlog.h>
#include <sys/inotify.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "daemon/supervisor/loop_impl.h"

namespace ralph::daemon {
namespace {
constexpr std::chrono::seconds pause_before_watching_again{1};
// How often everything is looked at where the kernel has no inotify for us.
constexpr std::chrono::seconds pause_between_looks{2};
}  // namespace

struct Watcher::Impl {
    explicit Impl(Loop& loop) : inotify(loop.impl().context), again(loop) {}

    [[nodiscard]] Result<void> begin();
    [[nodiscard]] Result<void> add(const std::string& folder);
    void wait();
    void read_events();
    void watch_again();
    void look_by_timer();

    boost::asio::posix::stream_descriptor inotify;
    Timer again;
    std::vector<std::string> folders;
    std::map<int, std::string> watched;
    Changed changed;
    Writes writes = Writes::whole;
    bool stopped = false;
};

Watcher::Watcher(Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}

Watcher::~Watcher() = default;

void Watcher::start(std::vector<std::string> folders, Changed changed, Writes writes) {
    impl_->writes = writes;
    impl_->folders = std::move(folders);
    impl_->changed = std::move(changed);
    if (const auto begun = impl_->begin(); !begun) {
        spdlog::warn("{}; files are looked at every {} s until it can be", begun.error().line(),
                     pause_between_looks.count());
        impl_->look_by_timer();
    }
}

void Watcher::stop() {
    boost::system::error_code ignored;
    impl_->stopped = true;
    impl_->again.cancel();
    impl_->inotify.close(ignored);
}

// All of the folders, or none.
Result<void> Watcher::Impl::begin() {
    const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) {
        return system_error("inotify_init", "inotify", errno);
    }
    inotify.assign(descriptor);
    for (const std::string& folder : folders) {
        if (auto added = add(folder); !added) {
            boost::system::error_code ignored;
            inotify.close(ignored);
            watched.clear();
            return added;
        }
    }
    wait();
    return {};
}

void Watcher::Impl::look_by_timer() {
    again.arm(pause_between_looks, [this] {
        const bool watches = begin().has_value();
        if (watches) {
            spdlog::info("files are watched by inotify again");
        }
        changed("", "");  // who is told may stop the watching
        if (!watches && !stopped) {
            look_by_timer();
        }
    });
}

Result<void> Watcher::Impl::add(const std::string& folder) {
    const std::uint32_t each_write = writes == Writes::each ? IN_MODIFY : 0U;
    const int watch = ::inotify_add_watch(inotify.native_handle(), folder.c_str(),
                                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                              IN_DELETE | IN_MOVE_SELF | IN_ONLYDIR | each_write);
    if (watch < 0) {
        return system_error("watch", folder, errno);
    }
    watched[watch] = folder;
    return {};
}

void Watcher::Impl::wait() {
    inotify.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& problem) {
                           if (!problem) {
                               read_events();
                               wait();
                           }
                       });
}

void Watcher::Impl::read_events() {
    alignas(inotify_event) std::array<char, 16384> buffer{};
    while (true) {
        const ssize_t got = ::read(inotify.native_handle(), buffer.data(), buffer.size());
        if (got <= 0) {
            return;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* const name = buffer.data() + at + sizeof event;
            at += sizeof event + event.len;
            const auto found = watched.find(event.wd);
            if ((event.mask & IN_Q_OVERFLOW) != 0) {
                changed("", "");
            } else if (found == watched.end()) {
                continue;
            } else if ((event.mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) {
                watched.erase(found);
                watch_again();
            } else if (event.len > 0) {
                changed(found->second, name);
            }
        }
    }
}

// One of the folders is gone, or was replaced.
void Watcher::Impl::watch_again() {
    again.arm(pause_before_watching_again, [this] {
        bool missing = false;
        for (const std::string& folder : folders) {
            missing = !add(folder).has_value() || missing;
        }
        changed("", "");
        if (missing && !stopped) {
            watch_again();
        }
    });
}

}  // namespace ralph::daemon
