// The kept refs of a repository: refs/ralph/kept/<task>/<n>, each a commit made when something was kept. Its
// tree is what the files were, its parent where HEAD was, its date when the retention begins.
//
// Beside them refs/ralph/landed/<task>/<n> marks what was kept before the task landed: history, from which no
// later attempt goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct KeptRef {
    std::string task_id;
    std::uint32_t number = 0;
    std::string name;  // the ref
    std::string object;
    std::string tree;
    std::string parents;
    std::string message;
    std::string base;          // after which commit the task's work begins; empty if that was not known
    std::string task_created;  // when its task was made, RFC 3339; empty if that was not told
    bool is_side = false;      // a side branch or a stash, not what HEAD and the files were
    bool is_landed = false;
    std::int64_t committed = 0;  // seconds since the epoch

    [[nodiscard]] core::Instant kept_at() const { return core::Instant{std::chrono::seconds{committed}}; }
};

// How the message of a kept commit tells the three.
inline constexpr std::string_view kept_base_line = "Base: ";
inline constexpr std::string_view kept_created_line = "Task created: ";
inline constexpr std::string_view kept_side_line = "Holds: a side branch or a stash";

[[nodiscard]] std::string kept_prefix(std::string_view task_id);  // "refs/ralph/kept/<task>/"

// Of one task, or of all if `task_id` is empty; by task, then number. What does not look like ours is left
// out.
[[nodiscard]] core::Result<std::vector<KeptRef>> list_kept(const Git& repository, std::string_view task_id);

// "RQ-0001" (the newest) or "RQ-0001/2", as a person names it.
[[nodiscard]] core::Result<KeptRef> find_kept(const Git& repository, const std::string& name);

// What the next attempt at the task goes on from if its workspace is gone: the newest that holds files and
// has not landed. `task_created` (RFC 3339) tells the task from another one that had its id before; empty if
// it is not known.
[[nodiscard]] core::Result<std::optional<KeptRef>> kept_to_go_on_from(const Git& repository,
                                                                      std::string_view task_id,
                                                                      const std::string& task_created);

// The task has landed: nothing that was kept of it until now is gone on from. Doing it again changes nothing.
[[nodiscard]] core::Result<void> mark_kept_landed(const Git& repository, std::string_view task_id);

// When what was kept at that time may be pruned.
[[nodiscard]] core::Instant kept_until(const Settings& settings, const KeptRef& ref);

// Deletes the ref if it is still what was listed.
[[nodiscard]] core::Result<void> delete_kept(const Git& repository, const KeptRef& ref);

// Deletes the kept refs of all tasks whose retention has ended, each at the second look that says so
// (core/base/expiry.h).
struct PrunedKept {
    std::vector<KeptRef> removed;
    std::vector<KeptRef> noted;  // seem expired, and go at a later look
};
[[nodiscard]] core::Result<PrunedKept> prune_kept_work(const Settings& settings, core::Moment now);

// What a kept ref is worth, for people.
struct KeptSummary {
    std::string base;              // the commit that all of it is compared with
    std::uint32_t commits = 0;     // of the task, after the base
    bool has_uncommitted = false;  // changes that were not committed when it was kept
    std::uint32_t files = 0;       // that differ from the base
};
[[nodiscard]] core::Result<KeptSummary> summarize_kept(const Git& repository, const KeptRef& ref);

}  // namespace ralph::daemon
