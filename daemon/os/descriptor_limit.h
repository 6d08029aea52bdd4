// How many descriptors a process may have open.
#pragma once

#include <cstdint>

namespace ralph::daemon {

// Raises our limit to what is allowed, and returns what it was: that is what steps get, since there are
// programs that cannot do with more.
std::uint64_t raise_descriptor_limit();

}  // namespace ralph::daemon
