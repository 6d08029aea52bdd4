// Reading and writing without streams.
#pragma once

#include <string>
#include <string_view>

namespace ralph::shim {

// False if not all of it could be written.
[[nodiscard]] bool write_all(int fd, std::string_view text);

// Empty if it cannot be read.
[[nodiscard]] std::string read_small_file(const char* path);

}  // namespace ralph::shim
