#include "daemon/steps/push.h"

#include <fmt/format.h>

#include "daemon/steps/git.h"

namespace ralph::daemon {

using core::Result;
using Kind = PushEnd::Kind;

Result<PushEnd> push_candidate(const StepContext& context, IntegrationWorkspace& integration,
                               const std::vector<IntegrationWorkspace::Landing>& landings) {
    const std::string base = integration.tip();
    const std::string& commit = landings.back().commit;
    const std::string target = context.target();
    if (auto noted = integration.note_landings(landings); !noted) {
        return noted.error();
    }
    auto pushed =
        integration.git().run({"push", "--porcelain", "--no-follow-tags", "--no-recurse-submodules", "origin",
                               fmt::format("{}:refs/heads/{}", commit, context.target_branch)},
                              Git::push_timeout);
    const bool said_yes = pushed && pushed->status == 0;
    const std::string words =
        said_yes ? "" : (pushed ? last_words(pushed->errors + "\n" + pushed->output) : pushed.error().line());
    if (auto fetched = integration.fetch(); !fetched) {
        return PushEnd{
            Kind::put_off,
            said_yes ? fetched.error().line()
                     : fmt::format("the push to {} failed, and origin cannot be reached: {}", target, words)};
    }
    auto arrived = integration.tip().empty() ? Result<bool>{false}
                                             : integration.git().is_ancestor(commit, integration.tip());
    if (!arrived) {
        return arrived.error();
    }
    if (*arrived) {  // only what the remote answers now counts as landed
        return PushEnd{Kind::landed, "", !said_yes};
    }
    if (said_yes) {
        return PushEnd{Kind::put_off, fmt::format("{} does not hold the work after the push", target)};
    }
    if (integration.tip() != base) {
        return PushEnd{Kind::put_off, fmt::format("somebody else pushed to {} in the meantime", target)};
    }
    if (!pushed || fault_in(pushed->errors + pushed->output) == core::Fault::passing) {
        return PushEnd{Kind::put_off, fmt::format("the push to {} failed: {}", target, words)};
    }
    const bool was_let_in = pushed->output.find("[remote rejected]") != std::string::npos;
    return PushEnd{was_let_in ? Kind::refused : Kind::shut_out,
                   fmt::format("the push to {} was refused: {}; mend it", target, words)};
}

}  // namespace ralph::daemon
