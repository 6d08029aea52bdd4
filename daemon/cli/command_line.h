// The command line: what there is and how it is called. What the commands do is in the files beside it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/cli/commands.h"
#include "daemon/cli/rust_commands.h"

namespace ralph::daemon {

// What is not of this room: the version, and the demo, which runs in a folder ("": a temporary one).
struct Program {
    std::string version;
    std::function<int(const std::string& folder)> demonstrate;
};

// Returns the exit code.
[[nodiscard]] int run_command_line(int argc, char** argv, const Program& program);

struct KeptArguments {
    std::string name;
    std::string branch;
    KeptPruneArguments prune;
    bool json = false;
    bool patch = false;
};

struct DoctorArguments {
    bool fix = false;
    bool json = false;
};

// What the command line says.
struct Arguments {
    CommonArguments common;
    RunArguments run;
    TaskAddArguments task;
    TaskEditArguments edit;
    RetryArguments retry;
    StatusArguments status;
    LogsArguments logs;
    MergeArguments merge;
    RustArguments rust;
    QueueListArguments list;
    std::string merged_path;
    std::vector<std::string> task_ids;
    std::string duration;
    std::string before;
    std::string note;
    bool no_push = false;
    bool first = false;
    KeptArguments kept;
    DoctorArguments doctor;
    ServiceArguments service;
    std::string workers;
    std::string task_id;
    std::string step;
    std::string branch;
    std::string demo_folder;
    bool json = false;
    std::string agent;
    std::string account;
    bool trust = false;
    bool check = false;
    bool now = false;
    int exit_code = 0;
};

inline constexpr const char* no_push_help =
    "Only write the file here; by default the target branch gets it at once";

// Parts of it: command_line_queue.cpp and command_line_care.cpp.
void add_task_commands(CLI::App& app, Arguments& all);
void add_queue_commands(CLI::App& app, Arguments& all);
void add_kept_commands(CLI::App& app, const CommonArguments& common, KeptArguments& arguments,
                       int& exit_code);
void add_doctor(CLI::App& app, const CommonArguments& common, DoctorArguments& arguments, int& exit_code);
void add_service(CLI::App& app, const CommonArguments& common, ServiceArguments& arguments, int& exit_code);

}  // namespace ralph::daemon
