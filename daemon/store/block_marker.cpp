#include "daemon/store/block_marker.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>

#include "core/jsonc.h"
#include "daemon/paths.h"
#include "daemon/store/file_calls.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t marker_limit = 1ULL << 20;

// Where the marker of a workspace lies, or would. A worker may have put anything there: it is none if a
// folder on the way is a link or closed to us, or if it is no plain file that can be read, or too long.
struct MarkerPlace {
    bool reachable = false;  // all that is on the way, as far as there is something, are folders
    bool exists = false;     // as a marker
};

Result<MarkerPlace> look_for_marker(const std::string& workspace) {
    const std::string path = block_marker_path(workspace);
    for (std::size_t end = workspace.size(); end != std::string::npos; end = path.find('/', end + 1)) {
        file_calls::Status folder;
        if (file_calls::status_of_link(path.substr(0, end), folder) != 0) {
            return errno == ENOENT   ? Result<MarkerPlace>{MarkerPlace{true, false}}
                   : errno == EACCES ? Result<MarkerPlace>{MarkerPlace{}}
                                     : Result<MarkerPlace>{system_error("stat", path, errno)};
        }
        if (folder.kind != file_calls::Kind::directory) {
            return MarkerPlace{};
        }
    }
    file_calls::Status file;
    if (file_calls::status_of_link(path, file) != 0) {
        return errno == ENOENT   ? Result<MarkerPlace>{MarkerPlace{true, false}}
               : errno == EACCES ? Result<MarkerPlace>{MarkerPlace{}}
                                 : Result<MarkerPlace>{system_error("stat", path, errno)};
    }
    constexpr unsigned owner_may_read = 0400;
    return MarkerPlace{true, file.kind == file_calls::Kind::regular && file.size <= marker_limit &&
                                 (file.permissions & owner_may_read) != 0};
}

}  // namespace

Result<std::optional<core::BlockMarker>> read_marker(const std::string& workspace) {
    const std::string path = block_marker_path(workspace);
    const auto place = look_for_marker(workspace);
    if (!place) {
        return place.error();
    }
    auto text = place->exists ? read_file(path, marker_limit) : Result<std::optional<std::string>>{};
    if (!text) {
        return text.error();
    }
    const auto document = *text ? core::JsonDocument::parse(std::move(**text), path)
                                : core::Result<core::JsonDocument>{Error{}};
    auto marker = document ? core::read_block_marker(*document) : core::Result<core::BlockMarker>{Error{}};
    return marker ? std::optional(std::move(*marker)) : std::nullopt;
}

Result<void> write_marker(const std::string& workspace, const core::BlockMarker& marker) {
    const std::string path = block_marker_path(workspace);
    const auto place = look_for_marker(workspace);
    if (!place || !place->reachable) {
        return place ? Error{fmt::format("{}: there is no folder for it, and no link is followed", path)}
                     : place.error();
    }
    auto made = make_directories(path.substr(0, path.rfind('/')));
    return made ? write_file_durably(path, core::block_marker_text(marker)) : made;
}

Result<void> remove_marker(const std::string& workspace) {
    const std::string path = block_marker_path(workspace);
    const auto place = look_for_marker(workspace);
    if (!place || !place->reachable) {
        return place ? Result<void>{} : Result<void>{place.error()};
    }
    if (auto removed = place->exists ? remove_file(path) : Result<void>{}; !removed) {
        return removed;
    }
    // Also what an earlier call has removed and could not sync.
    const std::string folder = path.substr(0, path.rfind('/'));
    const auto exists = is_directory_there(folder);
    if (!exists) {
        return exists.error();
    }
    return *exists ? sync_directory(folder) : Result<void>{};
}

}  // namespace ralph::daemon
