#include "daemon/store/live_view.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

constexpr std::uint32_t format_version = 1;
constexpr std::size_t size_limit = std::size_t{16} << 20U;
constexpr std::size_t most_waiting = 200;  // a queue may hold thousands

std::string_view to_string(core::Mode mode) {
    switch (mode) {
        case core::Mode::running:
            return "running";
        case core::Mode::draining:
            return "draining";
        case core::Mode::ending:
            return "ending";
    }
    return "";
}

std::optional<core::Place> parse_place(std::string_view text) {
    for (const core::Place each :
         {core::Place::runs, core::Place::lands, core::Place::waits, core::Place::ended}) {
        if (core::to_string(each) == text) {
            return each;
        }
    }
    return std::nullopt;
}

void read_time(core::ObjectReader& reader, std::string_view key, std::optional<core::Instant>& out) {
    std::string text;
    reader.read(key, text);
    if (const auto time = core::parse_rfc3339(text)) {
        out = time->instant;
    }
}

core::Result<LiveView> parse_live_view(std::string text, const std::string& path) {
    TRY_ASSIGN(const auto document, core::JsonDocument::parse(std::move(text), path));
    std::optional<core::JsonFault> fault;
    LiveView view;
    core::ObjectReader reader(document.root(), "", fault);
    reader.require_version(format_version);
    reader.read("mode", view.mode);
    reader.read_objects("holds", [&view](core::ObjectReader& object) {
        core::Hold hold;
        object.read("kind", hold.kind);
        object.read("reason", hold.reason);
        object.read("next", hold.next);
        view.holds.push_back(std::move(hold));
    });
    reader.read_objects("open", [&view](core::ObjectReader& object) {
        core::Explanation each;
        std::string step;
        object.require("task_id", each.task_id);
        object.read("title", each.title);
        object.read_as("place", each.place, parse_place, "a place");
        object.read("reason", each.reason);
        object.read("next", each.next);
        object.read("step", step);
        each.step = core::parse_step_kind(step);
        object.read("attempt", each.attempt);
        read_time(object, "since", each.since);
        read_time(object, "not_before", each.not_before);
        view.open.push_back(std::move(each));
    });
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return view;
}

}  // namespace

json::object explanation_object(const core::Explanation& explanation) {
    json::object object;
    object["task_id"] = explanation.task_id;
    object["title"] = explanation.title;
    object["place"] = core::to_string(explanation.place);
    object["reason"] = explanation.reason;
    object["next"] = explanation.next;
    if (explanation.step) {
        object["step"] = core::to_string(*explanation.step);
        object["attempt"] = explanation.attempt;
    }
    if (explanation.since) {
        object["since"] = core::format_rfc3339_seconds(*explanation.since);
    }
    if (explanation.not_before) {
        object["not_before"] = core::format_rfc3339_seconds(*explanation.not_before);
    }
    return object;
}

std::string live_view_text(const core::Supervisor& supervisor, core::Moment now) {
    json::object document;
    document["version"] = format_version;
    document["mode"] = to_string(supervisor.mode);
    json::array& holds = document["holds"].emplace_array();
    for (const core::Hold& hold : core::holds_of(supervisor, now)) {
        json::object& object = holds.emplace_back(json::object{}).get_object();
        object["kind"] = hold.kind;
        object["reason"] = hold.reason;
        object["next"] = hold.next;
    }
    json::array& open = document["open"].emplace_array();
    for (const core::Explanation& each : core::explain_open(supervisor, now, most_waiting)) {
        open.emplace_back(explanation_object(each));
    }
    return core::canonical_json(document) + "\n";
}

std::optional<LiveView> read_live_view(const Paths& paths) {
    auto text = read_file(paths.live_view(), size_limit);
    if (!text || !*text) {
        return std::nullopt;
    }
    auto view = parse_live_view(std::move(**text), paths.live_view());
    return view ? std::optional(std::move(*view)) : std::nullopt;
}

}  // namespace ralph::daemon
