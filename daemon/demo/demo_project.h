// The demo's small world: a remote, the project's clone with a queue of eight tasks, and somebody else's
// clone.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/supervisor/lifecycle.h"

namespace ralph::daemon {

struct DemoTask {
    const char* title;
    const char* run;
    const char* depends_on;  // an id, or ""
    core::Lifecycle expected;
    std::uint32_t expected_push_attempts;
};

[[nodiscard]] const std::array<DemoTask, 8>& demo_tasks();
[[nodiscard]] std::string demo_task_id(std::size_t index);
// The one that ends while nobody supervises it: not before `DemoPlaces::leave()` is there.
inline constexpr std::size_t demo_task_that_fails = 3;

struct DemoPlaces {
    std::string folder;
    [[nodiscard]] std::string remote() const { return folder + "/remote.git"; }
    [[nodiscard]] std::string clone() const { return folder + "/project"; }
    [[nodiscard]] std::string stranger() const { return folder + "/somebody-else"; }
    [[nodiscard]] std::string foreign_push() const { return folder + "/somebody-else-pushes.sh"; }
    // Two lines of every worker: when it begins and when it ends.
    [[nodiscard]] std::string ledger() const { return folder + "/ledger.txt"; }
    [[nodiscard]] std::string leave() const { return folder + "/give-up"; }
};

// `wanted`: a new or empty folder; "" for a temporary one.
[[nodiscard]] core::Result<DemoPlaces> make_demo_places(const std::string& wanted);
[[nodiscard]] core::Result<void> make_demo_project(const DemoPlaces& places);

}  // namespace ralph::daemon
