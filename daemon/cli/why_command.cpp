// why: the reason why a task stands where it stands, and what to type.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/supervisor/explain.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/store/live_view.h"
#include "daemon/store/state_store.h"
#include "daemon/store/steering.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/store/task_requests.h"

namespace ralph::daemon {
namespace {

// The supervisor as the disk tells of it.
Result<core::Supervisor> supervisor_on_disk(const Settings& settings) {
    TRY_ASSIGN(auto state, read_state_file(settings.paths.state()));
    auto supervisor = core::make_supervisor({}, state ? std::move(*state) : core::ParallelState{}, {});
    if (auto queue = open_queue(settings)) {
        supervisor.queue = std::make_shared<const core::QueueSnapshot>(std::move(queue->snapshot));
    } else {
        supervisor.queue_fault = queue.error().line();
    }
    if (const auto retries = requested_tasks(settings.paths.retry_requests())) {
        supervisor.retries.insert(retries->begin(), retries->end());
    }
    if (auto steering = read_steering_file(settings.paths)) {
        supervisor.steering = std::move(*steering);
        supervisor.paused = core::is_paused(supervisor.steering, wall_clock());
    }
    return supervisor;
}

Result<std::vector<core::Explanation>> explain_all(const Settings& settings,
                                                   const std::vector<std::string>& task_ids) {
    const bool lives = living_supervisor(settings.paths).has_value();
    const auto view = lives ? read_live_view(settings.paths) : std::nullopt;
    const auto open = view ? view->open : std::vector<core::Explanation>{};
    std::optional<core::Supervisor> on_disk;
    std::vector<core::Explanation> out;
    for (const std::string& task_id : task_ids) {
        const auto told = std::find_if(
            open.begin(), open.end(), [&](const core::Explanation& each) { return each.task_id == task_id; });
        if (told != open.end()) {
            out.push_back(*told);
            continue;
        }
        if (!on_disk) {
            TRY_ASSIGN(on_disk, supervisor_on_disk(settings));
        }
        auto found = core::explain(*on_disk, task_id, present_moment(), lives);
        if (!found) {
            return on_disk->queue_fault
                       ? Error{*on_disk->queue_fault, "fix it, then run `ralph queue validate`"}
                       : Error{fmt::format("there is no task {}", core::printable(task_id)),
                               "see `ralph queue list`"};
        }
        out.push_back(std::move(*found));
    }
    return out;
}

}  // namespace

core::Result<std::vector<core::Explanation>> find_explanations(const CommonArguments& common,
                                                               const std::vector<std::string>& task_ids) {
    TRY_ASSIGN(const auto settings, open_repository(common));
    return explain_all(settings, task_ids);
}

std::string explanation_line(const core::Explanation& each, core::Instant now) {
    std::string text = (each.place == core::Place::waits ? "waits: " : "") + each.reason;
    if (each.since) {
        text += fmt::format(", for {}", rough_age(now - *each.since));
    }
    if (each.not_before && *each.not_before > now) {
        text += fmt::format("; tried again in {}", rough_age(*each.not_before - now));
    }
    return text;
}

int explain_task(const CommonArguments& common, const std::string& task_id, bool json) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto explained = explain_all(*settings, {task_id});
    if (!explained) {
        return report_error(explained.error());
    }
    const core::Explanation* const found = &explained->front();
    if (json) {
        auto document = explanation_object(*found);
        document["version"] = 1;
        return print(core::canonical_json(document) + "\n");
    }
    std::string text =
        fmt::format("{}: {}\n{}\n", found->task_id, found->title, explanation_line(*found, wall_clock()));
    if (!found->next.empty()) {
        text += fmt::format("Next: {}\n", found->next);
    }
    return print(text + fmt::format("Log: {}\n", settings->paths.log(found->task_id)));
}

}  // namespace ralph::daemon
