// What lies beside the workspaces under a name with a dot: .<task>.broken-<n>, a workspace that could not be
// used and was moved out of the way; .<task>.discarded and .<task>.preparing, half removed and half made.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct QuarantinedWorkspace {
    enum class Kind { broken, discarded, preparing };
    Kind kind = Kind::broken;
    std::string task_id;
    std::string name;     // in the workspace root
    core::Instant since;  // when it was last touched as a whole: moved here, that is
    core::Instant until;  // from then on it may be pruned
};

[[nodiscard]] core::Result<std::vector<QuarantinedWorkspace>> list_quarantined(const Settings& settings);

struct PrunedQuarantined {
    std::vector<std::string> removed;  // paths
    std::vector<std::string> made;     // kept refs
    std::vector<std::string> stayed;   // "<path>: why"
    std::vector<std::string> noted;    // paths of what seems old enough, and goes at a later look
};

// Removes what is older than the retention, at the second look that says so (core/base/expiry.h). Of a broken
// workspace that git can read after all, what origin does not have is kept as refs first, and if that fails
// it stays.
[[nodiscard]] core::Result<PrunedQuarantined> prune_quarantined(const Settings& settings, core::Moment now);

}  // namespace ralph::daemon
