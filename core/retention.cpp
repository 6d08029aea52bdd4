#include "core/retention.h"

#include <algorithm>
#include <set>
#include <string>

#include "core/reused_ids.h"

namespace ralph::core {
namespace {

constexpr Milliseconds completed_retention{24 * 3'600'000LL};  // contract section 6.4
constexpr Milliseconds longest_doubt{24 * 3'600'000LL};

Milliseconds retention_of(const Supervisor& supervisor, const WorkerRecord& record) {
    return record.lifecycle == Lifecycle::completed ? completed_retention
                                                    : supervisor.settings.kept_work_retention;
}

bool seems_expired(const Supervisor& supervisor, const WorkerRecord& record, Instant wall) {
    if (!record.is_terminal()) {
        return false;
    }
    const auto ended = parse_rfc3339(record.completed_at.value_or(record.started_at));
    if (!ended || ended->instant >= wall - retention_of(supervisor, record)) {
        return false;
    }
    const Task* const task = supervisor.queue->queue.find(record.task_id);
    const bool open = task != nullptr && !is_terminal(task->status) && !is_reused(supervisor, record.task_id);
    return !open && std::none_of(supervisor.discards.begin(), supervisor.discards.end(),
                                 [&](const ActiveTask& each) { return each.task_id == record.task_id; });
}

// Brings the memory of what seemed to be over up to date, and returns what is.
std::set<std::string, std::less<>> certainly_expired(Supervisor& supervisor, Moment now,
                                                     std::vector<Action>& actions) {
    std::map<std::string, std::optional<Instant>, std::less<>> seemed;
    std::set<std::string, std::less<>> certain;
    for (const WorkerRecord& record : supervisor.state.workers) {
        if (!seems_expired(supervisor, record, now.wall)) {
            continue;
        }
        const auto before = supervisor.seemed_expired.find(record.task_id);
        const bool is_new = before == supervisor.seemed_expired.end();
        const std::optional<Instant> since = is_new ? std::optional(now.monotonic) : before->second;
        const Instant certain_at =
            since ? *since + std::min(retention_of(supervisor, record), longest_doubt) : Instant::min();
        if (!is_new && certain_at <= now.monotonic) {
            certain.insert(record.task_id);
        } else {
            seemed.emplace(record.task_id, since);
            actions.emplace_back(action::WakeAt{certain_at});
        }
    }
    if (seemed != supervisor.seemed_expired) {
        action::NoteExpired noted;
        for (const auto& [task_id, since] : seemed) {
            noted.task_ids.push_back(task_id);
        }
        actions.emplace_back(std::move(noted));
        supervisor.seemed_expired = std::move(seemed);
    }
    return certain;
}

}  // namespace

void prune(Supervisor& supervisor, Moment now, std::vector<Action>& actions) {
    if (!supervisor.queue || supervisor.mode != Mode::running) {
        return;
    }
    const auto expired = certainly_expired(supervisor, now, actions);
    std::vector<WorkerRecord>& workers = supervisor.state.workers;
    workers.erase(std::remove_if(workers.begin(), workers.end(),
                                 [&](const WorkerRecord& record) {
                                     return record.lifecycle == Lifecycle::completed &&
                                            expired.count(record.task_id) != 0;
                                 }),
                  workers.end());
    for (const WorkerRecord& record : workers) {
        if (expired.count(record.task_id) != 0) {
            ActiveTask discard;
            discard.task_id = record.task_id;
            discard.phase = Phase::recovering;
            discard.run.step = StepKind::discard;
            supervisor.discards.push_back(std::move(discard));
            actions.emplace_back(action::ReadHistory{record.task_id, nullptr});
        }
    }
}

}  // namespace ralph::core
