// Glob patterns, relative to the repository root: the entries of parallel.ignored_file_allowlist, which name
// git-ignored files that a workspace gets a copy of (contract section 7.3), and of
// integration.barrier_paths.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/json_reader.h"

namespace ralph::config {

// The entry as it is matched: trimmed, without a leading "./", with "/" for "\". Errors continue a sentence
// that names the entry ("must not be absolute").
[[nodiscard]] core::Result<std::string> parse_allowlist_entry(std::string_view text);

// A list of them. Null and absent leave `out` alone, and so does a fault.
void read_patterns(core::ObjectReader& reader, std::string_view key, std::vector<std::string>& out);

}  // namespace ralph::config
