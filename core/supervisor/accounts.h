// Which accounts agents work for, and which of these are paused now.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/supervisor/supervisor.h"

namespace ralph::core {

// The agent that a task asks for in its `agent` object; empty if it asks for none, nothing if it brings its
// own command.
[[nodiscard]] std::optional<std::string> runner_of(const Task& task);

// Whose agent works on a task that asks for this one; empty if it is none that is known, or a plain command.
[[nodiscard]] std::string account_of(const SupervisorSettings& settings,
                                     const std::optional<std::string>& runner);

// Whether an agent of this account may start: it is not paused, or the pause has ended and no other task
// tries; and no budget is spent that all agents share.
[[nodiscard]] bool may_start(const Supervisor& supervisor, const std::string& account, Instant wall);

// The account of a task whose text was not kept when it was recovered, as far as the queue tells.
void learn_account(const Supervisor& supervisor, ActiveTask& task);

// Whether an agent of an account works in the task's step.
[[nodiscard]] bool needs_account(const ActiveTask& task);

// The task's run begins, or is found alive: if its account is paused, this is the one that tries.
void note_try(Supervisor& supervisor, const ActiveTask& task);

// The tasks of the queue whose accounts do not permit a start now.
[[nodiscard]] std::set<std::string, std::less<>> tasks_of_paused_accounts(const Supervisor& supervisor,
                                                                          Instant wall);

// When an account's time comes, for each that waits for it.
void wake_for_accounts(const Supervisor& supervisor, Instant wall, std::vector<Action>& actions);

}  // namespace ralph::core
