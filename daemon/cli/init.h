// What `ralph init` does, for the demo, too.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace ralph::daemon {

// Writes what is missing of .ralph/ and .gitignore and returns the paths written. The repository is trusted
// if `trust` says so or if there was no .ralph before. Running it again changes nothing. What git tracks is
// never made anew: where it is not in the working tree, that is an error and nothing is written.
// `agent` is written into a new supervisor.jsonc; empty: none.
[[nodiscard]] core::Result<std::vector<std::string>> make_ralph_folder(const std::string& root, bool trust,
                                                                       const std::string& agent = {});

}  // namespace ralph::daemon
