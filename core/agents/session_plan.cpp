#include "core/agents/session_plan.h"

#include <algorithm>
#include <cstdint>

namespace ralph::core {
namespace {

std::string interruption(const AgentRecord& record) {
    if (!record.verdict) {
        return "the agent or its host was killed.";
    }
    switch (*record.verdict) {
        case Verdict::ok:
            return "the attempt was not enough.";
        case Verdict::limited:
            return "the account's limit was reached. It is over now.";
        case Verdict::unauthorized:
            return "the account was refused. That is put right now.";
        case Verdict::stopped:
            return "ralph was stopped.";
        case Verdict::passing:
            return "the model could not be reached.";
        case Verdict::budget_spent:
            return "the budget was spent. There is more now.";
        case Verdict::context_full:
            return "it filled the model's context.";
        case Verdict::denied:
        case Verdict::no_result:
        case Verdict::session_lost:
        case Verdict::failed:
            break;
    }
    return "the attempt failed: " + record.message;
}

}  // namespace

SessionPlan plan_session(const AgentPreset& preset, const std::vector<AgentRecord>& earlier,
                         std::string_view phase, bool keeps_session) {
    SessionPlan plan;
    if (earlier.empty()) {
        return plan;
    }
    const AgentRecord& last = earlier.back();
    plan.is_begun = last.phase == phase;
    if (!plan.is_begun && !keeps_session) {
        plan.note = "the phase begins a conversation of its own";
        return plan;
    }
    plan.why = interruption(last);
    const bool is_own = last.agent == preset.name;
    switch (preset.sessions) {
        case AgentPreset::Sessions::none:
            plan.note = preset.name + " cannot continue a conversation";
            return plan;
        case AgentPreset::Sessions::newest:
            plan.goes_on = is_own && last.answered;
            break;
        case AgentPreset::Sessions::chosen:
        case AgentPreset::Sessions::told:
            plan.session = is_own && last.answered ? last.session : std::string{};
            plan.goes_on = !plan.session.empty();
            break;
    }
    if (last.verdict == Verdict::context_full || last.verdict == Verdict::session_lost) {
        plan.goes_on = false;
        plan.session.clear();
    }
    if (!plan.goes_on) {
        plan.note = is_own ? "no session of before can be continued"
                           : "the session of before is " + last.agent + "'s";
    }
    return plan;
}

std::size_t next_phase(const std::vector<std::string>& phases, const std::vector<AgentRecord>& earlier) {
    if (earlier.empty()) {
        return 0;
    }
    const auto last = std::find(phases.begin(), phases.end(), earlier.back().phase);
    if (last == phases.end()) {
        return 0;
    }
    return static_cast<std::size_t>(last - phases.begin()) + (earlier.back().verdict == Verdict::ok ? 1 : 0);
}

Usage used_by_attempt(const AgentPreset& preset, const Usage& told, const Usage& before) {
    if (!preset.session_totals) {
        return told;
    }
    const Usage of_session = told.since(before);
    Usage used = told;
    used.input_tokens = of_session.input_tokens;
    used.output_tokens = of_session.output_tokens;
    used.cached_tokens = of_session.cached_tokens;
    return used;
}

}  // namespace ralph::core
