#include "daemon/workspace/quarantine.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/queue/queue_validation.h"
#include "daemon/os/files.h"
#include "daemon/store/expiry_notes.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

using core::Result;

// A step may be at work on those; none takes as long.
constexpr std::chrono::hours longest_step{24 * 8};

std::optional<QuarantinedWorkspace> parse_name(const std::string& name) {
    if (name.size() < 2 || name.front() != '.') {
        return std::nullopt;
    }
    const std::size_t dot = name.rfind('.');
    QuarantinedWorkspace found;
    found.name = name;
    found.task_id = name.substr(1, dot == 0 ? 0 : dot - 1);
    const std::string suffix = name.substr(dot);
    constexpr std::string_view broken = ".broken-";
    if (suffix == ".discarded") {
        found.kind = QuarantinedWorkspace::Kind::discarded;
    } else if (suffix == ".preparing") {
        found.kind = QuarantinedWorkspace::Kind::preparing;
    } else if (suffix.rfind(broken, 0) != 0 || suffix.size() == broken.size() ||
               suffix.find_first_not_of("0123456789", broken.size()) != std::string::npos) {
        return std::nullopt;
    }
    return core::is_safe_task_id(found.task_id) ? std::optional(std::move(found)) : std::nullopt;
}

core::Instant instant_of(const timespec& time) {
    return core::Instant{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

Result<void> remove_entry(const std::string& root, const std::string& name) {
    return is_directory(root + "/" + name) ? remove_tree(root, name) : remove_file(root + "/" + name);
}

}  // namespace

Result<std::vector<QuarantinedWorkspace>> list_quarantined(const Settings& settings) {
    TRY_ASSIGN(const auto names, list_directory(settings.workspace_root));
    std::vector<QuarantinedWorkspace> all;
    for (const std::string& name : names) {
        auto found = parse_name(name);
        struct stat info {};
        if (!found || ::lstat((settings.workspace_root + "/" + name).c_str(), &info) != 0) {
            continue;
        }
        found->since = std::max(instant_of(info.st_mtim), instant_of(info.st_ctim));
        const core::Milliseconds retention = settings.supervisor.kept_work_retention;
        found->until = found->since + (found->kind == QuarantinedWorkspace::Kind::broken
                                           ? retention
                                           : std::max<core::Milliseconds>(retention, longest_step));
        all.push_back(std::move(*found));
    }
    return all;
}

Result<PrunedQuarantined> prune_quarantined(const Settings& settings, core::Moment now) {
    TRY_ASSIGN(const auto all, list_quarantined(settings));
    PrunedQuarantined pruned;
    const core::Milliseconds retention = settings.supervisor.kept_work_retention;
    const core::ExpiryNotes before = load_expiry_notes(settings.paths, Kept::workspaces, now);
    core::ExpiryLook look(before, now.monotonic);
    std::vector<QuarantinedWorkspace> confirmed;
    for (const QuarantinedWorkspace& each : all) {
        if (now.wall < each.until) {
            continue;
        }
        const std::string path = settings.workspace_root + "/" + each.name;
        if (look.is_confirmed(path + " " + core::format_rfc3339(each.since), retention)) {
            confirmed.push_back(each);
        } else {
            pruned.noted.push_back(path);
        }
    }
    if (look.notes() != before) {
        TRY(save_expiry_notes(settings.paths, Kept::workspaces, look.notes(), now));
    }
    for (const QuarantinedWorkspace& each : confirmed) {
        const std::string path = settings.workspace_root + "/" + each.name;
        // What is no plain workspace any more has waited for a person as long as it had to.
        const auto workspace =
            each.kind == QuarantinedWorkspace::Kind::broken
                ? open_workspace_of_any_task(settings, path, each.task_id, {Purpose::work, {}})
                : Result<Git>{core::Error{}};
        const auto usable = workspace                        ? is_usable_workspace(*workspace)
                            : workspace.error().is_passing() ? Result<bool>{workspace.error()}
                                                             : Result<bool>{false};
        if (!usable) {  // that must not cost what may be the only copy
            pruned.stayed.push_back(fmt::format("{}: {}", path, usable.error().line()));
            continue;
        }
        if (*usable) {
            remove_stale_files(settings, *workspace);
            auto kept = keep_work(settings, *workspace, each.task_id);
            if (!kept) {
                pruned.stayed.push_back(fmt::format("{}: {}", path, kept.error().line()));
                continue;
            }
            pruned.made.insert(pruned.made.end(), kept->made.begin(), kept->made.end());
        }
        if (auto removed = remove_entry(settings.workspace_root, each.name); !removed) {
            pruned.stayed.push_back(removed.error().line());
            continue;
        }
        pruned.removed.push_back(path);
    }
    return pruned;
}

}  // namespace ralph::daemon
