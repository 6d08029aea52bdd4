// A project as its users have it: a remote, a clone with a queue, and the real `ralph` binary run on it. git
// and ralph see no configuration of the machine. Everything is removed at the end; a supervisor that still
// runs is killed first.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/queue/task.h"
#include "core/supervisor/state.h"
#include "daemon/os/program.h"
#include "daemon/os/spawn.h"
#include "daemon/store/paths.h"
#include "tests/support/temporary_directory.h"

namespace ralph::tests {

class Project {
  public:
    // With `.ralph` made by `ralph init`.
    Project();
    ~Project();
    Project(const Project&) = delete;
    Project& operator=(const Project&) = delete;

    [[nodiscard]] std::string root() const { return folder_ / "project"; }
    [[nodiscard]] std::string remote() const { return folder_ / "remote.git"; }
    [[nodiscard]] std::string workspaces() const { return folder_ / ".workspaces/project/parallel"; }
    [[nodiscard]] const TemporaryDirectory& folder() const { return folder_; }
    // Copies of both programs, which are run from now on; returns where they are.
    std::string use_copies();
    [[nodiscard]] daemon::Paths paths() const { return {root()}; }

    // Runs the binary in the repository, to its end. The status of one that was killed is 1000 + signal.
    daemon::ProgramEnd ralph(const std::vector<std::string>& arguments) const;
    // Runs git, which must succeed; returns its output.
    std::string git(const std::string& directory, const std::vector<std::string>& arguments) const;

    // Queues a task with a command of its own; returns its id.
    std::string add(const std::string& title, const std::string& run,
                    const std::vector<std::string>& needs = {}) const;
    void commit_and_push(const std::string& message = "change") const;

    // A supervisor, or another command, in the background; its standard error is in log().
    void start(const std::vector<std::string>& arguments);
    void signal(int number) const;
    // Stops it where it is, and returns when it has stopped; SIGCONT lets it go on.
    void freeze() const;
    [[nodiscard]] pid_t supervisor() const { return supervisor_ ? supervisor_->pid : -1; }
    // Kills it as a crash does, and waits until it is gone.
    void crash();
    // Waits for its end; the exit code, or 1000 + signal.
    int wait();
    [[nodiscard]] std::string log() const;
    [[nodiscard]] std::string output() const;  // its standard output

    [[nodiscard]] core::ParallelState state() const;  // empty while there is none
    [[nodiscard]] std::optional<core::WorkerRecord> record(const std::string& task_id) const;
    [[nodiscard]] std::vector<std::string> remote_subjects() const;  // newest first
    [[nodiscard]] std::vector<std::string> remote_done() const;      // ids in done.jsonc on the remote
    [[nodiscard]] static std::string read(const std::string& path);  // "" if missing
    static void write(const std::string& path, const std::string& text);
    [[nodiscard]] std::string outside(const std::string& name) const { return folder_ / name; }

    // Waits until it holds, for half a minute at most; for what other processes do.
    [[nodiscard]] static bool eventually(const std::function<bool()>& condition);

    // Every file below .ralph with its content, but for logs: to see that nothing was changed.
    [[nodiscard]] std::string snapshot() const;

    [[nodiscard]] std::vector<std::string> environment() const;  // of all that is run
    void add_to_environment(std::vector<std::string> variables) { more_environment_ = std::move(variables); }

  private:
    TemporaryDirectory folder_;
    std::string programs_ = RALPH_BINARY_DIR;
    std::vector<std::string> more_environment_;
    std::optional<daemon::Child> supervisor_;
};

}  // namespace ralph::tests
