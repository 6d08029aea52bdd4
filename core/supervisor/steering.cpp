#include "core/supervisor/steering.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/base/shown_text.h"

namespace ralph::core {
namespace {

constexpr std::uint32_t format_version = 1;
constexpr std::size_t longest_note = 200;

}  // namespace

bool is_paused(const Steering& steering, Instant now) {
    return steering.pause && (!steering.pause->until || now < *steering.pause->until);
}

std::string describe(const Pause& pause) {
    return fmt::format("paused {}{}{}",
                       pause.until ? fmt::format("until {}", format_rfc3339_seconds(*pause.until))
                                   : fmt::format("since {}", format_rfc3339_seconds(pause.since)),
                       pause.note.empty() ? "" : ": ", pause.note);
}

std::string steering_text(const Steering& steering) {
    boost::json::object root;
    root["version"] = format_version;
    if (steering.pause) {
        boost::json::object pause;
        pause["since"] = format_rfc3339(steering.pause->since);
        if (steering.pause->until) {
            pause["until"] = format_rfc3339(*steering.pause->until);
        }
        pause["note"] = steering.pause->note;
        root["pause"] = std::move(pause);
    }
    if (steering.workers) {
        root["workers"] = *steering.workers;
    }
    return canonical_json(root);
}

Result<Steering> read_steering(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    Steering steering;
    std::string since;
    std::optional<std::string> until;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(format_version);
    reader.read("workers", steering.workers);
    reader.read_object("pause", [&](ObjectReader& pause) {
        steering.pause.emplace();
        pause.require("since", since);
        pause.read("until", until);
        pause.read("note", steering.pause->note);
    });
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    if (steering.workers && (*steering.workers < 1 || *steering.workers > most_workers)) {
        return document.error_at("workers", fmt::format("must be 1 to {}", most_workers));
    }
    if (!steering.pause) {
        return steering;
    }
    const auto began = parse_rfc3339(since);
    if (!began) {
        return document.error_at("pause.since", began.error().message);
    }
    steering.pause->since = began->instant;
    steering.pause->note = shortened(printable(steering.pause->note), longest_note);
    if (until) {
        const auto ends = parse_rfc3339(*until);
        if (!ends) {
            return document.error_at("pause.until", ends.error().message);
        }
        steering.pause->until = ends->instant;
    }
    return steering;
}

}  // namespace ralph::core
