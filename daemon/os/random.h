// Unpredictable numbers, for names and pauses.
#pragma once

#include <cstdint>

namespace ralph::daemon {

[[nodiscard]] std::uint64_t random_number();
[[nodiscard]] double random_fraction();  // from 0 to less than 1

}  // namespace ralph::daemon
