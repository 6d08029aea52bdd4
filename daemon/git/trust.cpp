#include "daemon/git/trust.h"

#include <fmt/format.h>

#include "daemon/git/tracked_files.h"
#include "daemon/os/files.h"
#include "daemon/store/ralph_folder.h"

namespace ralph::daemon {
namespace {

std::string trust_path(const Paths& paths) {
    return paths.folder + "/trust.jsonc";
}

}  // namespace

std::string foreign_trust(const Paths& paths) {
    if (path_exists(paths.ralph() + "/.git")) {
        return fmt::format("{}: {} is a repository of its own, so this file is no permission of yours",
                           paths.trust(), paths.folder);
    }
    const auto tracked = is_tracked(paths.root, trust_path(paths));
    if (!tracked) {
        return fmt::format("{}: it cannot be known whether git tracks it, so it is no permission: {}",
                           paths.trust(), tracked.error().message);
    }
    return *tracked ? fmt::format("{}: git tracks it, so it came from others and is no permission of yours",
                                  paths.trust())
                    : std::string{};
}

core::Result<Trust> trust_of(const Paths& paths) {
    TRY_ASSIGN(const auto allows, trust_file_allows(paths));
    if (!allows) {
        return Trust{};
    }
    // In a bad minute of the host nothing is refused for good.
    if (const auto tracked = is_tracked(paths.root, trust_path(paths));
        !tracked && tracked.error().is_passing()) {
        return tracked.error();
    }
    std::string refusal = foreign_trust(paths);
    const bool is_given = refusal.empty();
    return Trust{is_given, std::move(refusal)};
}

Result<Settings> load_settings(const std::string& root) {
    TRY_ASSIGN(const auto paths, paths_of(root));
    TRY(check_ralph_folder(paths));
    TRY_ASSIGN(const auto trust, trust_of(paths));
    auto settings = read_settings(paths, trust.is_given);
    if (settings) {
        settings->trust_refusal = trust.refusal;
    } else if (!trust.refusal.empty() && read_settings(paths, true)) {
        // Nothing else is wrong with them.
        return Error{fmt::format("{}; {}", settings.error().message, trust.refusal), trust_remedy};
    }
    return settings;
}

}  // namespace ralph::daemon
