// What seems to have been kept for long enough is not removed at the first look: a clock that is wrong for
// once would take with it the only copy of somebody's work. It is noted, and goes when it still seems so a
// day later (or as much later as its retention is long, if that is shorter).
//
// That day is measured by the monotonic clock, which nobody sets. Only what was noted before the host was
// booted has no other measure than the wall clock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"

namespace ralph::core {

// Since when each seems to have been kept for long enough, by this boot's monotonic clock. A name tells what
// it names from what was kept under the same name at another time.
using ExpiryNotes = std::map<std::string, Instant, std::less<>>;

// One look at everything of one kind.
class ExpiryLook {
  public:
    ExpiryLook(const ExpiryNotes& before, Instant monotonic_now) : before_(before), now_(monotonic_now) {}

    // For each that seems expired now: whether it has seemed so for long enough.
    [[nodiscard]] bool is_confirmed(const std::string& name, Milliseconds retention);

    // When the next one can be confirmed, by the monotonic clock; nothing if there is none to wait for.
    [[nodiscard]] std::optional<Instant> next() const { return next_; }

    // What this look was asked for. The others are forgotten: they do not seem expired any more, or are gone.
    [[nodiscard]] const ExpiryNotes& notes() const { return notes_; }

  private:
    const ExpiryNotes& before_;
    Instant now_;
    ExpiryNotes notes_;
    std::optional<Instant> next_;
};

// The notes as a file keeps them for the next process, and for the next boot:
// {"version": 1, "boot": ID, "written": RFC 3339, "monotonic_ns": N, "seen": {NAME: RFC 3339}}
// "written" and "monotonic_ns" are the same moment, by which another process of this boot turns the times of
// "seen" into those of the monotonic clock, whatever has become of the wall clock.
[[nodiscard]] std::string expiry_notes_text(const ExpiryNotes& notes, Moment now, std::string_view boot);

// A note of a time to come was made while a clock was wrong, and counts from now on.
[[nodiscard]] Result<ExpiryNotes> read_expiry_notes(const JsonDocument& document, Moment now,
                                                    std::string_view boot);

}  // namespace ralph::core
