// The Asio side of the loop, for the few that wait for descriptors.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>

#include "daemon/supervisor/loop.h"

namespace ralph::daemon {

struct Loop::Impl {
    boost::asio::io_context context{1};
    boost::asio::thread_pool helper{1};
    boost::asio::signal_set signals{context};
    std::function<void(int)> arrived;

    void wait_for_signal();
};

}  // namespace ralph::daemon
