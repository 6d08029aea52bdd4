#include "tests/chaos/history.h"

#include <algorithm>
#include <array>

namespace ralph::chaos {

std::string_view to_string(Fault fault) {
    static constexpr std::array<std::string_view, 14> names{"supervisor killed",
                                                            "shim killed",
                                                            "worker killed",
                                                            "process below a worker killed",
                                                            "prepare, integrate or discard killed",
                                                            "process below one of these killed",
                                                            "process frozen and thawed",
                                                            "disk filled and emptied",
                                                            "second supervisor started",
                                                            "supervisor killed, two started at once",
                                                            "supervisor drained",
                                                            "push by somebody else",
                                                            "status asked",
                                                            "retry asked"};
    return names.at(static_cast<std::size_t>(fault));
}

bool History::struck(const std::string& task_id) const {
    return std::any_of(strikes.begin(), strikes.end(),
                       [&](const Strike& each) { return each.task_id == task_id; });
}

bool History::struck_run(const std::string& run_id) const {
    return std::any_of(strikes.begin(), strikes.end(),
                       [&](const Strike& each) { return each.run_id == run_id; });
}

bool History::shim_struck(const std::string& run_id) const {
    return std::any_of(strikes.begin(), strikes.end(),
                       [&](const Strike& each) { return each.run_id == run_id && each.part == Part::shim; });
}

bool History::disk_was_full(Nanoseconds from, Nanoseconds to) const {
    return std::any_of(disk_full.begin(), disk_full.end(), [&](const auto& window) {
        return (to == 0 || window.first <= to) && (window.second == 0 || window.second >= from);
    });
}

bool History::session_began(Nanoseconds from, Nanoseconds to) const {
    return std::any_of(sessions.begin(), sessions.end(),
                       [&](Nanoseconds at) { return at > from && at < to; });
}

bool History::retried(const std::string& task_id, Nanoseconds from, Nanoseconds to) const {
    return std::any_of(retries.begin(), retries.end(), [&](const auto& retry) {
        return retry.second == task_id && retry.first > from && retry.first < to;
    });
}

}  // namespace ralph::chaos
