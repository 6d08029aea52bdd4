// ralph-bench-lane: sixteen tasks that are finished at the same moment are landed in three ways, behind a
// gate that takes a fixed time, and what that cost is printed side by side.
//
//   ralph-bench-lane [--tasks N] [--gate SECONDS] [--only workers|serial|batches]
//
//   workers   each worker by itself, all at once, as tools without a merge queue do: fetch, rebase, gate,
//   push, and
//             from the beginning when somebody else was faster
//   serial    the merge queue with integration.batch.max = 1
//   batches   the merge queue as it is
//
// The time runs from the moment in which the last worker is finished to that in which the last task is
// recorded as completed (or pushed, without a merge queue). It is no test: the figures are for people, as
// multiples of the gate's time.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/os/spawn.h"
#include "tests/support/project.h"

namespace {

using ralph::core::Lifecycle;
using ralph::tests::Project;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
    int tasks = 16;
    double gate_seconds = 5;
    std::string only;
};

struct Figures {
    double seconds = 0;
    std::size_t gate_runs = 0;
    std::size_t push_attempts = 0;
    std::size_t landed = 0;
};

std::size_t lines_in(const std::string& path) {
    const std::string text = Project::read(path);
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string shell_file(const std::string& path, const std::string& text) {
    Project::write(path, "#!/bin/sh\n" + text);
    fs::permissions(path, fs::perms::owner_all);
    return path;
}

std::string gate(const Project& project, const Options& options) {
    return shell_file(project.outside("gate"), fmt::format("echo x >> '{}'; sleep {}\n",
                                                           project.outside("gated"), options.gate_seconds));
}

// Those that reach the remote; the workers count their own, since most are given up before.
void count_pushes(const Project& project) {
    shell_file(project.remote() + "/hooks/pre-receive", "echo x >> '" + project.outside("pushes") + "'\n");
    Project::write(project.outside("pushes"), "");
}

Figures by_the_lane(const Options& options, int most) {
    Project project;
    Project::write(project.root() + "/.ralph/config.jsonc",
                   "{\"version\": 2, \"agent\": {\"ci_gate\": {\"enabled\": true, \"argv\": [\"" +
                       gate(project, options) + "\"]}}}\n");
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   fmt::format("{{\"integration\": {{\"batch\": {{\"max\": {}}}}}}}\n", most));
    const std::string arrived = project.outside("arrived");
    const std::string go = project.outside("go");
    fs::create_directories(arrived);
    for (int i = 1; i <= options.tasks; ++i) {
        project.add(
            fmt::format("task {}", i),
            fmt::format(
                "echo {0} > file-{0}; git add -A; git commit -qm 'work {0}'; touch '{1}/{0}'; until [ -e "
                "'{2}' ]; do sleep 0.02; done",
                i, arrived, go));
    }
    project.commit_and_push("queue");
    count_pushes(project);
    project.start({"run", "--parallel", std::to_string(options.tasks)});
    const auto all_there = [&] {
        return std::distance(fs::directory_iterator(arrived), {}) == options.tasks;
    };
    while (!all_there()) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    Project::write(go, "");
    const auto begun = Clock::now();
    while (project.state().count(Lifecycle::completed) != static_cast<std::size_t>(options.tasks)) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    const std::chrono::duration<double> time = Clock::now() - begun;
    project.wait();
    return {time.count(), lines_in(project.outside("gated")), lines_in(project.outside("pushes")),
            project.state().count(Lifecycle::completed)};
}

Figures by_the_workers(const Options& options) {
    Project project;
    const std::string gate_program = gate(project, options);
    Project::write(project.root() + "/queued", "");
    project.commit_and_push("queue");
    const std::string begin = shell_file(
        project.outside("begin"),
        fmt::format(
            "git clone -q '{}' \"$1\" && cd \"$1\" && git config user.name w && git config user.email "
            "w@example.org && echo $2 > file-$2 && git add -A && git "
            "commit -qm \"work $2\"\n",
            project.remote()));
    const std::string land = shell_file(
        project.outside("land"),
        fmt::format(
            "cd \"$1\" || exit 1\nwhile :; do\n  git fetch -q && git rebase -q origin/main && '{}' && "
            "echo x >> '{}' && git push -q origin HEAD:main 2>/dev/null && exit 0\ndone\n",
            gate_program, project.outside("pushes")));
    std::vector<std::string> clones;
    for (int i = 1; i <= options.tasks; ++i) {
        clones.push_back(project.outside(fmt::format("clone-{}", i)));
        const std::string command = fmt::format("'{}' '{}' {}", begin, clones.back(), i);
        if (std::system(command.c_str()) != 0) {
            fmt::print(stderr, "{} failed\n", command);
            std::exit(1);
        }
    }
    const auto started = Clock::now();
    std::string all;
    for (const std::string& clone : clones) {
        all += fmt::format("'{}' '{}' & ", land, clone);
    }
    if (std::system((all + "wait").c_str()) != 0) {
        fmt::print(stderr, "the workers failed\n");
        std::exit(1);
    }
    const std::chrono::duration<double> time = Clock::now() - started;
    const auto subjects = project.remote_subjects();
    const auto landed = std::count_if(subjects.begin(), subjects.end(), [](const std::string& subject) {
        return subject.rfind("work ", 0) == 0;
    });
    return {time.count(), lines_in(project.outside("gated")), lines_in(project.outside("pushes")),
            static_cast<std::size_t>(landed)};
}

void print(const char* name, const Figures& figures, const Options& options) {
    fmt::print("{:<10} {:>8.1f} s = {:>5.2f} gates {:>10} runs {:>8} pushes {:>8} landed\n", name,
               figures.seconds, figures.seconds / options.gate_seconds, figures.gate_runs,
               figures.push_attempts, figures.landed);
    std::fflush(stdout);
}

}  // namespace

int main(int count, char** values) {
    Options options;
    for (int i = 1; i < count; i += 2) {
        const std::string_view option = i + 1 < count ? values[i] : "";
        if (option == "--tasks") {
            options.tasks = std::clamp(std::atoi(values[i + 1]), 2, 64);
        } else if (option == "--gate") {
            options.gate_seconds = std::max(0.1, std::atof(values[i + 1]));
        } else if (option == "--only") {
            options.only = values[i + 1];
        } else {
            fmt::print(
                stderr,
                "usage: ralph-bench-lane [--tasks N] [--gate SECONDS] [--only workers|serial|batches]\n");
            return 2;
        }
    }
    fmt::print("{} tasks, finished at the same moment; a gate that takes {} s\n", options.tasks,
               options.gate_seconds);
    const auto wanted = [&](std::string_view name) { return options.only.empty() || options.only == name; };
    if (wanted("workers")) {
        print("workers", by_the_workers(options), options);
    }
    if (wanted("serial")) {
        print("serial", by_the_lane(options, 1), options);
    }
    if (wanted("batches")) {
        print("batches", by_the_lane(options, 64), options);
    }
    return 0;
}
