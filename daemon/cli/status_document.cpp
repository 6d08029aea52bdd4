#include "daemon/cli/status_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "core/base/error.h"
#include "core/base/shown_text.h"
#include "core/supervisor/lifecycle.h"
#include "daemon/cli/common.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Lifecycle;

constexpr std::size_t longest_line = 1'000;  // of each record
constexpr std::size_t most_waiting = 20;     // that are shown

struct Step {
    std::string title;
    std::string command;
    std::string detail;
};

struct Blocking {
    std::string status;  // waiting, blocked or stalled
    std::string kind_reason;
    std::string task_id;
    std::string message;
    std::string detail;
};

// What is to be said, before it becomes JSON or text.
struct Story {
    std::string headline;
    std::string detail;
    std::optional<Blocking> blocking;
    std::vector<Step> steps;
};

const Step look{"Look again", "ralph run parallel status", "shows every task's record"};
const Step go_on{"Run", "ralph run --parallel", "works on the queue"};

std::string first_task(const core::ParallelState& state, Lifecycle lifecycle) {
    const auto records = state.by_lifecycle(lifecycle);
    return records.empty() ? std::string{} : records.front()->task_id;
}

std::string details(const StatusFacts& facts) {
    std::string text;
    for (const RetainedWorkspace& workspace : facts.retained) {
        text += fmt::format(" The workspace of {} is kept at {} (marker {}).", workspace.task_id,
                            workspace.path, workspace.marker);
    }
    for (const std::string& item : facts.drift) {
        text += " " + item + ".";
    }
    return text;
}

Story tell(const StatusFacts& facts) {
    Story story;
    if (!facts.state) {
        story.headline = "Not started";
        story.detail = "There is no parallel state in this repository yet.";
        story.steps = {go_on, look};
        return story;
    }
    const core::ParallelState& state = *facts.state;
    const std::string more = details(facts);
    const std::size_t active = state.active_count();
    if (active > 0) {
        const std::string who = facts.living_supervisor
                                    ? fmt::format("supervised by {}", *facts.living_supervisor)
                                    : "no supervisor runs now; the next start goes on with them";
        story.headline = "In progress";
        story.detail = fmt::format("{} tasks are running or integrating, {}.", active, who) + more;
        story.steps = facts.living_supervisor ? std::vector<Step>{look} : std::vector<Step>{go_on, look};
        return story;
    }
    if (!facts.retries.empty()) {
        story.headline = "Asked to run again";
        story.detail =
            fmt::format("{} {}.", fmt::join(facts.retries, ", "),
                        facts.living_supervisor ? "will run again as soon as the supervisor sees it"
                                                : "will run again with the next start") +
            more;
        story.steps = facts.living_supervisor ? std::vector<Step>{look} : std::vector<Step>{go_on, look};
        return story;
    }
    const auto retry = [](const std::string& task_id) {
        return Step{"Retry", "ralph run parallel retry --task " + task_id, "goes on from what was kept"};
    };
    if (state.blocked_count() > 0) {
        const std::string task_id = first_task(state, Lifecycle::blocked_push);
        story.headline = "Blocked";
        story.detail = fmt::format("{} tasks could not be landed.", state.blocked_count()) + more;
        story.blocking = Blocking{"blocked", "blocked_push", task_id, "work is done but could not be landed",
                                  "resolve it in the task's workspace, then retry the task"};
        story.steps = {look, retry(task_id), go_on};
        return story;
    }
    if (state.count(Lifecycle::failed) > 0) {
        const std::string task_id = first_task(state, Lifecycle::failed);
        story.headline = "Some tasks failed";
        story.detail = fmt::format("{} tasks failed.", state.count(Lifecycle::failed)) + more;
        story.blocking = Blocking{"stalled", "worker_failed", task_id, "a task failed",
                                  "see its log in .ralph/logs/parallel, then retry the task"};
        story.steps = {look, retry(task_id)};
        return story;
    }
    story.headline = "Idle";
    story.detail = "Nothing is in progress." + more;
    story.steps = facts.drift.empty() ? std::vector<Step>{go_on} : std::vector<Step>{look, go_on};
    return story;
}

json::object blocking_object(const Blocking& blocking) {
    json::object reason;
    reason["kind"] = "operator_recovery";
    reason["scope"] = "parallel";
    reason["reason"] = blocking.kind_reason;
    reason["suggested_command"] = "ralph run parallel retry --task " + blocking.task_id;
    json::object object;
    object["status"] = blocking.status;
    object["reason"] = std::move(reason);
    object["task_id"] = blocking.task_id;
    object["message"] = blocking.message;
    object["detail"] = blocking.detail;
    return object;
}

