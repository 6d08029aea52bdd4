#include "core/supervisor/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/queue/selection.h"
#include "core/supervisor/accounts.h"
#include "core/supervisor/schedule.h"

namespace ralph::core {
namespace {

constexpr std::string_view start_command = "ralph run --parallel";

const Task* task_of(const Supervisor& supervisor, std::string_view task_id) {
    if (!supervisor.queue) {
        return nullptr;
    }
    const Task* const open = supervisor.queue->queue.find(task_id);
    return open != nullptr ? open : supervisor.queue->done.find(task_id);
}

const ActiveTask* active_of(const Supervisor& supervisor, std::string_view task_id) {
    const auto found = std::find_if(supervisor.active.begin(), supervisor.active.end(),
                                    [task_id](const ActiveTask& task) { return task.task_id == task_id; });
    return found == supervisor.active.end() ? nullptr : &*found;
}

bool is_under_way(const ActiveTask& task) {
    return task.phase == Phase::starting || task.phase == Phase::running;
}

std::string retry_command(std::string_view task_id) {
    return fmt::format("ralph run parallel retry --task {}", task_id);
}

// "waits: ..." as the record has it, without that word.
std::string noted(const WorkerRecord& record) {
    const std::string text = record.last_error.value_or("");
    constexpr std::string_view word = "waits: ";
    return text.rfind(word, 0) == 0 ? text.substr(word.size()) : text;
}

// The integration that runs, if one does.
const ActiveTask* landing_now(const Supervisor& supervisor) {
    const auto found = std::find_if(
        supervisor.active.begin(), supervisor.active.end(),
        [](const ActiveTask& task) { return task.run.step == StepKind::integrate && is_under_way(task); });
    return found == supervisor.active.end() ? nullptr : &*found;
}

std::string why_not_landing(const Supervisor& supervisor, Moment now) {
    if (supervisor.target_fault && supervisor.merge_queue_opens > now.monotonic) {
        return fmt::format("to land: the target itself fails the gate: {}", supervisor.target_fault->reason);
    }
    if (supervisor.outage) {
        return fmt::format("to land, until this is over: {}", supervisor.outage->reason);
    }
    const ActiveTask* const other = landing_now(supervisor);
    return other != nullptr ? fmt::format("in the merge queue, behind the batch of {}", other->task_id)
                            : std::string("in the merge queue, for others that may land with it");
}

// What keeps every task from starting, whoever's it is.
std::vector<Hold> holds_of_starts(const Supervisor& supervisor) {
    std::vector<Hold> found;
    if (supervisor.paused) {
        found.push_back({"paused", describe(*supervisor.steering.pause), "ralph resume"});
    }
    if (supervisor.outage) {
        found.push_back(
            {"outage",
             fmt::format("nothing starts or lands until this is over: {}", supervisor.outage->reason), ""});
    }
    if (supervisor.pressure) {
        found.push_back({"pressure",
                         fmt::format("no worker starts until this is over: {}", supervisor.pressure->reason),
                         ""});
    }
    return found;
}

// And from being selected before that.
std::vector<Hold> holds_of_selection(const Supervisor& supervisor) {
    std::vector<Hold> found = holds_of_starts(supervisor);
    if (supervisor.queue_fault) {
        found.insert(found.begin(), {"queue_unreadable",
                                     fmt::format("the queue cannot be used: {}", *supervisor.queue_fault),
                                     "ralph queue validate"});
    }
    return found;
}

std::string wants_slot(const Supervisor& supervisor) {
    return fmt::format("for a slot, all {} are taken", supervisor.workers());
}

// Of one that is ready, and whose time has come or will come.
std::string why_not_started(const Supervisor& supervisor, const ActiveTask& task, const WorkerRecord& record,
                            Moment now) {
    switch (task.waits_for) {
        case WaitsFor::start:
            return fmt::format("{} could not be started; it is tried again", to_string(task.run.step));
        case WaitsFor::host:
        case WaitsFor::workspace:
        case WaitsFor::branch:
        case WaitsFor::account:
            if (!noted(record).empty()) {
                return noted(record);
            }
            return fmt::format("{} waits for what its last run met", to_string(task.run.step));
        case WaitsFor::turn:
            break;
    }
    if (task.run.step == StepKind::integrate) {
        return why_not_landing(supervisor, now);
    }
    const auto holds = holds_of_starts(supervisor);
    return holds.empty() ? wants_slot(supervisor) : holds.front().reason;
}

Explanation explain_active(const Supervisor& supervisor, const ActiveTask& task, const WorkerRecord& record,
                           Moment now, bool lives) {
    Explanation out;
    out.step = task.run.step;
    out.attempt = task.run.attempt;
    if (!lives) {
        out.reason = noted(record);
        if (out.reason.empty()) {
            out.reason = std::string_view("nobody works on it: no supervisor runs");
        }
        out.next = start_command;
        return out;
    }
    if (task.phase == Phase::recovering) {
        constexpr std::string_view unreadable = "what its earlier runs tell cannot be read; see the log";
        constexpr std::string_view looked_at = "its earlier runs are being looked at";
        out.reason = task.waits_for == WaitsFor::start ? unreadable : looked_at;
        return out;
    }
    if (is_under_way(task)) {
        const bool lands = task.run.step == StepKind::integrate;
        out.place = lands ? Place::lands : Place::runs;
        out.reason = lands ? fmt::format("lands, try {}", task.counts.integrations + 1)
                           : fmt::format("{}, attempt {}", to_string(task.run.step), task.run.attempt);
        if (!record.last_error.value_or("").empty() && task.run.step == StepKind::remediate) {
            out.reason += ", since it could not be landed: " + *record.last_error;
        }
        if (supervisor.cancels.count(task.task_id) != 0) {
            constexpr std::string_view being_ended = "; it is being cancelled";
            constexpr std::string_view too_late = "; it will be cancelled unless this lands it";
            out.reason += lands ? too_late : being_ended;
        }
        if (task.began != Instant::min()) {
            out.since = now.wall - (now.monotonic - task.began);
        }
        return out;
    }
    out.reason = why_not_started(supervisor, task, record, now);
    if (task.not_before > now.monotonic && task.not_before != Instant::max()) {
        out.not_before = now.wall + (task.not_before - now.monotonic);
    }
    if (task.waits_for == WaitsFor::branch) {
        out.next = std::string_view("git pull --rebase && git push");
    }
    return out;
}

Explanation explain_ended(const WorkerRecord& record) {
    Explanation out;
    out.place = Place::ended;
    const std::string why = record.last_error.value_or("");
    switch (record.lifecycle) {
        case Lifecycle::completed:
            out.reason = why.empty() ? "has landed" : why;
            break;
        case Lifecycle::failed:
            out.reason = fmt::format("has failed: {}", why.empty() ? "no reason is recorded" : why);
            out.next = retry_command(record.task_id);
            break;
        case Lifecycle::blocked_push:
            out.reason = fmt::format("is blocked: {}", why.empty() ? "no reason is recorded" : why);
            out.next = retry_command(record.task_id);
            break;
        case Lifecycle::running:
        case Lifecycle::integrating:
            out.reason = std::string_view("its record is one of several of this id; see `ralph doctor`");
            out.next = std::string_view("ralph doctor");
            break;
    }
    return out;
}

std::string hindrance_text(const Hindrance& hindrance, const Supervisor& supervisor) {
    const auto named = [&] {
        const WorkerRecord* const record = supervisor.state.find(hindrance.by);
        return record == nullptr ? hindrance.by
                                 : fmt::format("{} ({})", hindrance.by, to_string(record->lifecycle));
    };
    switch (hindrance.what) {
        case Obstacle::none:
            return {};
        case Obstacle::group:
            return fmt::format("it is a group, which holds other tasks and is not worked on itself");
        case Obstacle::ended:
            return fmt::format("its status in the queue says that it is over");
        case Obstacle::draft:
            return fmt::format("it is a draft, and drafts are run with --include-draft only");
        case Obstacle::dependency:
            return fmt::format("until {} is done, which it depends on", named());
        case Obstacle::missing_dependency:
            return fmt::format("until {} is done, which it depends on and which stands nowhere",
                               hindrance.by);
        case Obstacle::blocked:
            return fmt::format("until {} is done, which names it in its `blocks`", named());
        case Obstacle::schedule:
            return fmt::format("until {}, its scheduled start", format_rfc3339_seconds(hindrance.until));
    }
    return {};
}

// Of a task that the queue holds and that has no record.
Explanation explain_queued(const Supervisor& supervisor, const Task& task, const Hindrance& hindrance,
                           Moment now, bool lives) {
    Explanation out;
    out.reason = hindrance_text(hindrance, supervisor);
    if (hindrance.what == Obstacle::draft) {
        out.next = fmt::format("{} --include-draft", start_command);
    }
    if (hindrance.what == Obstacle::dependency) {
        const WorkerRecord* const other = supervisor.state.find(hindrance.by);
        if (other != nullptr &&
            (other->lifecycle == Lifecycle::failed || other->lifecycle == Lifecycle::blocked_push)) {
            out.next = retry_command(hindrance.by);
        }
    }
    if (hindrance.what == Obstacle::missing_dependency) {
        out.next = std::string_view("ralph queue validate");
    }
    if (!out.reason.empty()) {
        return out;
    }
    const std::string id(trimmed(task.id));
    if (!lives) {
        out.reason = std::string_view("no supervisor runs");
        out.next = start_command;
    } else if (supervisor.mode != Mode::running) {
        out.reason = std::string_view("the supervisor is told to end, and starts nothing new");
        out.next = start_command;
    } else if (const auto holds = holds_of_selection(supervisor); !holds.empty()) {
        out.reason = holds.front().reason;
        out.next = holds.front().next;
    } else if (tasks_of_paused_accounts(supervisor, now.wall).count(id) != 0) {
        out.reason = std::string_view("the account of its agent is paused");
        out.next = std::string_view("ralph account list");
    } else if (supervisor.settings.max_tasks != 0 && supervisor.started >= supervisor.settings.max_tasks) {
        out.reason = fmt::format("--max-tasks {} have been started", supervisor.settings.max_tasks);
        out.next = start_command;
    } else if (supervisor.forgetting.count(id) != 0) {
        out.reason = std::string_view("what an earlier task of this id has left is being removed");
    } else if (has_free_slot(supervisor)) {
        out.reason =
            fmt::format("until fewer than {} tasks are at work or wait to land", 2 * supervisor.workers());
    } else {
        out.reason = wants_slot(supervisor);
    }
    return out;
}

std::vector<Hindrance> hindrances_of(const Supervisor& supervisor, Instant wall) {
    static const std::set<std::string, std::less<>> none;
    std::set<std::string, std::less<>> landed;
    for (const WorkerRecord* const record : supervisor.state.by_lifecycle(Lifecycle::completed)) {
        landed.insert(record->task_id);
    }
    return hindrances(SelectionInput{supervisor.queue->queue, supervisor.queue->done, none, landed,
                                     supervisor.settings.include_draft, wall});
}

Explanation named(Explanation out, const Supervisor& supervisor, std::string_view task_id) {
    const Task* const task = task_of(supervisor, task_id);
    out.task_id = task_id;
    out.title = task == nullptr ? std::string{} : std::string(trimmed(task->title));
    return out;
}

}  // namespace

std::string_view to_string(Place place) {
    switch (place) {
        case Place::runs:
            return "runs";
        case Place::lands:
            return "lands";
        case Place::waits:
            return "waits";
        case Place::ended:
            return "ended";
    }
    return "";
}

std::vector<Hold> holds_of(const Supervisor& supervisor, Moment now) {
    std::vector<Hold> found = holds_of_selection(supervisor);
    if (supervisor.target_fault) {
        found.push_back({"target_red",
                         fmt::format("nothing lands: the target itself fails the gate, since {}: {}",
                                     format_rfc3339_seconds(supervisor.target_fault->since),
                                     supervisor.target_fault->reason),
                         "ralph gate"});
    }
    for (const auto& [name, account] : supervisor.accounts) {
        if (holds(account.pause, now.wall)) {
            found.push_back({"account_paused", describe(account.pause),
                             account.pause.needs_person ? fmt::format("ralph account resume {}", name) : ""});
        }
    }
    return found;
}

std::vector<Explanation> explain_open(const Supervisor& supervisor, Moment now, std::size_t most_waiting) {
    std::vector<Explanation> out;
    for (const ActiveTask& task : supervisor.active) {
        const WorkerRecord* const record = supervisor.state.find(task.task_id);
        if (record != nullptr) {
            out.push_back(
                named(explain_active(supervisor, task, *record, now, true), supervisor, task.task_id));
        }
    }
    std::stable_sort(out.begin(), out.end(), [](const Explanation& left, const Explanation& right) {
        return left.place < right.place;
    });
    if (!supervisor.queue) {
        return out;
    }
    const auto each = hindrances_of(supervisor, now.wall);
    for (std::size_t i = 0, told = 0; i < each.size() && told < most_waiting; ++i) {
        const Task& task = supervisor.queue->queue.tasks[i];
        const std::string_view id = trimmed(task.id);
        const bool is_open = each[i].what != Obstacle::ended && each[i].what != Obstacle::group;
        if (is_open && !supervisor.state.has(id)) {
            out.push_back(named(explain_queued(supervisor, task, each[i], now, true), supervisor, id));
            ++told;
        }
    }
    return out;
}

std::optional<Explanation> explain(const Supervisor& supervisor, std::string_view task_id, Moment now,
                                   bool lives) {
    const WorkerRecord* const record = supervisor.state.find(task_id);
    if (record != nullptr) {
        const ActiveTask* const active = active_of(supervisor, task_id);
        Explanation out = active != nullptr ? explain_active(supervisor, *active, *record, now, lives)
                                            : explain_ended(*record);
        if (active == nullptr && supervisor.retries.count(task_id) != 0) {
            out.reason += "; it was asked to run again";
            out.next = lives ? std::string_view{} : start_command;
        }
        return named(std::move(out), supervisor, task_id);
    }
    if (!supervisor.queue) {
        return std::nullopt;
    }
    const auto& tasks = supervisor.queue->queue.tasks;
    const auto found = std::find_if(tasks.begin(), tasks.end(),
                                    [task_id](const Task& task) { return trimmed(task.id) == task_id; });
    if (found != tasks.end()) {
        const auto each = hindrances_of(supervisor, now.wall);
        return named(explain_queued(supervisor, *found, each[static_cast<std::size_t>(found - tasks.begin())],
                                    now, lives),
                     supervisor, task_id);
    }
    if (const Task* const done = supervisor.queue->done.find(task_id)) {
        Explanation out;
        out.place = Place::ended;
        out.reason =
            fmt::format("is {} since {}", to_string(done->status), done->completed_at.value_or("some time"));
        return named(std::move(out), supervisor, task_id);
    }
    return std::nullopt;
}

}  // namespace ralph::core
