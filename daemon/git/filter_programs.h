// Filters (clean, smudge, process) that files of a repository go through. git passes a file on as it is when
// a filter's program is missing, unless the filter is required: secrets would be published in plain text.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace ralph::daemon {

struct MissingFilter {
    std::string driver;   // "crypt"
    std::string setting;  // "filter.crypt.clean"
    std::string program;  // its first word
};

// Of the drivers that some tracked file has, those whose program no shell would find.
[[nodiscard]] core::Result<std::vector<MissingFilter>> missing_filters(const std::string& root);

}  // namespace ralph::daemon