// The keys in alphabetical order, as the Rust tools' generic map has them.
json::object state_object(const std::optional<core::ParallelState>& state) {
    json::object object;
    json::array workers;
    if (!state) {
        object["message"] = "no parallel state";
        object["schema_version"] = core::state_schema_version;
        object["workers"] = std::move(workers);
        return object;
    }
    for (const core::WorkerRecord& record : state->workers) {
        json::object worker;
        if (record.completed_at) {
            worker["completed_at"] = *record.completed_at;
        }
        if (record.last_error) {
            worker["last_error"] = *record.last_error;
        }
        worker["lifecycle"] = to_string(record.lifecycle);
        worker["push_attempts"] = record.push_attempts;
        worker["started_at"] = record.started_at;
        worker["task_id"] = record.task_id;
        worker["workspace_path"] = record.workspace_path;
        workers.push_back(std::move(worker));
    }
    object["schema_version"] = state->schema_version;
    object["started_at"] = state->started_at;
    object["target_branch"] = state->target_branch;
    object["workers"] = std::move(workers);
    return object;
}

std::size_t count(const StatusFacts& facts, Lifecycle lifecycle) {
    return facts.state ? facts.state->count(lifecycle) : 0;
}

std::string group_line(const core::WorkerRecord& record, const std::string& branch) {
    switch (record.lifecycle) {
        case Lifecycle::running:
        case Lifecycle::integrating:
            return fmt::format("  {} (started {}, {} attempts to land){}", record.task_id, record.started_at,
                               record.push_attempts, record.last_error ? ": " + *record.last_error : "");
        case Lifecycle::completed:
            return fmt::format("  {} -> {} at {} ({} attempts to land)", record.task_id, branch,
                               record.completed_at.value_or("unknown"), record.push_attempts);
        case Lifecycle::failed:
            return fmt::format("  {}: {}", record.task_id, record.last_error.value_or("unknown"));
        case Lifecycle::blocked_push:
            return fmt::format("  {}: {} ({} attempts to land)", record.task_id,
                               record.last_error.value_or("unknown"), record.push_attempts);
    }
    return {};
}

std::vector<std::string> waiting_to_land(const StatusFacts& facts) {
    std::vector<std::string> waiting;
    if (!facts.state) {
        return waiting;
    }
    for (const core::WorkerRecord* const record : facts.state->by_lifecycle(Lifecycle::integrating)) {
        const auto& batch = facts.lane ? facts.lane->batch : std::vector<std::string>{};
        if (std::find(batch.begin(), batch.end(), record->task_id) == batch.end()) {
            waiting.push_back(record->task_id);
        }
    }
    return waiting;
}

std::string landing_text(const StatusFacts& facts) {
    const auto waiting = waiting_to_land(facts);
    if (!facts.lane && waiting.empty()) {
        return {};
    }
    std::string text = "\nMerge queue:\n";
    if (facts.lane) {
        text += fmt::format("  batch: {}\n", fmt::join(facts.lane->batch, ", "));
        if (const auto& progress = facts.lane->progress) {
            const std::string what =
                progress->gate.empty() ? progress->doing : fmt::format("gate {} runs", progress->gate);
            const std::string on = progress->tasks.empty()
                                       ? "the target by itself"
                                       : fmt::format("{}", fmt::join(progress->tasks, ", "));
            text += "  " + core::printable(fmt::format("{} since {}: {}", what, progress->since, on)) + "\n";
            for (const std::string& tasks : progress->ahead) {
                text += "  gated ahead of time: " + core::printable(tasks) + "\n";
            }
        }
    }
    if (!waiting.empty()) {
        text += fmt::format("  waiting: {}\n", fmt::join(waiting, ", "));
    }
    return text;
}

json::array names(const std::vector<std::string>& tasks) {
    json::array array;
    for (const std::string& task : tasks) {
        array.emplace_back(task);
    }
    return array;
}

// Ours; the Rust tools have no lane.
json::object landing_object(const StatusFacts& facts) {
    json::object lane;
    lane["batch"] = names(facts.lane ? facts.lane->batch : std::vector<std::string>{});
    if (facts.lane && facts.lane->progress) {
        const core::LandingProgress& progress = *facts.lane->progress;
        lane["doing"] = progress.doing;
        lane["gate"] = progress.gate;
        lane["candidate"] = progress.candidate;
        lane["tasks"] = names(progress.tasks);
        lane["ahead"] = names(progress.ahead);
        lane["since"] = progress.since;
    }
    lane["waiting"] = names(waiting_to_land(facts));
    return lane;
}

