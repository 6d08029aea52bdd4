// Queue and done file as a step sees them: tracked, so that they travel with the commits, or not, so that the
// repository's own files are the truth (contract section 10).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/queue/task.h"
#include "daemon/git/git.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {

struct Bookkeeping {
    bool tracked = false;
    bool has_done_file = false;  // else the archive is empty
    core::TaskFile queue;
    core::TaskFile done;
};

// What git tells of the two files on a branch. Failing to be told is the world's fault; what they hold, or
// lack, is an operator's.
struct BookkeepingTexts {
    std::string target;  // "origin/main", for messages
    std::optional<std::string> queue;
    std::optional<std::string> done;
    bool done_is_ignored = false;
};
[[nodiscard]] core::Result<BookkeepingTexts> fetch_bookkeeping(const Settings& settings, const Git& git,
                                                               const std::string& branch);
// The same of any commit; `target` only names it.
[[nodiscard]] core::Result<BookkeepingTexts> bookkeeping_at(const Settings& settings, const Git& git,
                                                            const std::string& commit, std::string target);
[[nodiscard]] core::Result<Bookkeeping> parse_bookkeeping(const Settings& settings, BookkeepingTexts texts);

// Both: as origin/<branch>, known to `git`, has them; if it tracks neither, as the repository itself has
// them. One tracked and the other not is an error.
[[nodiscard]] core::Result<Bookkeeping> read_bookkeeping(const Settings& settings, const Git& git,
                                                         const std::string& branch);

[[nodiscard]] bool is_done(const core::TaskFile& done, std::string_view task_id);

// The tasks that the worker of `task_id` proposes (contract section 8.4) are put into `queue`; none if there
// is no proposal. The task must be in `done`.
[[nodiscard]] core::Result<void> add_followups(const Settings& settings, const Paths& workspace,
                                               std::string_view task_id, core::TaskFile& queue,
                                               const core::TaskFile& done);

// Whether there is a proposal with at least one task, or one that cannot be understood, which is told later.
[[nodiscard]] core::Result<bool> proposes_tasks(const Paths& workspace, std::string_view task_id);

// The proposal has been used. No link is followed to it; missing is success.
[[nodiscard]] core::Result<void> remove_followups(const Paths& workspace, std::string_view task_id);

// The landed task becomes done in the repository's own, untracked files (contract section 10.3). Doing it
// again changes nothing. Follow-ups are added in the same write that takes the task out of the queue, so that
// they are added once.
[[nodiscard]] core::Result<void> reconcile_repository(const Settings& settings, const std::string& workspace,
                                                      std::string_view task_id);

// Done first, so that a task is never in neither file. `links_within` as for rewrite_file_durably: the user's
// own links are followed, those that a worker has made are not.
[[nodiscard]] core::Result<void> save_bookkeeping(const std::string& queue_path, const core::TaskFile& queue,
                                                  const std::string& done_path, const core::TaskFile& done,
                                                  const std::string& links_within);

}  // namespace ralph::daemon
