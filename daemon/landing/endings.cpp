#include "daemon/landing/endings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/base/shown_text.h"
#include "core/supervisor/transition.h"

namespace ralph::daemon {

Ending blocked(std::string summary) {
    return {static_cast<int>(core::exit_blocked), {std::move(summary), {}, {}, {}}};
}

Ending fixable(std::string summary) {
    return {static_cast<int>(core::exit_fixable), {std::move(summary), {}, {}, {}}};
}

Ending nothing_to_land(std::string summary) {
    return {static_cast<int>(core::exit_nothing_to_land), {std::move(summary), {}, {}, {}}};
}

Ending unavailable(std::string summary) {
    return {static_cast<int>(core::exit_unavailable), {std::move(summary), {}, {}, {}}};
}

Ending landed_elsewhere(const StepContext& context, const Git& git, const std::string& tip) {
    // The commit by which the id came into the file; who it was is for people, so that not knowing is no
    // reason to stop.
    const auto found = git.line({"--literal-pathspecs", "log", "-1", "--no-show-signature", "--format=%H %an",
                                 "-S" + fmt::format("\"{}\"", context.task_id), "--end-of-options", tip, "--",
                                 context.settings.done_relative});
    const std::string text = found ? *found : std::string{};
    const std::size_t space = std::min(text.find(' '), text.size());
    core::Outcome outcome;
    outcome.landed_sha = space == text.size() ? tip : text.substr(0, space);
    outcome.landed_by =
        space == text.size()
            ? fmt::format("somebody else, seen at commit {}", tip.substr(0, 12))
            : fmt::format("commit {} by {}", text.substr(0, 12), core::printable(text.substr(space + 1)));
    outcome.summary =
        fmt::format("{} is done on {} already, by {}", context.task_id, context.target(), outcome.landed_by);
    outcome.note = fmt::format(
        "{}: what was made here is not landed again, and is kept when its workspace is removed (`ralph kept "
        "list`)",
        outcome.summary);
    return {0, std::move(outcome)};
}

Ending try_again(std::string summary) {
    return {static_cast<int>(core::exit_try_again), {std::move(summary), {}, {}, {}}};
}

}  // namespace ralph::daemon
