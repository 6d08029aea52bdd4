#include "core/agents/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/agents/reset_time.h"
#include "core/base/error.h"
#include "core/base/shown_text.h"

namespace ralph::core {
namespace {

constexpr std::size_t longest_message = 400;  // characters

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

// What tells of an error: what the agent calls its end, else the last lines that are no events, or the last
// line of an agent of text. What it says to people tells nothing, since its task may be about limits and
// keys.
std::string error_text(const AgentPreset& preset, const AgentFacts& facts) {
    if (!facts.message.empty()) {
        return facts.message;
    }
    return preset.output == AgentPreset::Output::events ? facts.tail : facts.said;
}

bool is_bad(const AgentPreset& preset, const AgentFacts& facts, const AgentEnd& end) {
    const bool says_error = std::any_of(
        preset.error_prefixes.begin(), preset.error_prefixes.end(),
        [&facts](const std::string& prefix) { return facts.message.substr(0, prefix.size()) == prefix; });
    return end.status != 0 || end.signal != 0 || facts.failed || facts.stops || says_error ||
           (preset.output == AgentPreset::Output::events && !facts.ended);
}

std::optional<Verdict> ruled(const AgentPreset& preset, const AgentFacts& facts, const AgentEnd& end) {
    if (facts.verdict || end.signal != 0) {
        return facts.verdict;
    }
    const std::string said = lower_case(error_text(preset, facts));
    for (const VerdictRule& rule : preset.verdicts) {
        const bool exits =
            end.signal == 0 && std::find(rule.exit_codes.begin(), rule.exit_codes.end(),
                                         static_cast<std::uint32_t>(end.status)) != rule.exit_codes.end();
        const bool says = std::any_of(rule.texts.begin(), rule.texts.end(), [&said](const std::string& text) {
            return said.find(lower_case(text)) != std::string::npos;
        });
        if (exits || says) {
            return rule.verdict;
        }
    }
    return std::nullopt;
}

std::string how_it_ended(const AgentPreset& preset, const AgentEnd& end) {
    if (end.signal != 0) {
        const char* const name = ::sigabbrev_np(end.signal);
        return fmt::format("{} was killed by signal {}{}", preset.name, end.signal,
                           name == nullptr ? std::string{} : fmt::format(" (SIG{})", name));
    }
    return end.status == 0 ? fmt::format("{} ended without saying how", preset.name)
                           : fmt::format("{} exited with status {}", preset.name, end.status);
}

std::string last_line(std::string_view text) {
    while (!text.empty() && text.back() == '\n') {
        text.remove_suffix(1);
    }
    return std::string(text.substr(text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1));
}

std::string message_of(const AgentPreset& preset, const AgentFacts& facts, const AgentEnd& end) {
    const std::string said = !facts.message.empty() ? facts.message
                             : !facts.said.empty()  ? facts.said
                                                    : last_line(facts.tail);
    const std::string words = said.empty() ? how_it_ended(preset, end) : said;
    return shortened(words.substr(0, 4 * longest_message), longest_message);
}

}  // namespace

Judgement judge(const AgentPreset& preset, const AgentFacts& facts, const AgentEnd& end, Instant now,
                int utc_offset_minutes) {
    Judgement judgement;
    judgement.message = message_of(preset, facts, end);
    if (end.stopped) {
        judgement.verdict = Verdict::stopped;
        return judgement;
    }
    if (end.budget_spent) {
        judgement.verdict = Verdict::budget_spent;
        return judgement;
    }
    if (end.silent) {
        // A limit that it was waiting for the end of is one, however it waited. So is a model that never
        // answered: other requests would wait, too.
        const bool never_answered = preset.output == AgentPreset::Output::events && !facts.answered;
        judgement.verdict = facts.verdict.value_or(never_answered ? Verdict::limited : Verdict::passing);
        judgement.message = fmt::format("{} {} for too long and was ended", preset.name,
                                        never_answered ? "got no answer from its model" : "wrote nothing");
        return judgement;
    }
    if (!is_bad(preset, facts, end)) {
        const bool was_denied = !facts.denied.empty() && end.changed == false;
        judgement.verdict = was_denied ? Verdict::denied : Verdict::ok;
        if (was_denied) {
            judgement.message = fmt::format("{} was denied its tools and changed nothing: {}", preset.name,
                                            shortened(fmt::format("{}", fmt::join(facts.denied, ", ")), 200));
        }
        return judgement;
    }
    if (const auto verdict = ruled(preset, facts, end)) {
        judgement.verdict = *verdict;
    } else if (end.signal != 0) {
        judgement.verdict = Verdict::passing;  // of the host, or of somebody on it
        judgement.message = how_it_ended(preset, end);
    } else {
        judgement.verdict =
            end.status == 0 && !facts.failed && !facts.ended ? Verdict::no_result : Verdict::failed;
    }
    if (judgement.verdict == Verdict::limited) {
        judgement.resets_at = facts.resets_at
                                  ? reset_at(*facts.resets_at, now)
                                  : reset_time(error_text(preset, facts), now, utc_offset_minutes);
    }
    return judgement;
}

}  // namespace ralph::core
