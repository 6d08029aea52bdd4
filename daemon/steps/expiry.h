// What seems to have been kept for long enough is not removed at the first look: a clock that is wrong for
// once would take with it the only copy of somebody's work. It is noted, and removed when it still seems so
// at a look a day later (or as much later as the retention is long, if that is shorter).
//
// The notes are a file, since each look is another process. A note that is lost only makes it later.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "daemon/paths.h"

namespace ralph::daemon {

// One look at everything of one kind.
class ExpiryLook {
  public:
    // `kind` is part of a file's name: "kept", "set-aside".
    ExpiryLook(const Paths& paths, std::string_view kind, core::Instant now, core::Milliseconds retention);

    // For each that seems expired now: whether it did at a look that is long enough ago. `name` must tell it
    // from one of the same name that was kept at another time.
    [[nodiscard]] bool is_confirmed(const std::string& name);

    // Keeps the notes of what was asked for in this look, and forgets the others: they do not seem expired
    // any more, or are gone.
    [[nodiscard]] core::Result<void> write() const;

  private:
    std::string path_;
    core::Instant now_;
    core::Milliseconds grace_;
    std::map<std::string, core::Instant> before_;
    std::map<std::string, core::Instant> seen_;
};

}  // namespace ralph::daemon