// Ours, too.
json::array accounts_array(const StatusFacts& facts) {
    json::array accounts;
    for (const core::AccountPause& pause : facts.paused_accounts) {
        json::object object;
        object["account"] = pause.account;
        object["needs_person"] = pause.needs_person;
        object["reason"] = pause.reason;
        object["until"] = core::format_rfc3339(pause.until);
        accounts.push_back(std::move(object));
    }
    return accounts;
}

void add_sums(json::object& object, const core::Usage& usage) {
    object["turns"] = usage.turns;
    object["tokens"] = usage.tokens();
    object["cost_usd"] = usage.cost_usd ? json::value(*usage.cost_usd) : json::value(nullptr);
}

core::Usage whole_usage(const StatusFacts& facts) {
    core::Usage usage;
    for (const AgentSummary& task : facts.agents) {
        usage.add(task.usage);
    }
    return usage;
}

json::object agents_object(const StatusFacts& facts) {
    json::object agents;
    json::array tasks;
    for (const AgentSummary& task : facts.agents) {
        json::object object;
        object["task_id"] = task.task_id;
        object["agent"] = task.last.agent;
        object["model"] = task.last.model;
        object["phase"] = task.last.phase;
        object["session"] = task.last.session;
        object["verdict"] =
            task.last.verdict ? json::value(to_string(*task.last.verdict)) : json::value(nullptr);
        object["message"] = task.last.message;
        object["runs"] = task.runs;
        add_sums(object, task.usage);
        tasks.push_back(std::move(object));
    }
    agents["tasks"] = std::move(tasks);
    add_sums(agents, whole_usage(facts));
    add_sums(agents["today"].emplace_object(), facts.used_today);
    add_sums(agents["in_run"].emplace_object(), facts.used_in_run);
    return agents;
}

std::string agents_text(const StatusFacts& facts) {
    std::string text;
    if (facts.pressure) {
        text += fmt::format("\nNo worker starts now:\n  waits: {}\n", facts.pressure->reason);
    }
    if (!facts.paused_accounts.empty()) {
        text += "\nPaused Accounts:\n";
        for (const core::AccountPause& pause : facts.paused_accounts) {
            text += core::shortened("  " + core::describe(pause), longest_line) + "\n";
        }
    }
    if (!facts.agents.empty()) {
        text += "\nAgents:\n";
        for (const AgentSummary& task : facts.agents) {
            const std::string verdict{task.last.verdict ? to_string(*task.last.verdict) : "at work"};
            text += core::shortened(fmt::format("  {}: {}{}{}, {}, {}", task.task_id, task.last.agent,
                                                task.last.phase.empty() ? "" : ", phase ", task.last.phase,
                                                verdict, core::describe(task.usage)),
                                    longest_line) +
                    "\n";
        }
        text +=
            fmt::format("  in all: {}\n  in this run: {}\n  today: {}\n", core::describe(whole_usage(facts)),
                        core::describe(facts.used_in_run), core::describe(facts.used_today));
    }
    return text;
}

std::string state_text_for_people(const core::ParallelState& state) {
    std::string text = fmt::format("Schema Version: {}\nStarted: {}\nTarget Branch: {}\n\n",
                                   state.schema_version, state.started_at, state.target_branch);
    if (state.workers.empty()) {
        return text + "No workers have been recorded.\n";
    }
    text += fmt::format(
        "Total: {} | Running: {} | Integrating: {} | Completed: {} | Failed: {} | Blocked: {}\n",
        state.workers.size(), state.count(Lifecycle::running), state.count(Lifecycle::integrating),
        state.count(Lifecycle::completed), state.count(Lifecycle::failed), state.blocked_count());
    const std::pair<Lifecycle, const char*> groups[] = {
        {Lifecycle::running, "Running Workers"},
        {Lifecycle::integrating, "Integrating Workers"},
        {Lifecycle::completed, "Integrated Successfully"},
        {Lifecycle::failed, "Retryable Failures"},
        {Lifecycle::blocked_push, "Operator Action Required"}};
    for (const auto& [lifecycle, title] : groups) {
        const auto records = state.by_lifecycle(lifecycle);
        if (records.empty()) {
            continue;
        }
        text += fmt::format("\n{}:\n", title);
        for (const core::WorkerRecord* record : records) {
            text += core::shortened(group_line(*record, state.target_branch), longest_line) + "\n";
        }
    }
    return text;
}

