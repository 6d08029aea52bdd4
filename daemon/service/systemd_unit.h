// What `ralph service` writes for systemd, as text: the name of a repository's unit, and the drop-in with
// what a template cannot know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace ralph::core {

// The absolute path as `systemd-escape --path` writes it: what stands between ralph@ and .service, and what
// %f of the unit becomes the path again from.
[[nodiscard]] std::string escape_unit_path(std::string_view path);

// One word of a setting, so that neither blanks, nor quotes, nor systemd's own % mean anything in it.
[[nodiscard]] std::string unit_word(std::string_view text);

// "ralph@srv-project.service"; an error if systemd can have no unit for that path.
[[nodiscard]] Result<std::string> service_unit_name(std::string_view repository);

// The paths that are below no other one of them, sorted.
[[nodiscard]] std::vector<std::string> outermost_paths(std::vector<std::string> paths);

struct ServiceAccount {
    std::string user;
    std::string group;
    std::string home;  // empty if there is none
    bool is_root = false;
};

struct ServiceDropIn {
    std::optional<ServiceAccount> account;  // of the system's service; a user's own runs as that user
    std::vector<std::string> writable;      // beside the repository, absolute
    std::optional<std::uint32_t> workers;
};
// An error if a name or a path in it could become a line of its own.
[[nodiscard]] Result<std::string> drop_in_text(const ServiceDropIn& drop_in);

}  // namespace ralph::core
