#include "daemon/tracked_files.h"

#include <fmt/format.h>

#include "daemon/paths.h"
#include "daemon/steps/git.h"
#include "daemon/store/files.h"

namespace ralph::daemon {

namespace {

// What the index, else HEAD, holds of these and below them. Of HEAD it is the places themselves.
core::Result<std::vector<std::string>> tracked_at(const std::string& root,
                                                  const std::vector<std::string>& paths) {
    const Git repository(root);
    std::vector<std::string> listing{"ls-files", "-z", "--"};
    for (const std::string& path : paths) {
        listing.push_back(fmt::format(":(top,literal,icase){}", path));
    }
    auto indexed = repository.output(listing);
    if (!indexed || !indexed->empty()) {
        return indexed ? Result<std::vector<std::string>>{split_at_nul(*indexed)} : indexed.error();
    }
    const auto head = repository.resolve("HEAD^{tree}");
    if (!head || !*head) {
        return head ? Result<std::vector<std::string>>{std::vector<std::string>{}} : head.error();
    }
    listing = {"ls-tree", "-z", "--full-tree", "--name-only", **head, "--"};
    listing.insert(listing.end(), paths.begin(), paths.end());
    auto committed = repository.output(listing);
    return committed ? Result<std::vector<std::string>>{split_at_nul(*committed)} : committed.error();
}

}  // namespace

core::Result<bool> is_tracked(const std::string& root, const std::string& path) {
    auto found = tracked_at(root, {path});
    return found ? core::Result<bool>{!found->empty()} : found.error();
}

core::Result<void> check_own_places(const std::string& root) {
    auto found = tracked_at(root, {own_places.begin(), own_places.end()});
    if (!found || found->empty()) {
        return found ? core::Result<void>{} : found.error();
    }
    const std::string shown = core::printable(found->front());
    return Error{
        fmt::format("{}/{}: git tracks it, but it is a supervisor's own: whoever pushes to it would "
                    "write over what this one remembers",
                    root, shown),
        fmt::format("`git -C {} rm -r --cached {}`, and commit that", root, fmt::join(own_places, " "))};
}

std::optional<core::Error> not_checked_out(const std::string& root, const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const std::string full = root + "/" + path;
        if (path_exists(full)) {
            continue;
        }
        const auto tracked = is_tracked(root, path);
        if (tracked && *tracked) {
            return Error{
                fmt::format("{}: git tracks it, but it is not in this working tree", full),
                fmt::format(
                    "bring it there with `git sparse-checkout add {0}` or `git checkout HEAD -- {0}`, "
                    "or commit its removal",
                    path.substr(0, path.find('/')))};
        }
    }
    return std::nullopt;
}

}  // namespace ralph::daemon
