#include "daemon/store/remote_view.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t size_limit = std::size_t{1} << 16U;

}  // namespace

RemoteView read_remote_view(const Paths& paths) {
    RemoteView view;
    auto text = read_file(paths.remote_view(), size_limit);
    auto document = text && *text ? core::JsonDocument::parse(std::move(**text), paths.remote_view())
                                  : Result<core::JsonDocument>{core::Error{}};
    if (!document) {
        return view;
    }
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document->root(), "", fault);
    reader.read("tip", view.tip);
    reader.read("unreachable_since", view.unreachable_since);
    reader.read("reason", view.reason);
    reader.read("left_behind", view.left_behind);
    return fault ? RemoteView{} : view;
}

std::vector<core::Hold> holds_of(const RemoteView& view) {
    std::vector<core::Hold> found;
    if (!view.unreachable_since.empty()) {
        found.push_back(
            {"remote_unreachable",
             fmt::format("origin cannot be reached, since {}: {}", view.unreachable_since, view.reason),
             "git ls-remote origin"});
    }
    if (!view.left_behind.empty()) {
        found.push_back({"checkout_behind", view.left_behind, "git status"});
    }
    return found;
}

Result<void> save_remote_view(const Paths& paths, const RemoteView& view) {
    boost::json::object document;
    document["version"] = 1;
    document["tip"] = view.tip;
    document["unreachable_since"] = view.unreachable_since;
    document["reason"] = view.reason;
    document["left_behind"] = view.left_behind;
    return write_file_durably(paths.remote_view(), core::canonical_json(document) + "\n");
}

}  // namespace ralph::daemon
