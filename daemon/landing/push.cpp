#include "daemon/landing/push.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/git/git.h"

namespace ralph::daemon {

using core::Result;
using Kind = PushEnd::Kind;

namespace {

// Beside what passes everywhere: another push, or a packing of refs, holds the ref on the remote.
bool is_passing(const std::string& all_words) {
    constexpr std::array<std::string_view, 3> locked{"cannot lock ref", "failed to update ref",
                                                     ".lock': File exists"};
    return fault_in(all_words) == core::Fault::passing ||
           std::any_of(locked.begin(), locked.end(), [&all_words](std::string_view sign) {
               return all_words.find(sign) != std::string::npos;
           });
}

}  // namespace

Result<PushEnd> push_candidate(const StepContext& context, IntegrationWorkspace& integration,
                               const std::vector<IntegrationWorkspace::Landing>& landings) {
    const std::string base = integration.tip();
    const std::string& commit = landings.back().commit;
    const std::string target = context.target();
    if (auto noted = integration.note_landings(landings); !noted) {
        return noted.error();
    }
    auto pushed = integration.push(commit);
    const bool said_yes = pushed && pushed->status == 0;
    const std::string words =
        said_yes ? "" : (pushed ? last_words(pushed->errors + "\n" + pushed->output) : pushed.error().line());
    if (auto fetched = integration.fetch(); !fetched) {
        return PushEnd{
            Kind::unavailable,
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
    if (integration.tip() != base) {  // the lease held, or somebody was faster
        return PushEnd{Kind::put_off, fmt::format("somebody else pushed to {} in the meantime", target)};
    }
    if (!pushed || is_passing(pushed->errors + pushed->output)) {
        return PushEnd{Kind::unavailable, fmt::format("the push to {} failed: {}", target, words)};
    }
    if (pushed->output.find("(unpacker error)") != std::string::npos ||
        pushed->errors.find("remote unpack failed") != std::string::npos) {
        // The remote could not take it, without a word why: killed there, or too large for it. Counted.
        return PushEnd{Kind::put_off, fmt::format("the push to {} failed: {}", target, words)};
    }
    const bool was_let_in = pushed->output.find("[remote rejected]") != std::string::npos;
    return PushEnd{was_let_in ? Kind::refused : Kind::shut_out,
                   fmt::format("the push to {} was refused: {}; mend it", target, words)};
}

}  // namespace ralph::daemon
