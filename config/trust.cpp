#include "config/trust.h"

#include <boost/json/object.hpp>
#include <optional>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"

namespace ralph::config {

core::Result<bool> read_trust(const Layer& layer) {
    auto document = core::JsonDocument::parse(layer.text, layer.file);
    if (document.has_error()) {
        return document.error();
    }
    std::optional<core::JsonFault> fault;
    bool allowed = false;
    std::optional<std::string> trusted_at;
    core::ObjectReader root(document->root(), "", fault);
    root.read("allow_project_commands", allowed);
    root.read("trusted_at", trusted_at);
    if (trusted_at && core::parse_rfc3339(*trusted_at).has_error()) {
        root.fail("trusted_at",
                  "must be a time such as \"2026-02-20T00:00:00Z\", not \"" + *trusted_at + "\"");
    }
    root.finish();
    if (fault) {
        return document->error_at(fault->path, fault->message);
    }
    return allowed;
}

std::string trust_text(core::Instant now) {
    boost::json::object root;
    root["allow_project_commands"] = true;
    root["trusted_at"] = core::format_rfc3339(now);
    return core::canonical_json(root);
}

}  // namespace ralph::config
