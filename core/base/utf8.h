// What is well-formed UTF-8 and what is only bytes: text of programs, paths and people need not be UTF-8, and
// documents must be.
#pragma once

#include <cstddef>
#include <string_view>

namespace ralph::core {

// Length of the well-formed UTF-8 sequence at the front of `text`, which is not empty; 0 if there is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace ralph::core
