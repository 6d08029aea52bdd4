// Other clones of the same remote on this host that have a living supervisor. Each supervisor writes down
// where it runs, below $XDG_STATE_HOME/ralph or ~/.local/state/ralph, so that the next one can tell of it:
// two clones do the same tasks twice, and only one of them lands each.
#pragma once

#include <string>
#include <vector>

#include "daemon/store/settings.h"

namespace ralph::daemon {

// The roots of the others. It is only for a warning: what cannot be read or written is left out.
[[nodiscard]] std::vector<std::string> living_neighbours(const Settings& settings);

// Writes down that this repository has a supervisor.
void tell_neighbours(const Settings& settings);

}  // namespace ralph::daemon
