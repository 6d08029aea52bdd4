// One phase of an agent's work, or all of it: starts the program that the preset describes, reads what it
// prints, judges its end, and goes on where that is right.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/agent_choice.h"
#include "core/agents/agent_record.h"
#include "core/agents/prompt.h"
#include "core/agents/session_plan.h"
#include "core/agents/spending.h"
#include "core/agents/verdict.h"
#include "daemon/os/files.h"
#include "daemon/steps/account_gate.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {

class AgentPhase {
  public:
    // What all phases of a run share. `task` and `context` must outlive it.
    struct Run {
        const StepContext& context;
        core::RunName name;
        const core::Task& task;
        std::vector<core::AgentRecord> earlier;   // of the task's other runs, oldest first
        std::vector<core::AgentRecord> finished;  // phases of this run
        std::uint32_t starts = 0;                 // of agents in this run
    };

    AgentPhase(Run& run, const config::AgentChoice& choice);

    // 0: the phase is done. Otherwise how the step ends.
    Result<Ending> work();

    [[nodiscard]] const core::AgentRecord& record() const { return record_; }
    // By SIGTERM, which is left for the process to die of.
    [[nodiscard]] bool was_stopped() const { return stopped_; }

  private:
    Result<std::string> prompt() const;
    [[nodiscard]] std::string built_in_prompt() const;
    [[nodiscard]] bool task_has_changed() const;
    [[nodiscard]] core::PhaseFacts phase_facts() const;
    [[nodiscard]] std::vector<std::string> command(const std::string& prompt) const;
    [[nodiscard]] config::PlaceholderValues placeholders() const;
    Result<core::Judgement> attempt();
    Result<void> begin_record();
    Result<bool> note_facts(const core::AgentFacts& facts);
    Result<void> end_record(const core::Judgement& judgement);
    Result<void> count_usage(const core::AgentRecord& now);
    void end_counting() const;
    [[nodiscard]] std::string spending_key() const;
    [[nodiscard]] std::optional<double> left_usd() const;
    Result<Ending> attempts();
    Result<Ending> block_for_budget();
    [[nodiscard]] Ending wait_for_budget() const;
    [[nodiscard]] std::optional<bool> has_changed() const;
    [[nodiscard]] bool is_over_budget() const;
    [[nodiscard]] core::Usage used_for_task() const;
    [[nodiscard]] bool begin_anew(core::Verdict after, std::string note, std::string why);
    [[nodiscard]] bool pause_after_fault();
    [[nodiscard]] std::size_t fruitless_runs() const;

    Run& run_;
    const StepContext& context_;
    const Settings& settings_;
    const core::Task& task_;
    const config::AgentChoice& choice_;
    const core::AgentPreset& preset_;
    const core::Budgets& budgets_;
    FileDescriptor stop_;
    core::PromptFacts prompt_facts_;
    AccountGate account_;

    core::SessionPlan plan_;
    std::vector<core::AgentRecord> earlier_;  // of other runs, and of the phases before
    core::AgentRecord record_;
    core::Usage before_attempt_;     // used by this phase
    core::Usage of_session_before_;  // what was counted for the session before the attempt
    std::set<core::Verdict> began_anew_after_;
    std::uint32_t waits_told_ = 0;              // by the agent in this attempt
    std::optional<core::Instant> waits_until_;  // of its own accord, the last time that it told so
    bool stopped_ = false;
    bool last_answered_ = false;                      // the model, in the last attempt
    std::optional<core::AccountPause> shared_pause_;  // a budget that all tasks share is spent
    std::uint32_t faults_in_a_row_ = 0;               // passing ones, without an answer in between
};

}  // namespace ralph::daemon
