#include "core/supervisor/accounts.h"

namespace ralph::core {

std::optional<std::string> runner_of(const Task& task) {
    return task.custom_field("run") != nullptr ? std::nullopt : std::optional(task.agent_text("runner"));
}

std::string account_of(const SupervisorSettings& settings, const std::optional<std::string>& runner) {
    if (!runner) {
        return {};
    }
    const bool chooses = !runner->empty() && settings.tasks_choose_agent;
    const auto found = settings.accounts.find(chooses ? *runner : settings.agent);
    return found == settings.accounts.end() ? std::string{} : found->second;
}

bool may_start(const Supervisor& supervisor, const std::string& account, Instant wall) {
    const auto is_open = [&](std::string_view name) {
        const auto found = supervisor.accounts.find(name);
        return found == supervisor.accounts.end() ||
               (!holds(found->second.pause, wall) && found->second.trying.empty());
    };
    return account.empty() || (is_open(account) && is_open(budget_of_run) && is_open(budget_of_day));
}

void learn_account(const Supervisor& supervisor, ActiveTask& task) {
    const Task* const known = !task.runner && task.account.empty() && supervisor.queue
                                  ? supervisor.queue->queue.find(task.task_id)
                                  : nullptr;
    if (known != nullptr) {
        task.runner = runner_of(*known);
        task.account = account_of(supervisor.settings, task.runner);
    }
}

bool needs_account(const ActiveTask& task) {
    return !task.account.empty() && (task.run.step == StepKind::work || task.run.step == StepKind::remediate);
}

void note_try(Supervisor& supervisor, const ActiveTask& task) {
    const auto account =
        needs_account(task) ? supervisor.accounts.find(task.account) : supervisor.accounts.end();
    if (account != supervisor.accounts.end()) {
        account->second.trying = task.task_id;
    }
}

std::set<std::string, std::less<>> tasks_of_paused_accounts(const Supervisor& supervisor, Instant wall) {
    std::set<std::string, std::less<>> tasks;
    if (supervisor.accounts.empty() || !supervisor.queue) {
        return tasks;
    }
    for (const Task& task : supervisor.queue->queue.tasks) {
        const std::string account = account_of(supervisor.settings, runner_of(task));
        if (!account.empty() && !may_start(supervisor, account, wall)) {
            tasks.emplace(trimmed(task.id));
        }
    }
    return tasks;
}

void wake_for_accounts(const Supervisor& supervisor, Instant wall, std::vector<Action>& actions) {
    for (const auto& [name, account] : supervisor.accounts) {
        if (!account.pause.needs_person && account.pause.until > wall) {
            actions.emplace_back(action::WakeAt{account.pause.until, true});
        }
    }
}

}  // namespace ralph::core
