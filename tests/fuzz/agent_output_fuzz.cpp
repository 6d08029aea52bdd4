// What an agent writes, read with each of our presets, in two halves; and what is made of it.
#include <algorithm>
#include <chrono>
#include <string>

#include "config/agent_presets.h"
#include "core/agents/account.h"
#include "core/agents/agent_output.h"
#include "core/agents/agent_record.h"
#include "core/agents/verdict.h"
#include "core/base/check.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;

namespace {

constexpr const char* file = "agent.json";

void check_output(const core::AgentPreset& preset, const std::string& text) {
    core::AgentOutput output(preset);
    std::string shown = output.read(std::string_view(text).substr(0, text.size() / 2));
    shown += output.read(std::string_view(text).substr(text.size() / 2));
    shown += output.read_errors(text);
    shown += output.finish();
    CHECK(std::none_of(shown.begin(), shown.end(),
                       [](char c) { return c != '\n' && static_cast<unsigned char>(c) < 0x20; }));
    CHECK(output.facts().message.size() <= 2'000);
    CHECK(output.facts().tail.size() <= 4'000);
    core::AgentEnd end;
    end.status = static_cast<int>(text.size() % 3);
    const core::Instant now{std::chrono::hours{24 * 365 * 50}};
    const core::Judgement judgement = core::judge(preset, output.facts(), end, now, 60);
    CHECK(judgement.message.find('\n') == std::string::npos);
    CHECK(!judgement.resets_at || *judgement.resets_at > core::Instant{});

    core::AgentRecord record;
    record.agent = preset.name;
    record.usage = output.facts().usage;
    record.verdict = judgement.verdict;
    CHECK(fuzz::read(core::agent_record_text(record), file, core::read_agent_record).has_value());
}

void check_pause(const std::string& text) {
    const auto pause = fuzz::round_trip(text, file, core::read_account_pause, core::account_pause_text);
    if (pause) {
        const core::Instant now{std::chrono::hours{24 * 365 * 50}};
        CHECK(!core::describe(*pause).empty());
        const auto next = core::next_pause(*pause, pause->account, core::Verdict::limited, "", {}, now, 0.5);
        CHECK(next.until > now);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const config::AgentPresets presets = config::built_in_agents();
    const std::string text = fuzz::text_of(data, size);
    for (const auto& [name, preset] : presets) {
        check_output(preset, text);
    }
    fuzz::round_trip(text, file, core::read_agent_record, core::agent_record_text);
    check_pause(text);
    return 0;
}
