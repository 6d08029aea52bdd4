// What was seen of the target on the remote when it was looked at last: remote.json, for status and doctor.
// Not there: it was never looked at.
#pragma once

#include <string>
#include <vector>

#include "core/supervisor/explain.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

// How the program that looks (daemon/steps/look.h) ends, beside 0: as before.
inline constexpr int look_found_news = 10;
inline constexpr int look_not_reached = 69;

struct RemoteView {
    std::string tip;                // of the target branch
    std::string unreachable_since;  // RFC 3339; empty: it answered
    std::string reason;             // why not
    std::string left_behind;  // why the checkout was not brought forward; empty: it is where the target is

    bool operator==(const RemoteView&) const = default;
};

// What cannot be read is as if it had never been looked at.
[[nodiscard]] RemoteView read_remote_view(const Paths& paths);
// What of it stops the work, or keeps the checkout behind.
[[nodiscard]] std::vector<core::Hold> holds_of(const RemoteView& view);
[[nodiscard]] Result<void> save_remote_view(const Paths& paths, const RemoteView& view);

}  // namespace ralph::daemon
