// What several commands share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "core/supervisor/explain.h"
#include "daemon/cli/commands.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

// The settings of the repository that --repo names. Says what they leave out of account.
[[nodiscard]] core::Result<Settings> open_repository(const CommonArguments& common);

// load_queue; a queue that is missing in the working tree but not in git is not to be made with `ralph init`.
[[nodiscard]] core::Result<LoadedQueue> open_queue(const Settings& settings);

// The same of the repository that --repo names.
[[nodiscard]] core::Result<LoadedQueue> open_queue(const CommonArguments& common);

// A table with columns as wide as their widest cell, two spaces apart. A cell is one line, escaped, and has
// at most so many characters.
inline constexpr std::size_t widest_cell = 100;
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

// Of each of these tasks, in their order. What the supervisor itself says comes before what the disk tells of
// it. A task that nothing knows is an error.
[[nodiscard]] core::Result<std::vector<core::Explanation>> find_explanations(
    const CommonArguments& common, const std::vector<std::string>& task_ids);

// "waits: for a slot, all 2 are taken", "work, attempt 1, for 12m".
[[nodiscard]] std::string explanation_line(const core::Explanation& each, core::Instant now);

// "3d", "5h", "12m" or "7s": how long ago, roughly.
[[nodiscard]] std::string rough_age(std::chrono::nanoseconds age);

// Standard output, whole; text or JSON, in which nothing steers the terminal. Returns the command's exit
// code: 0, or 1 after saying why it could not be written. A closed pipe is the reader's choice and no error.
[[nodiscard]] int print(const std::string& text);
// The same byte for byte: our own colours, and a patch that another program reads.
[[nodiscard]] int print_unchanged(const std::string& text);

// "ralph: what" on standard error, one line.
void say(std::string_view what);

}  // namespace ralph::daemon
