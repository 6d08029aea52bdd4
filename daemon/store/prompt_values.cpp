#include "daemon/store/prompt_values.h"

#include <fmt/format.h>

#include "daemon/store/gates.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t longest_title = 4'000;
constexpr std::size_t longest_description = 20'000;

}  // namespace

core::PromptFacts prompt_facts_of(const Settings& settings, const std::string& task_id,
                                  const std::string& target_branch) {
    core::PromptFacts facts;
    facts.task_file = settings.paths.task_file(task_id);
    facts.target_branch = target_branch;
    facts.no_change_completes = settings.supervisor.worker.no_change_completes;
    for (const NamedGate& gate : gates_of(settings)) {
        facts.gate.push_back(fmt::format("{}", fmt::join(gate.command, " ")));
    }
    return facts;
}

config::PlaceholderValues placeholders_of(const Settings& settings, const core::Task& task,
                                          const std::string& task_id, const std::string& target_branch,
                                          const std::string& attempt) {
    config::PlaceholderValues values;
    values.task_id = task_id;
    values.task_title = core::trimmed(task.title).substr(0, longest_title);
    values.workspace = settings.workspace(task_id);
    values.target_branch = target_branch;
    values.attempt = attempt;
    values.task_file = settings.paths.task_file(task_id);
    values.description = core::limited_text(task.description.value_or(""), longest_description);
    return values;
}

}  // namespace ralph::daemon
