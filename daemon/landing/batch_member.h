// One task in a run of the merge queue: what is done in its own workspace before its work is tried, and after
// it has landed. The workspace's commits and files are only added to: uncommitted work is committed, nothing
// is moved.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/landing/landing_commits.h"
#include "daemon/store/handoff.h"
#include "daemon/workspace/bookkeeping.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

class BatchMember {
  public:
    explicit BatchMember(StepContext context);

    [[nodiscard]] const StepContext& context() const { return context_; }
    [[nodiscard]] const std::string& task_id() const { return context_.task_id; }

    // Commits what the worker has left, and brings it to the integration workspace. `bookkeeping` is that of
    // the target's tip. Ends the member if its work cannot be tried, or has landed already.
    void get_ready(const IntegrationWorkspace& integration, const Bookkeeping& bookkeeping);

    // The target holds the work as `commit`, which nothing can take back: from here on there are notes, no
    // failures.
    void finish_landed(const std::string& commit, bool tracked);

    // If it can be fixed, leaves a handoff packet for whoever does: with the files in conflict with the
    // target, and what a red gate said.
    void end(Ending ending, const std::vector<std::string>& conflicts = {},
             const std::optional<Handoff::CiContext>& gate = std::nullopt);
    // A fault of the world: passing ones are waited for, and count for nobody.
    void end_by(const core::Error& error);
    void note(const std::string& sentence) { add_note(notes_, sentence); }
    // Whether the commit was made in this workspace, and not fetched.
    [[nodiscard]] bool has_made(const std::string& commit) const;
    [[nodiscard]] bool has_ended() const { return ending_.has_value(); }
    [[nodiscard]] bool has_landed() const { return ending_ && ending_->code == 0; }
    // It has landed, and the run is to be done again for what comes after that.
    void run_again(const std::string& why);
    // The ending, with all notes; it must have ended. What people and the Rust tools look for in a workspace
    // whose work did not land is left there.
    [[nodiscard]] Ending finish();

  private:
    void hand_off(const std::string& reason, const std::vector<std::string>& conflicts,
                  const std::optional<Handoff::CiContext>& gate);
    [[nodiscard]] core::Result<Stop> commit_all();
    [[nodiscard]] core::Result<bool> is_without_work(const IntegrationWorkspace& integration,
                                                     const IntegrationWorkspace::Work& work) const;
    [[nodiscard]] std::string what_is_left() const;
    [[nodiscard]] core::Result<Stop> take_over(const IntegrationWorkspace& integration,
                                               const Bookkeeping& bookkeeping);
    [[nodiscard]] Ending without_workspace(const Bookkeeping& bookkeeping);
    void mark_kept();
    void leave_marker();
    void keep_what_was_taken();

    StepContext context_;
    Git workspace_;
    std::optional<Ending> ending_;
    core::Outcome notes_;
};

}  // namespace ralph::daemon
