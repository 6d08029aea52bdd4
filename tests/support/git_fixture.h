// A temporary folder with a bare remote, a repository that is a clone of it and has a queue, and a
// colleague's clone. git sees no configuration of the machine. Everything is removed at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/queue/task.h"
#include "daemon/git/git.h"
#include "daemon/workspace/step_context.h"

namespace ralph::tests {

class GitFixture {
  public:
    // Whether queue and done are part of the commits, or ignored.
    enum class Queue { tracked, ignored };

    explicit GitFixture(Queue queue = Queue::tracked);
    ~GitFixture();
    GitFixture(const GitFixture&) = delete;
    GitFixture& operator=(const GitFixture&) = delete;

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string remote() const { return folder_ + "/remote.git"; }
    [[nodiscard]] std::string root() const { return folder_ + "/repo"; }
    [[nodiscard]] std::string colleague() const { return folder_ + "/colleague"; }
    [[nodiscard]] std::string workspace(std::string_view task = "RQ-0001") const {
        return workspaces() + "/" + std::string(task);
    }
    // Where candidates are built, and the git of it. Made here, as the merge queue makes them, if they are
    // not there.
    [[nodiscard]] std::string integration() const;
    [[nodiscard]] daemon::Git lane() const;
    // Runs that git, which must succeed, and returns its output without the last line end.
    std::string in_merge_queue(const std::vector<std::string>& arguments) const;
    [[nodiscard]] std::string workspaces() const { return folder_ + "/.workspaces/repo/parallel"; }

    // As the supervisor would hand it to a step of the task; without a gate.
    [[nodiscard]] daemon::StepContext context(const std::string& task = "RQ-0001") const;
    // Runs the prepare step, and keeps what it said as the supervisor does: the commit that the work begins
    // at.
    void prepare(const std::string& task, std::uint32_t number = 1) const;
    // That, and a worker that leaves one file: "work of TASK" in TASK.txt, or in `path`.
    void work(const std::string& task, const std::string& path = "") const;
    // What the last step said.
    [[nodiscard]] core::Outcome outcome() const;

    // Runs git, which must succeed, and returns its output without the last line end.
    std::string git(const std::string& directory, const std::vector<std::string>& arguments) const;
    // Commits everything in a clone and pushes the commit to the main branch.
    void commit_and_push(const std::string& clone, const std::string& message) const;
    // A commit by the colleague, on the remote.
    void push_by_colleague(const std::string& path, const std::string& content) const;

    // On the main branch of the remote.
    [[nodiscard]] std::string remote_file(const std::string& path) const;
    [[nodiscard]] std::vector<std::string> remote_subjects() const;  // newest first
    [[nodiscard]] core::TaskFile remote_tasks(const std::string& path) const;
    [[nodiscard]] std::vector<std::string> kept_refs(const std::string& task = "RQ-0001") const;

    static void write(const std::string& path, std::string_view content);
    static void write_script(const std::string& path, std::string_view content);  // for /bin/sh, executable
    [[nodiscard]] static std::string read(const std::string& path);
    [[nodiscard]] static bool exists(const std::string& path);
    [[nodiscard]] static std::vector<std::string> lines(const std::string& text);

  private:
    std::string folder_;
};

}  // namespace ralph::tests
