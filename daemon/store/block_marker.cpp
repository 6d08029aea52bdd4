#include "daemon/store/block_marker.h"

#include <fmt/format.h>

#include <cstddef>

#include "core/base/jsonc.h"
#include "daemon/os/folder.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t marker_limit = 1ULL << 20;

// Where the marker lies. Nothing if there is no folder for it: a worker may have put anything in its way.
Result<std::optional<Folder::Place>> find_place(const Paths& workspace) {
    auto place = Folder::find(workspace.root, workspace.relative(workspace.block_marker()));
    return place || place.error().is_passing() ? std::move(place) : std::optional<Folder::Place>{};
}

}  // namespace

Result<std::optional<core::BlockMarker>> read_marker(const Paths& workspace) {
    const auto place = find_place(workspace);
    auto text = place && *place ? (*place)->folder.read((*place)->name, marker_limit)
                                : Result<std::optional<std::string>>{std::nullopt};
    if (!place || (!text && text.error().is_passing())) {
        return place ? text.error() : place.error();
    }
    const auto document = text && *text
                              ? core::JsonDocument::parse(std::move(**text), workspace.block_marker())
                              : core::Result<core::JsonDocument>{Error{}};
    auto marker = document ? core::read_block_marker(*document) : core::Result<core::BlockMarker>{Error{}};
    return marker ? std::optional(std::move(*marker)) : std::nullopt;
}

Result<void> write_marker(const Paths& workspace, const core::BlockMarker& marker) {
    const auto folder = Folder::open(workspace.root);
    auto place = folder && *folder ? (*folder)->make_place_of(workspace.relative(workspace.block_marker()))
                                   : Result<Folder::Place>{folder ? Error{} : folder.error()};
    if (!place) {
        return place.error().is_passing()
                   ? place.error()
                   : Error{fmt::format("{}: there is no folder for it, and no link is followed",
                                       workspace.block_marker())};
    }
    return place->folder.write(place->name, core::block_marker_text(marker));
}

Result<void> remove_marker(const Paths& workspace) {
    const auto place = find_place(workspace);
    if (!place || !*place) {
        return place ? Result<void>{} : Result<void>{place.error()};
    }
    const auto kind = (*place)->folder.kind_of((*place)->name);
    if (!kind && kind.error().is_passing()) {
        return kind.error();
    }
    const bool is_marker = kind && *kind && **kind == Folder::Kind::regular;
    auto removed = is_marker ? (*place)->folder.remove((*place)->name) : Result<void>{};
    // Also what an earlier call has removed and could not sync.
    return removed ? (*place)->folder.sync() : removed;
}

}  // namespace ralph::daemon
