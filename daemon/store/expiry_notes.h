// The notes of core/base/expiry.h on disk, a file for each kind of what is kept:
// .ralph/cache/parallel/expired-KIND.json
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/expiry.h"
#include "core/base/time.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

enum class Kept { records, refs, workspaces };

// What cannot be read was not noted: what it named goes later.
[[nodiscard]] core::ExpiryNotes load_expiry_notes(const Paths& paths, Kept kind, core::Moment now);

// Durable.
[[nodiscard]] core::Result<void> save_expiry_notes(const Paths& paths, Kept kind,
                                                   const core::ExpiryNotes& notes, core::Moment now);

}  // namespace ralph::daemon
