// What git, and a remote behind it, say in words. Nobody else decides anything by them.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "daemon/os/program.h"

namespace ralph::daemon {

// What a program said at its end, fit for one line: the last lines that are no hints.
[[nodiscard]] std::string last_lines(std::string_view text);

// What can be expected of trying again after a git that said this. All that it said, not its last words: a
// banner of the remote may come after what counts.
[[nodiscard]] core::Fault fault_in(std::string_view all_words);

// What a push that came to nothing says of the next one.
enum class PushRefusal {
    passing,   // a bad minute of the remote, or another push holds the ref there
    unpacked,  // the remote could not take it, without a word why: killed there, or too large for it
    refused,   // the remote had seen it, and does not want it
    shut_out,  // nothing of ours would have got so far
};
// Of a `git push --porcelain` that did not end with 0.
[[nodiscard]] PushRefusal push_refusal(const ProgramEnd& end);

}  // namespace ralph::daemon
