// Reading, writing and removing through a descriptor, to the end.
#pragma once

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/os/files.h"

namespace ralph::daemon {

template <class Call>
auto retry_interrupted(Call call) {
    decltype(call()) result;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

// The content of a regular file. `path` is for messages.
[[nodiscard]] Result<std::optional<std::string>> read_all(int file, const std::string& path,
                                                          std::size_t limit);
[[nodiscard]] Result<void> write_all(int file, std::string_view content, const std::string& path);

// As remove_tree(), in a directory that is held already.
[[nodiscard]] Result<void> remove_tree_in(int directory, const std::string& directory_path,
                                          const std::string& name);

}  // namespace ralph::daemon
