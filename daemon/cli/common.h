// What several commands share.
#pragma once

#include <string>
#include <vector>

#include "core/time.h"
#include "daemon/cli/commands.h"
#include "daemon/settings.h"

namespace ralph::daemon {

// The settings of the repository that --repo names.
[[nodiscard]] core::Result<Settings> open_repository(const CommonArguments& common);

// A table with columns as wide as their widest cell, two spaces apart; control characters are escaped.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

// "3d", "5h", "12m" or "7s": how long ago, roughly.
[[nodiscard]] std::string rough_age(std::chrono::nanoseconds age);

// Standard output, whole. Returns the command's exit code: 0, or 1 after saying why it could not be written.
// A closed pipe is the reader's choice and no error.
[[nodiscard]] int print(const std::string& text);

}  // namespace ralph::daemon
