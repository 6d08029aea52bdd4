// The user's own checkout, after something landed.
#pragma once

#include <string>

#include "daemon/settings.h"

namespace ralph::daemon {

// Fast-forwards the repository's checkout to origin/<branch> if that is its current branch and nothing
// tracked is changed in it. Never switches the branch, never fails: why it was left alone is returned, empty
// if it was not.
[[nodiscard]] std::string bring_checkout_forward(const Settings& settings, const std::string& branch);

}  // namespace ralph::daemon
