// A living ralph-shim, which we started or which an earlier supervisor left: the only kind of process that
// the supervisor itself starts, signals and waits for. The simulation replaces shim_process.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/supervisor/run_record.h"
#include "daemon/os/files.h"
#include "daemon/supervisor/loop.h"

namespace ralph::daemon {

struct ShimRequest {
    std::string program;                   // absolute path of ralph-shim
    std::vector<std::string> arguments;    // without argv[0]
    std::vector<std::string> environment;  // "NAME=value", complete
    std::string run_directory;
    std::string log_directory;
};

// All callbacks come on the loop's thread, and none after the destruction. Destroying it signals nobody.
class ShimProcess {
  public:
    // The shim starts nothing before let_go(); if this object goes before that, the shim goes, too.
    [[nodiscard]] static Result<std::unique_ptr<ShimProcess>> start(Loop& loop, const ShimRequest& request);
    // Exactly that process, or null if it is gone.
    [[nodiscard]] static std::unique_ptr<ShimProcess> adopt(Loop& loop,
                                                            const core::ProcessIdentity& identity);

    ShimProcess(const ShimProcess&) = delete;
    ShimProcess& operator=(const ShimProcess&) = delete;
    ~ShimProcess();

    // Once, when the shim has reported ready (true) or will never do so (false).
    void await_ready(std::function<void(bool)> answered);
    // Sends the go byte; false if the shim is not there to receive it.
    [[nodiscard]] bool let_go();
    // Withdraws the start: the shim goes.
    void withdraw();
    // Once, when the process is gone; our own child is reaped by then.
    void await_end(std::function<void()> ended);
    void signal(int number);

    struct Impl;

  private:
    explicit ShimProcess(std::unique_ptr<Impl> world);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ralph::daemon
