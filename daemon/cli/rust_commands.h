// What users of the Rust tools type (docs/compatibility.md): their commands and flags, as thin ways to what
// is here.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "daemon/cli/commands.h"

namespace ralph::daemon {

// What the command line says for them. It must outlive the parsing.
struct RustArguments {
    std::string version;  // of this program
    std::string task_id;
    std::string other_id;
    std::string word;  // a status, a field, a relation
    std::string value;
    std::string format;
    std::string color;
    bool unused = false;  // of flags that change nothing
    bool dry_run = false;
    bool no_push = false;
    std::vector<std::string> ignored;  // flags that have no effect here
};

// Adds to the commands that `app` has already. Those commands work in the repository as its owner.
void add_rust_commands(CLI::App& app, const CommonArguments& common, RustArguments& arguments,
                       int& exit_code);

// task edit FIELD VALUE TASK.
[[nodiscard]] int edit_field(const CommonArguments& common, const RustArguments& arguments);

// Flags of `run loop` that are settings here, or nothing; of `init` that it does without.
void add_rust_run_flags(CLI::App& run, RustArguments& arguments);
void add_rust_init_flags(CLI::App& init, RustArguments& arguments);

// Says once which flags were given that have no effect here.
void tell_ignored(RustArguments& arguments);

}  // namespace ralph::daemon
