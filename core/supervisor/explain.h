// Why each task stands where it stands, in words for people: what `ralph status` and `ralph why` say. Nothing
// is decided here; it reads what the decisions read.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// What holds back more than one task.
struct Hold {
    std::string kind;  // for programs: "queue_unreadable"
    std::string reason;
    std::string next;  // what to type; empty: it ends by itself
};

enum class Place { runs, lands, waits, ended };
[[nodiscard]] std::string_view to_string(Place place);

struct Explanation {
    std::string task_id;
    std::string title;
    Place place = Place::waits;
    std::string reason;                      // one line, never empty
    std::string next;                        // what to type; empty: nothing needs to be done
    std::optional<StepKind> step = {};       // that runs, or runs next
    std::uint32_t attempt = 0;               // of the work; 0: it never began
    std::optional<Instant> since = {};       // of the wall clock: when the step that runs has begun
    std::optional<Instant> not_before = {};  // the same: when it is tried again
};

// The most urgent first.
[[nodiscard]] std::vector<Hold> holds_of(const Supervisor& supervisor, Moment now);

// By a supervisor that runs: all tasks that are not over, those at work first, then the merge queue, then
// those of the queue in its order; at most so many of the last.
[[nodiscard]] std::vector<Explanation> explain_open(const Supervisor& supervisor, Moment now,
                                                    std::size_t most_waiting);

// Of any task that a record or the queue knows; nothing of any other. `lives`: the supervisor is one that
// runs, and not what the disk tells of one that ran.
[[nodiscard]] std::optional<Explanation> explain(const Supervisor& supervisor, std::string_view task_id,
                                                 Moment now, bool lives);

}  // namespace ralph::core
