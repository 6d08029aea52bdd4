#include "core/base/expiry.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace {

constexpr Milliseconds longest_doubt = std::chrono::hours{24};
constexpr std::uint32_t notes_version = 1;

}  // namespace

bool ExpiryLook::is_confirmed(const std::string& name, Milliseconds retention) {
    const auto noted = before_.find(name);
    const bool is_new = noted == before_.end();
    const Instant since = is_new ? now_ : noted->second;
    notes_.emplace(name, since);
    const Instant confirmed_at = since + std::min(retention, longest_doubt);
    if (!is_new && confirmed_at <= now_) {
        return true;
    }
    next_ = std::min(next_.value_or(confirmed_at), confirmed_at);
    return false;
}

std::string expiry_notes_text(const ExpiryNotes& notes, Moment now, std::string_view boot) {
    boost::json::object seen;
    for (const auto& [name, since] : notes) {
        seen[name] = format_rfc3339(now.wall - (now.monotonic - since));
    }
    boost::json::object root;
    root["version"] = notes_version;
    root["boot"] = boot;
    root["written"] = format_rfc3339(now.wall);
    root["monotonic_ns"] = static_cast<std::uint64_t>(now.monotonic.time_since_epoch().count());
    root["seen"] = std::move(seen);
    return canonical_json(root);
}

Result<ExpiryNotes> read_expiry_notes(const JsonDocument& document, Moment now, std::string_view boot) {
    std::optional<JsonFault> fault;
    std::string noted_boot;
    Timestamp written;
    std::uint64_t monotonic = 0;
    std::map<std::string, Timestamp> seen;
    constexpr std::string_view expected = "a time as in RFC 3339";
    ObjectReader root(document.root(), "", fault);
    std::uint32_t version = notes_version;
    root.read("version", version);
    if (root.ok() && version != notes_version) {
        root.fail("version", "is not known");
    }
    root.require("boot", noted_boot);
    root.read_as("written", written, parse_rfc3339, expected);
    root.read("monotonic_ns", monotonic);
    root.read_object("seen", [&seen, expected](ObjectReader& names) {
        for (const std::string& name : names.keys()) {
            names.read_as(name, seen[name], parse_rfc3339, expected);
        }
    });
    root.finish();
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    // What tells how long ago something was noted: where this boot's clocks stood when the file was written,
    // else where they stand now.
    const bool of_this_boot = noted_boot == boot;
    const Instant wall = of_this_boot ? std::max(written.instant, Instant::min() + longest_doubt) : now.wall;
    // Never more than a day ago, whatever a spoilt file says.
    const auto elapsed = static_cast<std::uint64_t>(now.monotonic.time_since_epoch().count());
    const bool is_past = of_this_boot && monotonic < elapsed;
    const Instant monotonic_then =
        is_past ? std::max(Instant{std::chrono::nanoseconds{static_cast<std::int64_t>(monotonic)}},
                           now.monotonic - longest_doubt)
                : now.monotonic;
    ExpiryNotes notes;
    for (const auto& [name, at] : seen) {
        const Instant since = std::clamp(at.instant, wall - longest_doubt, wall);
        notes.emplace(name, monotonic_then - (wall - since));
    }
    return notes;
}

}  // namespace ralph::core
