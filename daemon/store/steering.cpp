#include "daemon/store/steering.h"

#include <fmt/format.h>

#include "daemon/os/clock.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t file_limit = std::size_t{64} << 10U;

}  // namespace

Result<core::Steering> read_steering_file(const Paths& paths) {
    TRY_ASSIGN(auto text, read_file(paths.steering(), file_limit));
    if (!text) {
        return core::Steering{};
    }
    TRY_ASSIGN(const auto document, core::JsonDocument::parse(std::move(*text), paths.steering()));
    return core::read_steering(document);
}

Result<void> steer(const Paths& paths, const std::function<void(core::Steering&)>& change) {
    TRY(make_directories(paths.parallel()));
    TRY_ASSIGN(const auto lock, FileLock::acquire(paths.steering_lock(), FileLock::Wait::yes));
    TRY(read_file(paths.steering(), file_limit));  // an error of the disk is not to cost what was asked for
    const auto present = read_steering_file(paths);
    // As for the supervisor: whoever cannot understand it does not know that there is no pause.
    core::Steering wanted =
        present ? *present : core::Steering{core::Pause{wall_clock(), {}, present.error().message}, {}};
    change(wanted);
    if (wanted == core::Steering{}) {
        TRY(remove_file(paths.steering()));
        return sync_directory(paths.cache());
    }
    return write_file_durably(paths.steering(), core::steering_text(wanted) + "\n");
}

}  // namespace ralph::daemon
