// <workspace_root>/.integration: the folder in which candidates are built and gated. It belongs to the merge
// queue alone, holds nobody's only copy, and is kept between runs, so that what the gates have built stays
// warm. What is gated ahead of time (speculation.h) has such folders of its own, .integration-2 and so on.
//
// What git knows of it is elsewhere: HEAD, index, refs and settings are in .ralph/cache/parallel/lane.git. A
// gate finds a `.git` that was made for it, and which is thrown away afterwards:
// whatever it sets there, hooks, addresses, refs or filters, ends with it. Work that was taken over is safe
// from a gate that removes its folder, or all workspaces.
//
// HEAD is detached and is the candidate. Refs of ours:
//   refs/ralph/work/<task>     HEAD of the task's workspace when its work was last taken over
//   refs/ralph/landing/<task>  what became of that in the candidate that was pushed last
// Both are durable before a push begins, so that after a crash work is recognised on the target.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "daemon/git/git.h"
#include "daemon/landing/gate.h"
#include "daemon/store/settings.h"
#include "daemon/workspace/landing_notes.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

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

    // The one called so, with what git knows of it.
    [[nodiscard]] static core::Result<void> remove(const Settings& settings, const std::string& name);

    [[nodiscard]] const Git& git() const { return git_; }

    // The target's tip, as fetched last; empty if the branch is not on origin.
    [[nodiscard]] const std::string& tip() const { return tip_; }
    [[nodiscard]] core::Result<void> fetch();

    // Commits were taken off the target by force since it was fetched before: "origin/main was rewritten:
    // ...". Told once.
    [[nodiscard]] std::optional<std::string> take_rewrite();

    // Puts HEAD, index and files to the commit. Ignored files stay.
    [[nodiscard]] core::Result<void> go_to(const std::string& commit) const;

    // For the gates that run there. This must outlive it.
    [[nodiscard]] GateGround ground() const;

    // Copies what git does not carry, as into any workspace, where HEAD does not have it; `tracked`: the
    // queue is.
    [[nodiscard]] core::Result<void> seed(bool tracked) const;

    struct Work {
        std::string head;         // of the task's workspace
        bool has_landed = false;  // the target holds it,
        std::string landed_as;    // as it is or as a candidate of ours had it
        bool was_noted = false;   // by an earlier run: it was to be landed then
    };
    // Brings a task's commits here.
    [[nodiscard]] core::Result<Work> take_over(const Git& workspace, std::string_view task_id) const;
    // They are to be landed.
    [[nodiscard]] core::Result<void> note_work(std::string_view task_id, const Work& work) const;

    // What is to be pushed; then everything that git knows is made durable.
    struct Landing {
        std::string task_id;
        std::string commit;
    };
    [[nodiscard]] core::Result<void> note_landings(const std::vector<Landing>& landings) const;
    // Pushes the commit to the target, if that is `tip` still. The end of git, whatever it is. The hooks that
    // a push of the user's own would run are run, in the folder, as in any clone.
    [[nodiscard]] core::Result<ProgramEnd> push(const std::string& commit) const;
    // What was noted of a task that is dealt with.
    [[nodiscard]] core::Result<void> forget(std::string_view task_id) const;

  private:
    IntegrationWorkspace(const StepContext& context, std::string_view name);
    [[nodiscard]] core::Result<void> lend_git(const std::string& settings) const;
    [[nodiscard]] core::Result<std::string> restore(const std::string& commit) const;
    [[nodiscard]] core::Result<void> make_sound() const;
    [[nodiscard]] core::Result<void> make_folder() const;
    [[nodiscard]] core::Result<bool> is_usable() const;
    [[nodiscard]] core::Result<void> make_git() const;
    [[nodiscard]] core::Result<void> forget_the_gone() const;

    const StepContext* context_;
    std::string name_;
    Git git_;
    std::string tip_;
    std::optional<std::string> rewrite_;
};

}  // namespace ralph::daemon
