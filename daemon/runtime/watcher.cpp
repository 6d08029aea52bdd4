#include "daemon/runtime/watcher.h"

#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ralph::daemon {
namespace {
constexpr std::chrono::seconds pause_before_watching_again{1};
}

Watcher::Watcher(boost::asio::io_context& context) : inotify_(context), again_(context) {}

Result<void> Watcher::start(std::vector<std::string> folders, Changed changed) {
    const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) {
        return system_error("inotify_init", "inotify", errno);
    }
    inotify_.assign(descriptor);
    folders_ = std::move(folders);
    changed_ = std::move(changed);
    for (const std::string& folder : folders_) {
        if (auto added = add(folder); !added) {
            return added;
        }
    }
    wait();
    return {};
}

void Watcher::stop() {
    boost::system::error_code ignored;
    again_.cancel();
    inotify_.close(ignored);
}

Result<void> Watcher::add(const std::string& folder) {
    const int watch =
        ::inotify_add_watch(inotify_.native_handle(), folder.c_str(),
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_ONLYDIR);
    if (watch < 0) {
        return system_error("watch", folder, errno);
    }
    watched_[watch] = folder;
    return {};
}

void Watcher::wait() {
    inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this](const boost::system::error_code& problem) {
                            if (!problem) {
                                read_events();
                                wait();
                            }
                        });
}

void Watcher::read_events() {
    alignas(inotify_event) std::array<char, 16384> buffer{};
    while (true) {
        const ssize_t got = ::read(inotify_.native_handle(), buffer.data(), buffer.size());
        if (got <= 0) {
            return;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* const name = buffer.data() + at + sizeof event;
            at += sizeof event + event.len;
            const auto watched = watched_.find(event.wd);
            if ((event.mask & IN_Q_OVERFLOW) != 0) {
                changed_("", "");
            } else if (watched == watched_.end()) {
                continue;
            } else if ((event.mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) {
                watched_.erase(watched);
                watch_again();
            } else if (event.len > 0) {
                changed_(watched->second, name);
            }
        }
    }
}

void Watcher::watch_again() {
    again_.expires_after(pause_before_watching_again);
    again_.async_wait([this](const boost::system::error_code& cancelled) {
        if (cancelled) {
            return;
        }
        bool missing = false;
        for (const std::string& folder : folders_) {
            missing = !add(folder).has_value() || missing;
        }
        changed_("", "");
        if (missing) {
            watch_again();
        }
    });
}

}  // namespace ralph::daemon
