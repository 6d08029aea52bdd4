// How a workspace goes on from what an earlier attempt at the task left, instead of from zero.
//
// The state to go on from is a kept commit (kept_refs.h): its parent is where HEAD was, the difference to its
// parent is what was not committed. That difference comes back uncommitted, all of it staged: it is the
// worker's, which may still want to change or to split it, and what is landed in the end carries the task's
// name and not ours.
//
// A workspace that stands and whose base is still the tip of the target is left exactly as it is. Otherwise
// the state is put on the tip of the target branch. Where that is not possible without a conflict, or would
// lose a merge or leave another branch behind, it stays on the base that it had, and integrate says so.
#pragma once

#include <string>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

// In the workspace, while prepare rebuilds it: the kept commit that it is rebuilt from. A prepare step that
// is killed meanwhile is run again and finds here what the files no longer tell.
inline constexpr const char* resuming_ref = "refs/ralph/going-on";

struct Restored {
    std::string base;      // after which commit the work begins
    std::string tree;      // the files that are the work's; seeding leaves them alone
    std::string obstacle;  // why it is not on the tip of the target; empty if it is
};

// Whether the work, whose last commit is `head`, can stay as it stands, or has to: the reason if it has to.
struct Standing {
    bool stays = false;
    std::string obstacle;
};
[[nodiscard]] core::Result<Standing> judge_standing(const StepContext& context, const Git& workspace,
                                                    const std::string& head, const std::string& base);

// After which commit the work that ends in `head` begins: `recorded`, where that is known and the target has
// lost it; else where `head` and the target part.
[[nodiscard]] core::Result<std::string> base_of_work(const StepContext& context, const Git& workspace,
                                                     const std::string& head, const std::string& recorded);

// Rebuilds HEAD, index and files from `resuming_ref`, which is there. Whatever the workspace held is
// replaced.
[[nodiscard]] core::Result<Restored> restore_work(const StepContext& context, const Git& workspace,
                                                  const std::string& recorded_base);

}  // namespace ralph::daemon
