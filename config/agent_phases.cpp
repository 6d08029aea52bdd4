#include "config/agent_phases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/layering.h"
#include "core/agents/prompt.h"
#include "core/queue/queue_validation.h"

namespace ralph::config {
namespace {

constexpr std::size_t most_phases = 9;
constexpr std::size_t longest_name = 50;

void check_name(core::ObjectReader& phase, const PhaseSettings& read,
                const std::vector<PhaseSettings>& before) {
    if (!core::is_safe_task_id(read.name) || read.name.size() > longest_name) {
        phase.fail("name", "must be 1 to 50 letters, digits, \".\", \"_\" or \"-\"");
    } else if (std::any_of(before.begin(), before.end(),
                           [&](const PhaseSettings& other) { return other.name == read.name; })) {
        phase.fail("name", fmt::format("is the second \"{}\"", read.name));
    } else if (read.prompt_file.empty() && core::phase_words(read.name, {}).empty()) {
        phase.fail("prompt_file",
                   fmt::format("must be set: \"{}\" has no built-in prompt, as plan, implement and "
                               "review have",
                               read.name));
    }
}

}  // namespace

std::vector<PhaseSettings> built_in_phases() {
    return {{"plan"}, {"implement"}, {"review", "", "", "", "", false}};
}

void read_phases(core::ObjectReader& section, std::string_view key, std::vector<PhaseSettings>& out) {
    if (!is_set(section, key)) {
        return;
    }
    out.clear();
    section.read_objects(key, [&out](core::ObjectReader& phase) {
        PhaseSettings read;
        phase.require("name", read.name);
        read_word(phase, "agent", read.agent);
        read_word(phase, "model", read.model);
        read_word(phase, "effort", read.effort);
        read_word(phase, "prompt_file", read.prompt_file);
        read_either(phase, "session", "new", "continue", read.keeps_session);
        if (phase.ok()) {
            check_name(phase, read, out);
        }
        out.push_back(std::move(read));
    });
    if (out.size() > most_phases) {
        section.fail(key, fmt::format("must be at most {} phases", most_phases));
    }
}

}  // namespace ralph::config
