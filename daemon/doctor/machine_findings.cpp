// ralph's own programs, and room on the disks.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <set>

#include "daemon/doctor/diagnosis.h"
#include "daemon/supervisor/launch_builder.h"

namespace ralph::daemon {
namespace {

// Less than that, and clones, builds and pushes begin to fail.
constexpr unsigned long long enough_bytes = 512ULL << 20;

void check_space(Diagnosis& diagnosis, const std::string& place) {
    struct statvfs info {};
    if (::statvfs(place.c_str(), &info) != 0) {
        return;  // not there yet
    }
    if (auto finding =
            judge_free_space(place, static_cast<unsigned long long>(info.f_bavail) * info.f_frsize)) {
        diagnosis.add(std::move(*finding));
    }
}

}  // namespace

std::optional<Finding> judge_free_space(const std::string& place, unsigned long long free_bytes) {
    if (free_bytes >= enough_bytes) {
        return std::nullopt;
    }
    return Finding{
        "disk_full",
        Severity::wrong,
        "There is little room left on a disk",
        place,
        fmt::format("{} MiB are free. When it is full nothing new starts, what runs goes on, and steps "
                    "that need room fail; nothing is lost.",
                    free_bytes >> 20U),
        "make room; `ralph kept prune` and old workspaces may help",
        "",
        nullptr};
}

void check_machine(Diagnosis& diagnosis) {
    if (const auto executables = find_executables(); !executables) {
        diagnosis.add({"shim_missing", Severity::wrong, "ralph is not installed whole",
                       executables.error().message, "Nothing can be started without it.",
                       executables.error().remedy, "", nullptr});
    }
    std::set<std::string> places{diagnosis.paths.root};
    if (diagnosis.settings) {
        places.insert(diagnosis.settings->workspace_root);
    }
    for (const std::string& place : places) {
        check_space(diagnosis, place);
    }
}

}  // namespace ralph::daemon
