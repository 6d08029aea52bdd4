// Running a program to its end. For the steps and the command line, which are short and have one thread; the
// supervisor starts its children with spawn().
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"

namespace ralph::daemon {

struct ProgramRequest {
    std::string program;  // a name to be found in PATH, or a path; a relative one starts at `directory`
    std::vector<std::string> arguments;
    core::Fault missing = core::Fault::permanent;  // what it is if there is no such program
    std::string directory;
    std::vector<std::string> environment;  // "NAME=value", complete
    bool capture = true;                   // otherwise its output and errors go where ours go
    std::string input = {};                // what it reads from its standard input; empty: /dev/null
    // Gets output and errors as they come, in one stream, instead of their being captured.
    std::function<void(std::string_view)> on_output = {};
    // Gets the errors, if they shall be apart from that.
    std::function<void(std::string_view)> on_errors = {};
    // Then SIGTERM to its process group, and SIGKILL after the grace.
    std::optional<core::Milliseconds> timeout;
    core::Milliseconds grace = std::chrono::seconds{5};
    // The same as the timeout, each time that it has written nothing for so long.
    std::optional<core::Milliseconds> silence;
    // Called with the time of silence when half of that is over.
    std::function<void(core::Milliseconds)> on_silence = {};
    // Asked after each piece of output: true ends it as the timeout does.
    std::function<bool()> is_enough = {};
    int stop = -1;            // once this descriptor can be read, it is ended as by the timeout
    int until_end_of = -1;    // a pipe; once its other end is closed, its process group is killed
    bool whole_tree = false;  // what it leaves in the background is killed, too, wherever that has gone
    int inherited = -1;       // a descriptor of ours that it gets beside the standard ones
    std::size_t output_limit = std::size_t{256}
                               << 20U;  // more is an error: output cut short would be misread
};

struct ProgramEnd {
    int status = 0;  // exit status, if `signal` is 0
    int signal = 0;
    bool timed_out = false;  // or was ended for another reason of ours:
    bool silent = false;
    bool stopped = false;
    bool enough = false;
    std::string output;
    std::string errors;  // the last 256 KiB

    [[nodiscard]] bool succeeded() const { return status == 0 && signal == 0 && !timed_out; }
    // "exited with status 2", "was killed by signal 9", "ran out of its time"
    [[nodiscard]] std::string describe() const;
};

// It gets a process group of its own, and no descriptor of ours but the
// standard ones and `inherited`. A program that does not exist or cannot be executed is an error; how it ends
// is not. Only its own end is waited for, not that of processes it left in the background, unless
// `whole_tree` says so.
[[nodiscard]] core::Result<ProgramEnd> run_program(const ProgramRequest& request);

// Whether the other end of the pipe is closed, or there is no such pipe.
[[nodiscard]] bool is_at_end(int pipe);

// The environment that we were given; a variable that is not set is empty.
[[nodiscard]] std::vector<std::string> our_environment();
[[nodiscard]] std::string our_variable(const char* name);

}  // namespace ralph::daemon
