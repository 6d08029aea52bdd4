#include "daemon/git/tracked_files.h"

#include <fmt/format.h>

#include "daemon/git/git.h"
#include "daemon/os/files.h"

namespace ralph::daemon {

core::Result<bool> is_tracked(const std::string& root, const std::string& path) {
    const Git repository(root);
    auto indexed = repository.output({"ls-files", "-z", "--", fmt::format(":(top,literal,icase){}", path)});
    if (!indexed || !indexed->empty()) {
        return indexed ? Result<bool>{true} : Result<bool>{indexed.error()};
    }
    const auto head = repository.resolve("HEAD^{tree}");
    if (!head || !*head) {
        return head ? Result<bool>{false} : Result<bool>{head.error()};
    }
    auto committed = repository.output({"ls-tree", "-z", "--full-tree", **head, "--", path});
    return committed ? Result<bool>{!committed->empty()} : Result<bool>{committed.error()};
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
