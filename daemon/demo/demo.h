// `ralph demo`: eight tasks worked on and landed in a folder of its own, while the supervisor is killed three
// times.
#pragma once

#include <string>

namespace ralph::daemon {

// In `folder`, which must be empty or new; a temporary one if it is empty text. Returns the exit code.
int demonstrate(const std::string& folder);

}  // namespace ralph::daemon
