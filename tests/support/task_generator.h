// Many tasks of one project that are finished at the same time, behind a gate that says what it judges.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/supervisor/lifecycle.h"
#include "tests/support/project.h"
#include "tests/support/text.h"

namespace ralph::tests {

using Lines = std::vector<std::string>;

[[nodiscard]] Lines lines_of(const std::string& text);

// The gate is red if there is a file that is called bad-something.
class TaskGenerator {
  public:
    TaskGenerator();

    // Each of `count` tasks does `work(i)` and waits for all others, i from 1.
    template <class Work>
    void add(int count, Work work) {
        for (int i = 1; i <= count; ++i) {
            project.add(
                fmt::format("task {}", i),
                fmt::format("{}; touch '{}/{}'; until [ $(ls '{}' | wc -l) = {} ]; do sleep 0.05; done",
                            work(i), arrived_, i, arrived_, count));
        }
        project.commit_and_push("queue");
    }
    // What the gate does after it has said what it judges, and whose exit status is its own.
    void set_gate(const std::string& script) const;
    [[nodiscard]] int run(int workers) const;
    [[nodiscard]] Lines judged() const;
    [[nodiscard]] std::size_t count(core::Lifecycle lifecycle) const {
        return project.state().count(lifecycle);
    }

    // Every commit that the branch has pointed to since `queue` was one that the gate was green for, or was
    // somebody else's; and each task was archived once.
    void check_history() const;
    // Without queue and done.
    [[nodiscard]] std::string files_of(const std::string& commit) const;
    // Notes what ralph pushes, which must be a fast-forward.
    void watch_pushes() const;
    [[nodiscard]] std::size_t pushes() const { return lines_of(Project::read(pushed_)).size(); }

    Project project;

  private:
    std::string gate_ = project.outside("gate");
    std::string judged_ = project.outside("judged");
    std::string pushed_ = project.outside("pushed");
    std::string arrived_ = project.outside("arrived");
};

// The command of a task that commits a file with its number.
[[nodiscard]] std::string commit_file(const std::string& name, int i);

}  // namespace ralph::tests
