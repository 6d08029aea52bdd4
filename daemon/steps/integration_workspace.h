// <workspace_root>/.integration: the folder in which candidates are built and gated. It belongs to the lane
// alone, holds nobody's only copy, and is kept between runs, so that what the gates have built stays warm.
// What is gated ahead of time (speculation.h) has such folders of its own, .integration-2 and so on.
//
// HEAD is detached and is the candidate. Refs of ours in it:
//   refs/ralph/work/<task>     HEAD of the task's workspace when its work was last taken over
//   refs/ralph/landing/<task>  what became of that in the candidate that was pushed last
// Both are durable before a push begins, so that after a crash work is recognised on the target.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "daemon/settings.h"
#include "daemon/steps/git.h"
#include "daemon/steps/step_context.h"

namespace ralph::daemon {

inline constexpr std::string_view integration_workspace_name = ".integration";

[[nodiscard]] std::string work_ref(std::string_view task_id);
[[nodiscard]] std::string landing_ref(std::string_view task_id);

class IntegrationWorkspace {
  public:
    // Makes it if need be, ends what a killed run left in it, and fetches origin. The context's task does not
    // matter; the context must outlive this.
    [[nodiscard]] static core::Result<IntegrationWorkspace> open(const StepContext& context);

    // The one called so beside it, with the work and the tip that are in the first one.
    [[nodiscard]] static core::Result<IntegrationWorkspace> open_beside(const StepContext& context,
                                                                        const std::string& name);

    // Puts it aside, removes that as far as it goes, and makes a new one, with what was noted of landings.
    [[nodiscard]] static core::Result<void> renew(const StepContext& context);

    [[nodiscard]] const Git& git() const { return git_; }

    // The target's tip, as fetched last; empty if the branch is not on origin.
    [[nodiscard]] const std::string& tip() const { return tip_; }
    [[nodiscard]] core::Result<void> fetch();

    // Puts HEAD, index and files to the commit. Ignored files stay.
    [[nodiscard]] core::Result<void> go_to(const std::string& commit) const;

    // The same after a program that may have done anything there.
    [[nodiscard]] core::Result<void> restore(const std::string& commit) const;

    // Copies what git does not carry, as into any workspace, where HEAD does not have it; `tracked`: the
    // queue is.
    [[nodiscard]] core::Result<void> seed(bool tracked) const;

    struct Work {
        std::string head;         // of the task's workspace
        bool has_landed = false;  // the target holds it,
        std::string landed_as;    // as it is or as a candidate of ours had it
    };
    // Brings a task's commits here.
    [[nodiscard]] core::Result<Work> take_over(const std::string& workspace, std::string_view task_id) const;

    // What is to be pushed; then everything in the workspace is made durable.
    struct Landing {
        std::string task_id;
        std::string commit;
    };
    [[nodiscard]] core::Result<void> note_landings(const std::vector<Landing>& landings) const;
    // What was noted of a task that is dealt with.
    [[nodiscard]] core::Result<void> forget(std::string_view task_id) const;

  private:
    IntegrationWorkspace(const StepContext& context, std::string name);
    [[nodiscard]] core::Result<void> make_sound() const;
    [[nodiscard]] core::Result<void> forget_the_gone() const;

    const StepContext* context_;
    std::string name_;
    Git git_;
    std::string tip_;
};

}  // namespace ralph::daemon
