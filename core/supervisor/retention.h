// How long the records of what is over are kept.
#pragma once

#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// Looks for terminal records that nobody needs any more: completed ones a day after their end, failed and
// blocked ones after the kept-work retention, and only when the queue holds no open task of that id. The
// former are removed at once; the latter when their workspace is discarded, so that a crash forgets none.
//
// The wall clock may be wrong for once, so nothing goes the first time that its time seems to be over
// (core/base/expiry.h). Appends WakeAt, NoteExpired and ReadHistory actions.
void prune(Supervisor& supervisor, Moment now, std::vector<Action>& actions);

}  // namespace ralph::core
