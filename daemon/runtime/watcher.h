// Tells of changes in folders, by inotify.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/files.h"

namespace ralph::daemon {

class Watcher {
  public:
    // `changed` is called with a watched folder and the name in it that was written, renamed, made or
    // removed; with an empty name when something may have been missed and everything should be looked at.
    using Changed = std::function<void(const std::string& folder, std::string_view name)>;

    explicit Watcher(boost::asio::io_context& context);

    // The folders must exist. One that is removed and made again later is watched again.
    [[nodiscard]] Result<void> start(std::vector<std::string> folders, Changed changed);
    void stop();

  private:
    [[nodiscard]] Result<void> add(const std::string& folder);
    void wait();
    void read_events();
    void watch_again();

    boost::asio::posix::stream_descriptor inotify_;
    boost::asio::steady_timer again_;
    std::vector<std::string> folders_;
    std::map<int, std::string> watched_;
    Changed changed_;
};

}  // namespace ralph::daemon
