#include "tests/sim/simulated_person.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "daemon/store/task_requests.h"

namespace ralph::sim {

void SimulatedPerson::turn() {
    if (steers_ && random_.below(80) == 0) {
        steer();
    }
}

void SimulatedPerson::settle_down() {
    steers_ = false;
    ask({});
}

bool SimulatedPerson::resume() {
    if (!core::is_paused(steering_, world_.wall_clock())) {
        return false;
    }
    ask({});
    return true;
}

void SimulatedPerson::steer() {
    core::Steering wanted = steering_;
    switch (random_.below(6)) {
        case 0:
            wanted.pause = core::Pause{world_.wall_clock(), {}, "for a while"};
            if (random_.chance(70)) {
                wanted.pause->until = world_.wall_clock() + std::chrono::milliseconds(random_.below(60'000));
            }
            break;
        case 1:
            wanted.pause.reset();
            break;
        case 2:
            wanted.workers = 1 + random_.below(4);
            most_workers_ = std::max(most_workers_, *wanted.workers);
            break;
        case 3:
            wanted.workers.reset();
            break;
        default:
            if (world_.disk.find(paths_.cancel_requests())) {
                FakeTask& task = model_.tasks()[random_.below(model_.tasks().size())];
                record_(task.id + " is to be cancelled");
                task.cancel_requested = true;
                request(paths_.cancel_requests(), task.id);
            }
            return;
    }
    ask(wanted);
}

void SimulatedPerson::ask(const core::Steering& wanted) {
    if (steering_ == wanted) {
        return;
    }
    steering_ = wanted;
    record_("steering: " + core::steering_text(wanted));
    put(paths_.steering(), core::steering_text(wanted));
}

void SimulatedPerson::request_retry(FakeTask& task) {
    if (world_.disk.find(paths_.retry_requests())) {
        record_(task.id + " retry is requested");
        task.retry_requested = true;
        request(paths_.retry_requests(), task.id);
    }
}

void SimulatedPerson::look(bool keep) {
    for (FakeTask& task : model_.tasks()) {
        task.retry_requested =
            (keep && task.retry_requested) || has_request(paths_.retry_requests(), task.id);
        task.cancel_requested =
            (keep && task.cancel_requested) || has_request(paths_.cancel_requests(), task.id);
    }
}

// Each is a file of its own.
void SimulatedPerson::request(const std::string& folder, const std::string& task_id) {
    put(fmt::format("{}/{}~{}", folder, task_id, ++requests_), "");
}

bool SimulatedPerson::has_request(const std::string& folder, const std::string& task_id) const {
    const fake::NodePointer found = world_.disk.find(folder);
    return found && std::any_of(found->entries.begin(), found->entries.end(), [&](const auto& entry) {
               return daemon::requested_task(entry.first) == task_id;
           });
}

void SimulatedPerson::put(const std::string& path, const std::string& content) {
    world_.disk.put(path, content);
    world_.tell_watchers(path);
}

}  // namespace ralph::sim
