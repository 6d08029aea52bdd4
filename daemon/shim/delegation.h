// Where our cgroups are. Used by the shims and by the supervisor: no Boost, no streams.
#pragma once

#include <string>
#include <string_view>

namespace ralph::shim {

// A mounted hierarchy: `root` is the cgroup that is seen at `point`.
struct Mount {
    std::string root;
    std::string point;
};

// The cgroup v2 hierarchy, or with a `controller` the v1 hierarchy that has it; empty if there is none.
[[nodiscard]] Mount hierarchy(std::string_view controller);

// Where our own cgroup of that hierarchy is seen; empty if it is not.
[[nodiscard]] std::string own_cgroup(const Mount& mount, std::string_view controller);

// The cgroup (v2) that systemd has delegated to our unit: ours, or one that ours lies below. For a ralph that
// a step of another one runs it is that step's: nothing leaves it. Empty: there is none.
//
// In it are, as leaves, one for the supervisor and its shims, and one for each step:
//
//   ralph@….service/             delegated
//     supervisor/                the supervisor and the shims
//     ralph-<run id>/            a step's whole tree
//     .control/                  what systemd runs for the unit: reload, stop
//
// Nothing runs in the delegated cgroup itself, so that controllers can be enabled for its children.
[[nodiscard]] std::string delegated_cgroup();

inline constexpr std::string_view supervisor_leaf = "supervisor";
inline constexpr std::string_view control_leaf =
    ".control";  // systemd's, and root's whoever the unit runs as
inline constexpr std::string_view step_prefix = "ralph-";

}  // namespace ralph::shim
