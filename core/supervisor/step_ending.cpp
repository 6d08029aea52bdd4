// How it ends: drained, told to end what runs, or both.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/supervisor/accounts.h"
#include "core/supervisor/event_handler.h"

namespace ralph::core {

void Handler::operator()(const event::DrainRequested& event) {
    if (event.limited && supervisor_.mode != Mode::ending) {
        supervisor_.end_at = now_ + supervisor_.settings.stop_timeout;
        note(false, "",
             fmt::format("what still runs in {} s is ended, and runs again after the next start",
                         std::chrono::ceil<std::chrono::seconds>(supervisor_.settings.stop_timeout).count()));
    }
    if (supervisor_.mode != Mode::running) {
        return;
    }
    supervisor_.mode = Mode::draining;
    supervisor_.signal = event.signal;
    note(false, "", fmt::format("draining: {}; no new task starts, what runs is finished", event.reason));
}

void Handler::operator()(const event::StopRequested& event) {
    if (supervisor_.mode == Mode::ending) {
        return;
    }
    supervisor_.mode = Mode::ending;
    supervisor_.signal = event.signal;
    supervisor_.resumes = event.resume;
    note(true, "", "ending: the workers are told to end");
    for (Tasks* const tasks : {&supervisor_.active, &supervisor_.discards}) {
        for (ActiveTask& task : *tasks) {
            ask_to_end(task);
        }
    }
}

void Handler::operator()(const event::SettingsChanged& event) {
    supervisor_.settings = event.settings;
    for (ActiveTask& task : supervisor_.active) {
        task.account = account_of(supervisor_.settings, task.runner);
    }
    note(false, "", fmt::format("the settings were read again: {} workers", supervisor_.workers()));
}

void Handler::end_if_overdue() {
    if (supervisor_.mode == Mode::draining && supervisor_.end_at && *supervisor_.end_at <= now_) {
        (*this)(event::StopRequested{supervisor_.signal, true});
    }
}

void Handler::interrupt_waiting() {
    if (supervisor_.resumes) {
        return;
    }
    for (std::size_t i = supervisor_.active.size(); i-- > 0;) {
        const auto task = supervisor_.active.begin() + static_cast<std::ptrdiff_t>(i);
        if (task->phase == Phase::ready && task->waits_for != WaitsFor::branch) {  // that has not begun
            apply(task, TaskEvent::interrupted, "interrupted: the supervisor was told to end");
        }
    }
}

}  // namespace ralph::core
