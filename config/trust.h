// .ralph/trust.jsonc: whether the commands that a repository brings along may be run (contract section 3.2).
// A missing file means no, so the caller asks only about a file that is there.
#pragma once

#include <string>

#include "config/layer.h"
#include "core/base/error.h"
#include "core/base/time.h"

namespace ralph::config {

// True if the file allows project commands; a file that does not mention them does not allow them. Unknown
// keys, a wrong type and a `trusted_at` that is no RFC 3339 time are errors.
[[nodiscard]] core::Result<bool> read_trust(const Layer& layer);

// The text of a file that read_trust answers with true, in canonical form. `now` becomes `trusted_at`.
[[nodiscard]] std::string trust_text(core::Instant now);

}  // namespace ralph::config
