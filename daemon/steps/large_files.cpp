#include "daemon/steps/large_files.h"

#include <optional>

#include "daemon/steps/plain_git.h"
#include "daemon/store/folder.h"

namespace ralph::daemon {
namespace {

constexpr const char* place = "lfs/objects";
constexpr int deepest = 8;

void bring_all(const Folder& from, const Folder& to, int depth) {
    const auto entries = from.entries();
    if (!entries || depth > deepest) {
        return;
    }
    for (const Folder::Entry& entry : *entries) {
        if (entry.kind == Folder::Kind::directory) {
            const auto source = from.below(entry.name);
            const auto target = to.make_below(entry.name);
            if (source && *source && target) {
                bring_all(**source, *target, depth + 1);
            }
        } else if (entry.kind == Folder::Kind::regular) {
            static_cast<void>(to.copy_whole_from(from, entry.name));
        }
    }
}

}  // namespace

void bring_large_files(const Git& from, const Git& to) {
    const auto source_git = git_folder_of(from);
    const auto target_git = git_folder_of(to);
    if (!source_git || !target_git) {
        return;
    }
    const auto source = source_git->below(place);
    if (!source || !*source) {
        return;
    }
    if (const auto target = target_git->make_below(place); target) {
        bring_all(**source, *target, 0);
    }
}

}  // namespace ralph::daemon
