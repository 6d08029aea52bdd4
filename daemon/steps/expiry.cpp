#include "daemon/steps/expiry.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <chrono>
#include <optional>

#include "core/json_reader.h"
#include "core/jsonc.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

constexpr core::Milliseconds longest_grace = std::chrono::hours{24};

// What cannot be read was not noted.
std::map<std::string, core::Instant> read_notes(const std::string& path) {
    auto text = read_file(path);
    auto document = text && *text ? core::JsonDocument::parse(std::move(**text), path)
                                  : Result<core::JsonDocument>{Error{}};
    std::map<std::string, core::Instant> notes;
    if (!document) {
        return notes;
    }
    std::optional<core::JsonFault> fault;
    core::ObjectReader root(document->root(), "", fault);
    root.read_object("seen", [&notes](core::ObjectReader& seen) {
        for (const std::string& name : seen.keys()) {
            std::string when;
            seen.read(name, when);
            if (const auto time = core::parse_rfc3339(when)) {
                notes.emplace(name, time->instant);
            }
        }
    });
    return notes;
}

}  // namespace

ExpiryLook::ExpiryLook(const Paths& paths, std::string_view kind, core::Instant now,
                       core::Milliseconds retention)
    : path_(fmt::format("{}/expired-{}.json", paths.parallel(), kind)),
      now_(now),
      grace_(std::min(retention, longest_grace)),
      before_(read_notes(path_)) {}

bool ExpiryLook::is_confirmed(const std::string& name) {
    const auto noted = before_.find(name);
    // A note of a time to come was made while the clock was wrong.
    if (noted == before_.end() || noted->second > now_) {
        seen_.emplace(name, now_);
        return false;
    }
    seen_.emplace(*noted);
    return now_ >= noted->second + grace_;
}

core::Result<void> ExpiryLook::write() const {
    if (seen_ == before_) {
        return {};
    }
    if (auto made = make_directories(path_.substr(0, path_.rfind('/'))); !made) {
        return made;
    }
    boost::json::object notes;
    for (const auto& [name, when] : seen_) {
        notes[name] = core::format_rfc3339(when);
    }
    boost::json::object root;
    root["version"] = 1;
    root["seen"] = std::move(notes);
    return write_file_durably(path_, core::canonical_json(root));
}

}  // namespace ralph::daemon
