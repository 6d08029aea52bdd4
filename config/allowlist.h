// Entries of parallel.ignored_file_allowlist: glob patterns, relative to the repository root, of git-ignored
// files that a workspace gets a copy of (contract section 7.3).
#pragma once

#include <string>
#include <string_view>

#include "core/error.h"

namespace ralph::config {

// The entry as it is matched: trimmed, without a leading "./", with "/" for "\". Errors continue a sentence
// that names the entry ("must not be absolute").
[[nodiscard]] core::Result<std::string> parse_allowlist_entry(std::string_view text);

}  // namespace ralph::config
