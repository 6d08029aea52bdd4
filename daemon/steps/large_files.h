// Large files that are not in git itself (git lfs keeps them in its folder lfs/objects).
#pragma once

#include "daemon/steps/git.h"

namespace ralph::daemon {

// A smudge filter in `to` shall find those that only `from` has: they are copied there. No link is followed
// on either side. What cannot be brought over, the filter has to fetch.
void bring_large_files(const Git& from, const Git& to);

}  // namespace ralph::daemon
