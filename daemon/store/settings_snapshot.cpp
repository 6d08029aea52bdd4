#include "daemon/store/settings_snapshot.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Result;

struct Part {
    const char* name;
    std::optional<config::Layer> SettingsFiles::*layer;
};

constexpr std::array<Part, 4> parts{{{"global_config", &SettingsFiles::global_project},
                                     {"config", &SettingsFiles::project},
                                     {"global_supervisor", &SettingsFiles::global_supervisor},
                                     {"supervisor", &SettingsFiles::supervisor}}};

void erase(json::value& content, std::string_view section, std::string_view key) {
    json::object* const root = content.if_object();
    json::value* const found = root == nullptr ? nullptr : root->if_contains(section);
    if (found != nullptr && found->is_object()) {
        found->as_object().erase(key);
    }
}

// Of agents.
void erase_environments(json::value& content) {
    json::object* const root = content.if_object();
    json::value* const agents = root == nullptr ? nullptr : root->if_contains("agents");
    if (agents == nullptr || !agents->is_object()) {
        return;
    }
    for (auto& [name, agent] : agents->as_object()) {
        if (agent.is_object()) {
            agent.as_object().erase("env");
        }
    }
}

}  // namespace

json::object snapshot_of(const Settings& settings) {
    json::object snapshot;
    snapshot["trusted"] = settings.trusted;
    for (const Part& part : parts) {
        const auto& layer = settings.files.*part.layer;
        // It was understood before, so that it can be parsed.
        const auto document = layer ? core::JsonDocument::parse(layer->text, layer->file)
                                    : Result<core::JsonDocument>{core::Error{}};
        if (!document) {
            continue;
        }
        json::value content = document->root();
        erase(content, "worker", "env");
        erase_environments(content);
        erase(content, "agent", "webhook");
        snapshot[part.name] = json::object{{"file", layer->file}, {"content", std::move(content)}};
    }
    return snapshot;
}

Result<Settings> settings_of(const Paths& paths, const json::object& snapshot) {
    SettingsFiles files;
    std::optional<core::JsonFault> fault;
    const json::value whole = snapshot;
    core::ObjectReader reader(whole, "settings", fault);
    bool trusted = false;
    reader.require("trusted");
    reader.read("trusted", trusted);
    for (const Part& part : parts) {
        const json::value* const layer = snapshot.if_contains(part.name);
        if (layer == nullptr) {
            continue;
        }
        config::Layer read;
        core::ObjectReader members(*layer, part.name, fault);
        members.require("file", read.file);
        if (const json::value* const content = members.find("content")) {
            read.text = core::canonical_json(*content);
        }
        files.*part.layer = std::move(read);
    }
    if (fault) {
        return core::Error{fmt::format("settings of the run: key `{}` {}", fault->path, fault->message),
                           "steps are started by the supervisor, not by hand"};
    }
    return make_settings(paths, trusted, std::move(files));
}

}  // namespace ralph::daemon
