#include "core/supervisor/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/queue/selection.h"
#include "core/supervisor/accounts.h"
#include "core/supervisor/admission.h"
#include "core/supervisor/reused_ids.h"

namespace ralph::core {
namespace {

constexpr std::size_t most_tasks_in_a_run = 256;  // what is said of them must fit into one record
constexpr std::uint32_t failures_that_last = 4;   // to start, in a row: about two seconds

bool in_progress(const ActiveTask& task) {
    switch (task.phase) {
        case Phase::starting:
        case Phase::running:
        case Phase::recovering:
            return true;
        case Phase::ready:
            return false;
    }
    return false;
}

bool is_due(const ActiveTask& task, Instant now) {
    return task.phase == Phase::ready && task.not_before <= now;
}

// What a task still being recovered holds, the merge queue or which slot, is not known yet.
bool any_recovering(const Supervisor& supervisor) {
    return std::any_of(supervisor.active.begin(), supervisor.active.end(),
                       [](const ActiveTask& task) { return task.phase == Phase::recovering; });
}

// Runs adopted from a time of more workers hold slots beyond today's number, and count all the same.
std::optional<std::uint32_t> free_slot(const Supervisor& supervisor) {
    std::multiset<std::uint32_t> taken;
    for (const ActiveTask& task : supervisor.active) {
        if (task.slot) {
            taken.insert(*task.slot);
        }
    }
    if (taken.size() >= supervisor.workers()) {
        return std::nullopt;
    }
    for (std::uint32_t slot = 0; slot < supervisor.workers(); ++slot) {
        if (taken.count(slot) == 0) {
            return slot;
        }
    }
    return std::nullopt;
}

void start(ActiveTask& task, std::vector<Action>& actions) {
    task.phase = Phase::starting;
    task.put_back = false;
    task.may_have_been_told = false;
    ++task.run.number;
    const bool integrates = task.run.step == StepKind::integrate;
    task.leads_batch = false;
    actions.emplace_back(action::StartRun{task.task_id, task.run, task.slot.value_or(0),
                                          integrates ? task.counts.integrations + 1 : 0});
}

bool integrates(const ActiveTask& task) {
    return task.run.step == StepKind::integrate;
}

std::size_t most_in_a_run(const Supervisor& supervisor) {
    const BatchSettings& batch = supervisor.settings.batch;
    return supervisor.lands_alone ? 1 : std::min(most_tasks_in_a_run, std::size_t{batch.max} * batch.gates);
}

// Until when the first of those who wait in the merge queue waits for company; in the past if it does not.
Instant company_until(const Supervisor& supervisor, const std::vector<ActiveTask*>& waiting) {
    const BatchSettings& batch = supervisor.settings.batch;
    const bool somebody_works =
        supervisor.mode == Mode::running &&
        std::any_of(supervisor.active.begin(), supervisor.active.end(),
                    [](const ActiveTask& task) { return !integrates(task) && in_progress(task); });
    if (waiting.size() >= most_in_a_run(supervisor) || (batch.min != 0 && waiting.size() >= batch.min) ||
        !somebody_works) {
        return Instant::min();
    }
    Instant first = Instant::max();
    for (const ActiveTask* const task : waiting) {
        first = std::min(first, task->not_before);
    }
    return first == Instant::min() ? first : first + batch.wait;
}

// Steps that reach for the host's disk and for the remote, and end with 69 while these refuse.
bool needs_host(const ActiveTask& task) {
    return task.run.step == StepKind::prepare || integrates(task);
}

// During an outage one task at a time looks whether it is over: who has waited longest.
void look_at_outage(Supervisor& supervisor, Instant now, std::vector<Action>& actions) {
    const bool looks =
        std::any_of(supervisor.active.begin(), supervisor.active.end(),
                    [](const ActiveTask& task) { return needs_host(task) && in_progress(task); });
    if (!supervisor.outage || looks) {
        return;
    }
    // Those who would look are cancelled or withdrawn: the next task finds out.
    if (std::none_of(supervisor.active.begin(), supervisor.active.end(), needs_host)) {
        supervisor.outage.reset();
        return;
    }
    ActiveTask* next = nullptr;
    for (ActiveTask& task : supervisor.active) {
        const bool may_begin = integrates(task)
                                   ? supervisor.merge_queue_opens <= now
                                   : !supervisor.paused && (task.slot || free_slot(supervisor).has_value());
        if (needs_host(task) && is_due(task, now) && may_begin &&
            (next == nullptr || task.not_before < next->not_before)) {
            next = &task;
        }
    }
    for (const Instant later : {supervisor.outage->next_look, supervisor.merge_queue_opens}) {
        if (later > now) {
            actions.emplace_back(action::WakeAt{later});
        }
    }
    if (next == nullptr || supervisor.outage->next_look > now) {
        return;
    }
    if (!integrates(*next) && !next->slot) {
        next->slot = free_slot(supervisor);
    }
    start(*next, actions);
}

TaskPriority priority_of(const Supervisor& supervisor, std::string_view task_id) {
    const Task* const task = supervisor.queue ? supervisor.queue->queue.find(task_id) : nullptr;
    return task == nullptr ? TaskPriority::medium : task->priority;
}

void start_lane(Supervisor& supervisor, Instant now, std::vector<Action>& actions) {
    const auto& active = supervisor.active;
    if (supervisor.outage || any_recovering(supervisor) ||
        std::any_of(active.begin(), active.end(),
                    [&](const ActiveTask& task) { return integrates(task) && in_progress(task); })) {
        return;
    }
    std::vector<ActiveTask*> waiting;
    for (ActiveTask& task : supervisor.active) {
        if (integrates(task) && is_due(task, now)) {
            waiting.push_back(&task);
        }
    }
    if (waiting.empty()) {
        return;
    }
    const Instant begin = std::max(company_until(supervisor, waiting), supervisor.merge_queue_opens);
    if (begin > now) {
        actions.emplace_back(action::WakeAt{begin});
        return;
    }
    supervisor.merge_queue_opens = Instant::min();
    std::stable_sort(waiting.begin(), waiting.end(), [&](const ActiveTask* left, const ActiveTask* right) {
        return comes_before(priority_of(supervisor, left->task_id), priority_of(supervisor, right->task_id));
    });
    start(*waiting.front(), actions);
    auto& batch = std::get<action::StartRun>(actions.back()).batch;
    for (std::size_t i = 1; i < std::min(waiting.size(), most_in_a_run(supervisor)); ++i) {
        batch.push_back(waiting[i]->task_id);
    }
    waiting.front()->leads_batch = !batch.empty();
}

// Whether the task has to wait for its account. A waiting task holds no slot.
bool held_by_account(const Supervisor& supervisor, ActiveTask& task, Instant wall) {
    if (!needs_account(task) || may_start(supervisor, task.account, wall)) {
        return false;
    }
    task.waits_for = WaitsFor::account;
    task.slot.reset();
    return true;
}

// Steps that a worker works in, and that which makes its workspace.
bool needs_room(const ActiveTask& task) {
    return task.run.step == StepKind::prepare || task.run.step == StepKind::work ||
           task.run.step == StepKind::remediate;
}

void start_slots(Supervisor& supervisor, Moment moment, std::vector<Action>& actions) {
    const Instant now = moment.monotonic;
    const auto uses_slot = [](const ActiveTask& task) {
        return task.run.step != StepKind::integrate && in_progress(task);
    };
    const std::uint32_t workers = supervisor.workers();
    auto busy = std::count_if(supervisor.active.begin(), supervisor.active.end(), uses_slot);
    for (ActiveTask& task : supervisor.active) {
        if (!supervisor.accounts.empty()) {
            learn_account(supervisor, task);
        }
        const bool held_back =
            (supervisor.outage && needs_host(task)) || (supervisor.paused && needs_room(task));
        if (integrates(task) || held_back || !is_due(task, now) ||
            held_by_account(supervisor, task, moment.wall) || busy >= workers) {
            continue;
        }
        if (task.slot && *task.slot >= workers) {
            task.slot.reset();
        }
        if (needs_room(task) && !admits_worker(supervisor, now, actions)) {
            continue;
        }
        if (!task.slot && !any_recovering(supervisor)) {
            task.slot = free_slot(supervisor);
        }
        if (task.slot) {
            note_try(supervisor, task);
            task.began = now;
            start(task, actions);
            if (task.run.step == StepKind::remediate) {
                std::get<action::StartRun>(actions.back()).reason =
                    supervisor.state.find(task.task_id)->last_error.value_or("");
            }
            ++busy;
        }
    }
}

void start_discard(Supervisor& supervisor, Instant now, std::vector<Action>& actions) {
    if (supervisor.mode != Mode::ending && !supervisor.discards.empty() &&
        is_due(supervisor.discards.front(), now)) {
        start(supervisor.discards.front(), actions);
    }
}

using Ids = std::set<std::string, std::less<>>;

// What has failed is tried again by the next run of somebody who starts it by hand; a supervisor that waits
// for tasks is restarted by machines, and failing again costs money: it waits to be asked.
Ids excluded_tasks(const Supervisor& supervisor, const Ids& reused, const Ids& of_paused_accounts) {
    Ids excluded = supervisor.attempted;
    for (const WorkerRecord& record : supervisor.state.workers) {
        if (record.lifecycle != Lifecycle::failed || supervisor.settings.continuous) {
            excluded.insert(record.task_id);
        }
    }
    for (const std::string& id : reused) {
        excluded.erase(id);
    }
    excluded.insert(of_paused_accounts.begin(), of_paused_accounts.end());
    excluded.insert(supervisor.forgetting.begin(), supervisor.forgetting.end());
    excluded.insert(supervisor.retries.begin(), supervisor.retries.end());
    for (const ActiveTask& discard : supervisor.discards) {
        excluded.insert(discard.task_id);
    }
    return excluded;
}

Ids landed_tasks(const Supervisor& supervisor, const Ids& reused) {
    Ids landed;
    for (const WorkerRecord* record : supervisor.state.by_lifecycle(Lifecycle::completed)) {
        if (reused.count(record->task_id) == 0) {
            landed.insert(record->task_id);
        }
    }
    return landed;
}

Selection choose(const Supervisor& supervisor, const Ids& reused, const Ids& of_paused_accounts,
                 Instant wall) {
    const auto excluded = excluded_tasks(supervisor, reused, of_paused_accounts);
    const auto landed = landed_tasks(supervisor, reused);
    return select_task(SelectionInput{supervisor.queue->queue, supervisor.queue->done, excluded, landed,
                                      supervisor.settings.include_draft, wall});
}

bool task_limit_reached(const Supervisor& supervisor) {
    return supervisor.settings.max_tasks != 0 && supervisor.started >= supervisor.settings.max_tasks;
}

// Work that waits for the merge queue must not pile up without end: as many may wait as there are workers.
bool has_room(const Supervisor& supervisor) {
    const auto takes_room = [](const ActiveTask& task) {
        return task.phase != Phase::ready ||
               (task.waits_for != WaitsFor::workspace && task.waits_for != WaitsFor::branch &&
                task.waits_for != WaitsFor::account);
    };
    const auto active = std::count_if(supervisor.active.begin(), supervisor.active.end(), takes_room);
    return active < 2LL * supervisor.workers() && free_slot(supervisor).has_value();
}

void begin(Supervisor& supervisor, const Task& selected, Instant wall, std::vector<Action>& actions) {
    WorkerRecord record;
    record.task_id = std::string(trimmed(selected.id));
    record.workspace_path = supervisor.settings.workspace_root + "/" + record.task_id;
    record.started_at = format_rfc3339(wall);
    ActiveTask task;
    task.task_id = record.task_id;
    task.slot = free_slot(supervisor);
    CHECK(task.slot.has_value());
    supervisor.attempted.insert(record.task_id);
    supervisor.created.insert_or_assign(record.task_id, selected.created_at.value_or(""));
    ++supervisor.started;
    supervisor.state.upsert(std::move(record));
    task.phase = Phase::recovering;
    task.runner = runner_of(selected);
    task.account = account_of(supervisor.settings, task.runner);
    task.title = trimmed(selected.title);
    actions.emplace_back(action::ReadHistory{task.task_id, std::make_shared<const Task>(selected)});
    supervisor.active.push_back(std::move(task));
}

// Selects as many tasks as there is room for. What it returns says why it stopped.
Selection fill_slots(Supervisor& supervisor, Moment moment, std::vector<Action>& actions) {
    const Instant wall = moment.wall;
    while (true) {
        const Ids reused = reused_ids(supervisor);
        const Selection selection =
            choose(supervisor, reused, tasks_of_paused_accounts(supervisor, wall), wall);
        const auto* const selected = std::get_if<const Task*>(&selection);
        if (selected == nullptr || !has_room(supervisor) || task_limit_reached(supervisor) ||
            !admits_worker(supervisor, moment.monotonic, actions)) {
            return selection;
        }
        if (const std::string id(trimmed((*selected)->id)); reused.count(id) != 0) {
            make_room(supervisor, id, actions);
            continue;
        }
        begin(supervisor, **selected, wall, actions);
    }
}

// Nobody knows when that is over for which it waits, and a drain does not wait for it.
bool waits_for_ever(const Supervisor& supervisor, const ActiveTask& task) {
    if (task.phase == Phase::recovering) {  // what runs goes on under its shim
        return task.waits_for == WaitsFor::start && task.start_failures >= failures_that_last;
    }
    if (task.phase != Phase::ready) {
        return false;
    }
    if ((supervisor.outage && needs_host(task)) ||
        ((supervisor.pressure || supervisor.paused) && needs_room(task)) ||
        (supervisor.merge_queue_opens != Instant::min() && integrates(task))) {
        return true;
    }
    switch (task.waits_for) {
        case WaitsFor::turn:
            return false;
        case WaitsFor::start:
            return task.start_failures >= failures_that_last;
        case WaitsFor::host:
        case WaitsFor::workspace:
        case WaitsFor::branch:
        case WaitsFor::account:
            return true;
    }
    return false;
}

bool idle(const Supervisor& supervisor, Instant now) {
    if (supervisor.mode == Mode::ending) {
        const auto goes_on = [&](const ActiveTask& task) {
            return in_progress(task) && !waits_for_ever(supervisor, task);
        };
        return std::none_of(supervisor.active.begin(), supervisor.active.end(), goes_on) &&
               std::none_of(supervisor.discards.begin(), supervisor.discards.end(), goes_on);
    }
    if (supervisor.mode == Mode::running && !(supervisor.forgetting.empty() && supervisor.retries.empty())) {
        return false;
    }
    // A run that does not wait for new tasks does not wait for one either that nobody has pushed, once it has
    // looked.
    const auto is_over = [&](const ActiveTask& task) {
        return supervisor.mode == Mode::draining ? waits_for_ever(supervisor, task)
                                                 : task.waits_for == WaitsFor::branch &&
                                                       task.phase == Phase::ready && task.not_before > now;
    };
    return std::all_of(supervisor.active.begin(), supervisor.active.end(), is_over) &&
           std::all_of(supervisor.discards.begin(), supervisor.discards.end(), is_over);
}

void finish(Supervisor& supervisor, int exit_code, std::string reason, std::vector<Action>& actions) {
    supervisor.finished = true;
    actions.emplace_back(action::Finish{exit_code, std::move(reason)});
}

// There is work left for when an account is not paused any more.
bool waits_for_account(const Supervisor& supervisor, Instant wall) {
    if (tasks_of_paused_accounts(supervisor, wall).empty()) {
        return false;
    }
    const Selection selection = choose(supervisor, reused_ids(supervisor), {}, wall);
    return std::holds_alternative<const Task*>(selection);
}

int drained_exit_code(const Supervisor& supervisor, Instant wall) {
    if (supervisor.signal != 0) {
        return 128 + supervisor.signal;
    }
    const bool some_wait = supervisor.mode != Mode::ending && !supervisor.active.empty();
    const bool some_not_landed =
        some_wait || (supervisor.accounts.contains(budget_of_run) && waits_for_account(supervisor, wall)) ||
        supervisor.state.count(Lifecycle::failed) + supervisor.state.count(Lifecycle::blocked_push) > 0;
    return some_not_landed ? exit_some_not_landed : exit_all_landed;
}

std::string blocked_reason(const Blocked& blocked) {
    std::string text = "no task can run now:";
    if (blocked.by_dependencies > 0) {
        text += fmt::format(" {} {} for another task", blocked.by_dependencies,
                            blocked.by_dependencies == 1 ? "waits" : "wait");
    }
    if (blocked.by_schedule > 0) {
        text += fmt::format("{} {} {} scheduled later", blocked.by_dependencies > 0 ? "," : "",
                            blocked.by_schedule, blocked.by_schedule == 1 ? "is" : "are");
    }
    return text;
}

void wake_at(Instant when, std::vector<Action>& actions) {
    actions.emplace_back(action::WakeAt{when});
}

void request_queue(Supervisor& supervisor, std::vector<Action>& actions) {
    if (!supervisor.queue_requested) {
        supervisor.queue_requested = true;
        actions.emplace_back(action::LoadQueue{});
    }
}

// Nothing is selected while records are still being recovered: their slots are not known yet.
bool may_select(const Supervisor& supervisor) {
    return supervisor.mode == Mode::running && supervisor.queue && !supervisor.queue_fault &&
           !supervisor.outage && !supervisor.paused && !any_recovering(supervisor);
}

// Only the next run has a new budget, so this one drains. A service has no next run, and waits.
void drain_for_budget(Supervisor& supervisor, std::vector<Action>& actions) {
    const auto run = supervisor.accounts.find(budget_of_run);
    if (run == supervisor.accounts.end() || supervisor.settings.continuous || !supervisor.queue ||
        supervisor.mode != Mode::running) {
        return;
    }
    supervisor.mode = Mode::draining;
    actions.emplace_back(action::Note{
        true, "", fmt::format("draining: {}; the next run goes on", describe(run->second.pause))});
}

void end_when_idle(Supervisor& supervisor, const Selection& selection, Moment moment,
                   std::vector<Action>& actions) {
    const Instant wall = moment.wall;
    if (!idle(supervisor, moment.monotonic) || supervisor.mode != Mode::running) {
        return;
    }
    if (task_limit_reached(supervisor)) {
        finish(supervisor, drained_exit_code(supervisor, wall), "the limit of tasks is reached", actions);
        return;
    }
    if (supervisor.settings.continuous || waits_for_account(supervisor, wall) ||
        std::holds_alternative<const Task*>(selection)) {  // it waits for room
        return;
    }
    if (!supervisor.queue_fresh) {
        request_queue(supervisor, actions);
        return;
    }
    const auto* const blocked = std::get_if<Blocked>(&selection);
    const std::size_t unpushed = supervisor.active.size();
    finish(supervisor, drained_exit_code(supervisor, wall),
           blocked != nullptr ? blocked_reason(*blocked)
           : unpushed == 0
               ? "the queue is drained"
               : fmt::format("the queue is drained but for {} {} the target branch does not hold yet",
                             unpushed, unpushed == 1 ? "task that" : "tasks that"),
           actions);
}

}  // namespace

bool has_free_slot(const Supervisor& supervisor) {
    return free_slot(supervisor).has_value();
}

void schedule(Supervisor& supervisor, Moment moment, std::vector<Action>& actions) {
    const Instant now = moment.monotonic;
    if (supervisor.finished) {
        return;
    }
    drain_for_budget(supervisor, actions);
    if (supervisor.mode != Mode::running && idle(supervisor, now)) {
        finish(supervisor, drained_exit_code(supervisor, moment.wall),
               supervisor.mode == Mode::ending               ? "ended on request"
               : supervisor.accounts.contains(budget_of_run) ? "the budget of this run is spent"
                                                             : "drained on request",
               actions);
        return;
    }
    if (supervisor.mode != Mode::ending) {
        look_at_outage(supervisor, now, actions);
        start_lane(supervisor, now, actions);
        start_slots(supervisor, moment, actions);
        start_discard(supervisor, now, actions);
    }
    if (supervisor.mode == Mode::running && supervisor.queue_fault && idle(supervisor, now) &&
        !supervisor.settings.continuous) {
        finish(supervisor, exit_could_not_run, *supervisor.queue_fault, actions);
        return;
    }
    if (may_select(supervisor)) {
        const Selection selection = fill_slots(supervisor, moment, actions);
        const auto* const blocked = std::get_if<Blocked>(&selection);
        if (supervisor.settings.continuous && blocked != nullptr && blocked->earliest_start) {
            actions.emplace_back(action::WakeAt{*blocked->earliest_start, true});
        }
        end_when_idle(supervisor, selection, moment, actions);
    }
    if (supervisor.paused && supervisor.steering.pause->until) {
        actions.emplace_back(action::WakeAt{*supervisor.steering.pause->until, true});
    }
    wake_for_accounts(supervisor, moment.wall, actions);
    watch_host(supervisor, now, actions);
    if (supervisor.mode == Mode::draining && supervisor.end_at) {
        wake_at(*supervisor.end_at, actions);
    }
    for (const auto* tasks : {&supervisor.active, &supervisor.discards}) {
        for (const ActiveTask& task : *tasks) {
            if (task.phase == Phase::ready && task.not_before > now) {
                wake_at(task.not_before, actions);
            }
        }
    }
}

}  // namespace ralph::core
