// shell: a shell in a task's workspace, for a person who looks or mends.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/shown_text.h"
#include "core/queue/queue_validation.h"
#include "daemon/cli/common.h"
#include "daemon/os/files.h"
#include "daemon/store/live_view.h"
#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {
namespace {

// Somebody else's files may change under the person, or the person's under it.
void warn_if_at_work(const Settings& settings, const std::string& task_id) {
    const auto view = living_supervisor(settings.paths) ? read_live_view(settings.paths) : std::nullopt;
    for (const core::Explanation& each : view ? view->open : std::vector<core::Explanation>{}) {
        if (each.task_id == task_id && each.place != core::Place::ended) {
            say(fmt::format("{} is not over ({}): what you change here becomes a part of its work", task_id,
                            each.reason));
        }
    }
}

std::string users_shell() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment.
    const char* const shell = std::getenv("SHELL");
    return shell == nullptr || *shell != '/' ? "/bin/sh" : shell;
}

}  // namespace

int open_shell(const CommonArguments& common, const std::string& task_id) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (!core::is_safe_task_id(task_id)) {
        return report_error(
            Error{fmt::format("there is no task {}", core::printable(task_id)), "see `ralph status`"});
    }
    const std::string workspace = settings->workspace(task_id);
    if (!is_directory(workspace)) {  // not through a link
        return report_error(Error{fmt::format("{} has no workspace now ({})", task_id, workspace),
                                  fmt::format("see `ralph why {}` and `ralph kept list`", task_id)});
    }
    warn_if_at_work(*settings, task_id);
    say(fmt::format("a shell in {}; `exit` leads back", workspace));
    if (::chdir(workspace.c_str()) != 0) {
        return report_error(system_error("enter", workspace, errno));
    }
    const std::string shell = users_shell();
    ::execl(shell.c_str(), shell.c_str(), static_cast<char*>(nullptr));
    return report_error(system_error("execute", shell, errno));
}

}  // namespace ralph::daemon
