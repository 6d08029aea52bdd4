#include "core/agents/preset.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ralph::core {
namespace {

constexpr std::array<std::pair<Verdict, std::string_view>, 11> verdicts{{
    {Verdict::ok, "ok"},
    {Verdict::limited, "limited"},
    {Verdict::unauthorized, "unauthorized"},
    {Verdict::context_full, "context_full"},
    {Verdict::passing, "passing"},
    {Verdict::denied, "denied"},
    {Verdict::no_result, "no_result"},
    {Verdict::session_lost, "session_lost"},
    {Verdict::budget_spent, "budget_spent"},
    {Verdict::stopped, "stopped"},
    {Verdict::failed, "failed"},
}};

constexpr bool is_sound() {
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        if (verdicts[i].first != static_cast<Verdict>(i)) {
            return false;
        }
    }
    return verdicts.back().first == Verdict::failed;
}
static_assert(is_sound(), "each verdict has its name");

}  // namespace

bool AgentPreset::tells_answers() const {
    return output == Output::text ||
           std::any_of(events.begin(), events.end(), [](const EventRule& rule) { return rule.answers; });
}

std::string_view to_string(Verdict verdict) {
    return verdicts.at(static_cast<std::size_t>(verdict)).second;
}

std::optional<Verdict> parse_verdict(std::string_view text) {
    const auto* const found = std::find_if(verdicts.begin(), verdicts.end(),
                                           [text](const auto& each) { return each.second == text; });
    return found == verdicts.end() ? std::nullopt : std::optional(found->first);
}

}  // namespace ralph::core