// First what stops the work, then what each task does or waits for.
std::string live_text(const StatusFacts& facts) {
    std::string text;
    if (facts.live && facts.live->mode != "running") {
        text += fmt::format("\nIt is {}: no new task starts.\n", facts.live->mode);
    }
    for (const core::Hold& hold : facts.holds) {
        text += "\n! " + core::shortened(hold.reason, longest_line) + "\n";
        text += hold.next.empty() ? std::string{} : fmt::format("  Next: {}\n", hold.next);
    }
    if (!facts.live) {
        return text;
    }
    std::size_t waiting = 0;
    for (const core::Explanation& each : facts.live->open) {
        if (each.place == core::Place::waits && ++waiting > most_waiting) {
            continue;
        }
        text += (&each == &facts.live->open.front() ? "\n" : "") +
                core::shortened(fmt::format("  {} {}: {}", each.task_id, core::shortened(each.title, 40),
                                            explanation_line(each, facts.now)),
                                longest_line) +
                "\n";
    }
    if (waiting > most_waiting) {
        text += fmt::format("  and {} more wait; see `ralph why TASK`\n", waiting - most_waiting);
    }
    return text;
}

}  // namespace

json::object status_document(const StatusFacts& facts) {
    const Story story = tell(facts);
    json::object counts;
    counts["running"] = count(facts, Lifecycle::running);
    counts["integrating"] = count(facts, Lifecycle::integrating);
    counts["completed"] = count(facts, Lifecycle::completed);
    counts["failed"] = count(facts, Lifecycle::failed);
    counts["blocked"] = count(facts, Lifecycle::blocked_push);
    counts["total"] = facts.state ? facts.state->workers.size() : 0;

    json::array steps;
    for (const Step& step : story.steps) {
        json::object object;
        object["title"] = step.title;
        object["command"] = step.command;
        object["detail"] = step.detail;
        steps.push_back(std::move(object));
    }
    json::object continuation;
    continuation["headline"] = story.headline;
    continuation["detail"] = story.detail;
    json::object document;
    document["version"] = 3;
    document["lifecycle_counts"] = std::move(counts);
    if (story.blocking) {
        document["blocking"] = blocking_object(*story.blocking);
        continuation["blocking"] = blocking_object(*story.blocking);
    }
    continuation["next_steps"] = std::move(steps);
    document["continuation"] = std::move(continuation);
    document["status"] = state_object(facts.state);
    if (facts.lane || count(facts, Lifecycle::integrating) > 0) {
        document["lane"] = landing_object(facts);
    }
    if (facts.live || !facts.holds.empty()) {
        json::array& holds = document["holds"].emplace_array();
        for (const core::Hold& hold : facts.holds) {
            holds.push_back({{"kind", hold.kind}, {"reason", hold.reason}, {"next", hold.next}});
        }
    }
    if (facts.live) {
        document["mode"] = facts.live->mode;
        json::array& open = document["open"].emplace_array();
        for (const core::Explanation& each : facts.live->open) {
            json::object& object = open.emplace_back(explanation_object(each)).get_object();
            object["log"] = facts.paths.log(each.task_id);
        }
    }
    if (facts.pressure) {
        document["pressure"] = facts.pressure->reason;
    }
    if (!facts.paused_accounts.empty()) {
        document["paused_accounts"] = accounts_array(facts);
    }
    if (!facts.agents.empty()) {
        document["agents"] = agents_object(facts);
    }
    return document;
}

std::string status_text(const StatusFacts& facts) {
    const Story story = tell(facts);
    std::string text = story.headline + "\n" + core::printable(story.detail) + "\n" + live_text(facts);
    if (story.blocking) {
        text += fmt::format("\nOperator state: {}\n{}\n{}\n", story.blocking->status, story.blocking->message,
                            story.blocking->detail);
    }
    text += "\nParallel Run Status\n===================\n";
    text += facts.state ? state_text_for_people(*facts.state) : "No parallel state.\n";
    text += landing_text(facts);
    text += agents_text(facts);
    if (!facts.retained.empty()) {
        text += "\nRetained for Recovery:\n";
        for (const RetainedWorkspace& workspace : facts.retained) {
            text += fmt::format("  {}: {} (marker {})\n", workspace.task_id, core::printable(workspace.path),
                                workspace.marker);
        }
    }
    if (!facts.drift.empty()) {
        text += "\nCleanup Drift:\n";
        for (const std::string& item : facts.drift) {
            text += "  " + core::printable(item) + "\n";
        }
    }
    text += "\nNext:\n";
    int number = 0;
    for (const Step& step : story.steps) {
        text += fmt::format("{}. {} \u2014 {}\n", ++number, step.command, step.detail);
    }
    return text;
}

}  // namespace ralph::daemon
