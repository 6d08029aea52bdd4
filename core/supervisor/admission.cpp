#include "core/supervisor/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace ralph::core {
namespace {

constexpr Milliseconds measurement_lasts{5'000};
// When half of what must stay free is gone, the kernel is about to choose.
constexpr std::uint64_t critical_part = 2;

std::string mebibytes(std::uint64_t bytes) {
    return fmt::format("{} MiB", bytes >> 20U);
}

bool runs_worker(const ActiveTask& task) {
    return task.phase == Phase::running &&
           (task.run.step == StepKind::work || task.run.step == StepKind::remediate);
}

bool is_fresh(const Supervisor& supervisor, Instant now) {
    return supervisor.host_measured && now - *supervisor.host_measured < measurement_lasts;
}

void measure(Supervisor& supervisor, std::vector<Action>& actions) {
    if (!supervisor.host_requested) {
        supervisor.host_requested = true;
        actions.emplace_back(action::MeasureHost{});
    }
}

}  // namespace

std::optional<HostPressure> pressure_of(const HostState& host, const HostLimits& limits) {
    if (limits.memory != 0 && host.available_memory && *host.available_memory < limits.memory) {
        return HostPressure{fmt::format("memory: {} are available, and {} must stay free",
                                        mebibytes(*host.available_memory), mebibytes(limits.memory)),
                            *host.available_memory < limits.memory / critical_part};
    }
    if (limits.stall_percent != 0 && host.memory_stall_percent &&
        *host.memory_stall_percent >= limits.stall_percent) {
        return HostPressure{
            fmt::format("memory: everything waited for it {:.0f} % of the time", *host.memory_stall_percent),
            *host.memory_stall_percent >= limits.stall_percent + (100.0 - limits.stall_percent) / 2};
    }
    if (limits.disk != 0 && host.free_disk && *host.free_disk < limits.disk) {
        return HostPressure{fmt::format("disk: {} are free where the workspaces are, and {} must stay free",
                                        mebibytes(*host.free_disk), mebibytes(limits.disk)),
                            false};
    }
    return std::nullopt;
}

bool admits_worker(Supervisor& supervisor, Instant now, std::vector<Action>& actions) {
    if (!supervisor.settings.host.any()) {
        return true;
    }
    if (!is_fresh(supervisor, now)) {
        measure(supervisor, actions);
        return false;
    }
    if (supervisor.pressure) {
        actions.emplace_back(action::WakeAt{*supervisor.host_measured + measurement_lasts});
        return false;
    }
    return true;
}

void watch_host(Supervisor& supervisor, Instant now, std::vector<Action>& actions) {
    if (!supervisor.settings.host.any() ||
        std::none_of(supervisor.active.begin(), supervisor.active.end(), runs_worker)) {
        return;
    }
    if (is_fresh(supervisor, now)) {
        actions.emplace_back(action::WakeAt{*supervisor.host_measured + measurement_lasts});
    } else {
        measure(supervisor, actions);
    }
}

ActiveTask* to_put_back(Supervisor& supervisor) {
    ActiveTask* youngest = nullptr;
    std::size_t running = 0;
    for (ActiveTask& task : supervisor.active) {
        if (!runs_worker(task)) {
            continue;
        }
        if (task.put_back) {
            return nullptr;  // one is on its way
        }
        ++running;
        if (youngest == nullptr || task.began >= youngest->began) {
            youngest = &task;
        }
    }
    return running > 1 ? youngest : nullptr;
}

}  // namespace ralph::core
