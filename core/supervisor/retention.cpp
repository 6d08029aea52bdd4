#include "core/supervisor/retention.h"

#include <algorithm>
#include <set>
#include <string>

#include "core/base/expiry.h"
#include "core/supervisor/reused_ids.h"

namespace ralph::core {
namespace {

constexpr Milliseconds completed_retention{24 * 3'600'000LL};  // contract section 6.4

std::string ended_at(const WorkerRecord& record) {
    return record.completed_at.value_or(record.started_at);
}

Milliseconds retention_of(const Supervisor& supervisor, const WorkerRecord& record) {
    return record.lifecycle == Lifecycle::completed ? completed_retention
                                                    : supervisor.settings.kept_work_retention;
}

bool seems_expired(const Supervisor& supervisor, const WorkerRecord& record, Instant wall) {
    if (!record.is_terminal()) {
        return false;
    }
    const auto ended = parse_rfc3339(ended_at(record));
    if (!ended || ended->instant >= wall - retention_of(supervisor, record)) {
        return false;
    }
    const Task* const task = supervisor.queue->queue.find(record.task_id);
    const bool open = task != nullptr && !is_terminal(task->status) && !is_reused(supervisor, record.task_id);
    return !open && supervisor.retries.count(record.task_id) == 0 &&
           std::none_of(supervisor.discards.begin(), supervisor.discards.end(),
                        [&](const ActiveTask& each) { return each.task_id == record.task_id; });
}

// Brings the notes up to date, and returns what is certain.
std::set<std::string, std::less<>> certainly_expired(Supervisor& supervisor, Moment now,
                                                     std::vector<Action>& actions) {
    ExpiryLook look(supervisor.seemed_expired, now.monotonic);
    std::set<std::string, std::less<>> certain;
    for (const WorkerRecord& record : supervisor.state.workers) {
        if (seems_expired(supervisor, record, now.wall) &&
            look.is_confirmed(record.task_id + " " + ended_at(record), retention_of(supervisor, record))) {
            certain.insert(record.task_id);
        }
    }
    if (look.next()) {
        actions.emplace_back(action::WakeAt{*look.next()});
    }
    if (look.notes() != supervisor.seemed_expired) {
        supervisor.seemed_expired = ExpiryNotes(look.notes());
        actions.emplace_back(action::NoteExpired{supervisor.seemed_expired});
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
