// Runs of shell commands under real shims, driven to their ends without a supervisor.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/store/paths.h"
#include "daemon/store/run_directory.h"
#include "daemon/supervisor/loop_impl.h"
#include "daemon/supervisor/step_run.h"
#include "tests/support/temporary_directory.h"

namespace ralph::tests {

inline const core::Run bench_run{core::StepKind::work, 1, 1};

class Bench {
  public:
    // With a `root`, the run directory and the log are made there, and not in the bench's own folder.
    explicit Bench(core::Milliseconds grace = core::Milliseconds{300}, const std::string& root = "");
    ~Bench();  // also ends what a test that failed leaves running
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // The recipe of `sh -c script` in the bench's folder.
    [[nodiscard]] daemon::Launch shell(const std::string& script,
                                       core::Milliseconds timeout = core::Milliseconds{0},
                                       long long log_limit = 1 << 20);
    // A stand-in for the shim that runs shell lines in its place before it becomes the shim.
    [[nodiscard]] std::string shim_after(const std::string& lines) const;

    // Launches and waits for the end; `when_started` is called in between.
    core::RunEnd run(daemon::Launch launch,
                     const std::function<void(daemon::StepRun&)>& when_started = nullptr);
    // Many at a time, as runs 1, 2, 3 and so on; their ends in the same order.
    std::vector<core::RunEnd> run_all(const std::vector<daemon::Launch>& launches);
    // Adopts the run and waits for its end; `when_begun` is called before anything comes of it.
    core::RunEnd adopt(const std::function<void(daemon::StepRun&)>& when_begun = nullptr);
    // Launches a run and forgets about it once it has started, as a supervisor that crashes does.
    void launch_and_leave(daemon::Launch launch);

    [[nodiscard]] std::string log() const;
    [[nodiscard]] std::string file(const std::string& name) const;    // of the folder; "" if missing
    [[nodiscard]] std::string record(const std::string& name) const;  // of the run directory; "" if missing
    void write_record(const std::string& name, const std::string& text) const;
    [[nodiscard]] daemon::RunView view() const;
    [[nodiscard]] std::string run_directory() const { return paths_.run("RQ-0001", bench_run); }
    [[nodiscard]] const daemon::Paths& paths() const { return paths_; }
    [[nodiscard]] const TemporaryDirectory& folder() const { return folder_; }
    boost::asio::io_context& context() { return loop_.impl().context; }
    daemon::Loop& loop() { return loop_; }

  private:
    std::shared_ptr<daemon::StepRun> make(core::Run run, std::function<void()> started,
                                          std::function<void(core::RunEnd)> ended);
    core::RunEnd wait();

    TemporaryDirectory folder_;
    daemon::Paths paths_;
    core::Milliseconds grace_;
    daemon::Loop loop_;
    std::shared_ptr<daemon::StepRun> step_;
    std::optional<core::RunEnd> end_;
    std::vector<std::string> run_ids_;
};

// The exit record of a run that has one; any other end fails the test.
[[nodiscard]] core::ExitRecord exit_of(const core::RunEnd& end);

[[nodiscard]] pid_t pid_in(const std::string& text);

// Gone, or a zombie that its own parent has not reaped yet.
[[nodiscard]] bool is_over(pid_t pid);

// Waits until `condition` holds, for half a minute at most; for what other processes do.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace ralph::tests
