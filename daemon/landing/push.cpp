#include "daemon/landing/push.h"

#include <fmt/format.h>

#include "daemon/git/git_words.h"

namespace ralph::daemon {

using core::Result;
using core::landing::PushEnd;
using core::landing::event::Pushed;

namespace {

Pushed not_landed(PushEnd end, std::string why) {
    return {end, false, false, std::move(why)};
}

}  // namespace

Result<Pushed> push_candidate(const StepContext& context, IntegrationWorkspace& integration,
                              const std::vector<IntegrationWorkspace::Landing>& landings) {
    const std::string base = integration.tip();
    const std::string& commit = landings.back().commit;
    const std::string target = context.target();
    TRY(integration.note_landings(landings));
    auto pushed = integration.push(commit);
    const bool said_yes = pushed && pushed->status == 0;
    const std::string words =
        said_yes ? "" : (pushed ? last_lines(pushed->errors + "\n" + pushed->output) : pushed.error().line());
    if (auto fetched = integration.fetch(); !fetched) {
        return not_landed(
            PushEnd::unavailable,
            said_yes ? fetched.error().line()
                     : fmt::format("the push to {} failed, and origin cannot be reached: {}", target, words));
    }
    TRY_ASSIGN(auto arrived, integration.tip().empty()
                                 ? Result<bool>{false}
                                 : integration.git().is_ancestor(commit, integration.tip()));
    if (arrived) {  // only what the remote answers now counts as landed
        return Pushed{PushEnd::landed, integration.tip() == commit, !said_yes, {}};
    }
    if (said_yes) {
        return not_landed(PushEnd::deferred, fmt::format("{} does not hold the work after the push", target));
    }
    if (integration.tip() != base) {  // the lease held, or somebody was faster
        return not_landed(PushEnd::deferred,
                          fmt::format("somebody else pushed to {} in the meantime", target));
    }
    const std::string failed = fmt::format("the push to {} failed: {}", target, words);
    if (!pushed) {
        return not_landed(PushEnd::unavailable, failed);
    }
    switch (push_refusal(*pushed)) {
        case PushRefusal::passing:
            return not_landed(PushEnd::unavailable, failed);
        case PushRefusal::unpacked:  // counted
            return not_landed(PushEnd::deferred, failed);
        case PushRefusal::refused:
            return not_landed(PushEnd::refused,
                              fmt::format("the push to {} was refused: {}; fix it", target, words));
        case PushRefusal::shut_out:
            return not_landed(PushEnd::shut_out,
                              fmt::format("the push to {} was refused: {}; fix it", target, words));
    }
    return not_landed(PushEnd::unavailable, failed);
}

}  // namespace ralph::daemon
