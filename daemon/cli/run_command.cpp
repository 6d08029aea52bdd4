// ralph run: preflight, and then the supervisor.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <optional>

#include "config/agent_choice.h"
#include "daemon/cli/common.h"
#include "daemon/doctor/preflight.h"
#include "daemon/git/checkout.h"
#include "daemon/git/filter_programs.h"
#include "daemon/git/git.h"
#include "daemon/git/own_places.h"
#include "daemon/git/trust.h"
#include "daemon/log/log.h"
#include "daemon/os/descriptor_limit.h"
#include "daemon/store/state_store.h"
#include "daemon/supervisor/cgroup_layout.h"
#include "daemon/supervisor/supervise.h"
#include "daemon/workspace/neighbours.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

// Where work is landed: the branch that is checked out.
Result<std::string> target_branch(const Settings& settings) {
    const Git git(settings.paths.root);
    if (!path_exists(settings.paths.root + "/.git")) {
        return Error{fmt::format("{} is not a git repository", settings.paths.root),
                     "run `git init` there first"};
    }
    auto branch = git.current_branch();
    if (!branch) {
        return branch.error();
    }
    if (!*branch) {
        return Error{
            fmt::format("{}: HEAD is detached, so there is no branch to land on", settings.paths.root),
            "check out a branch, for example `git checkout main`"};
    }
    TRY_ASSIGN(auto url, git.origin_url(Git::Direction::push));
    if (!url) {
        return Error{fmt::format("{} has no remote named origin to land on", settings.paths.root),
                     "add one with `git remote add origin URL`"};
    }
    return std::move(**branch);
}

// In a workspace, too, every file would be passed on as it is.
Result<void> check_filters(const Settings& settings) {
    TRY_ASSIGN(const auto missing, missing_filters(settings.paths.root));
    if (missing.empty()) {
        return {};
    }
    const MissingFilter& first = missing.front();
    return Error{fmt::format("files of {} go through the filter {}, but its program {} ({}) is not found",
                             settings.paths.root, core::printable(first.driver),
                             core::printable(first.program), core::printable(first.setting)),
                 "install it, or fix the setting"};
}

struct Preflight {
    Settings settings;
    Executables executables;
    std::string branch;
};

// Everything that can be wrong and be told without changing anything but what a crash left half-way. A
// supervisor that has workers to look after, from before a crash, is not kept from it by a queue or checkout
// that somebody spoiled meanwhile.
Result<Preflight> preflight(Settings settings, const RunArguments& arguments) {
    TRY_ASSIGN(auto executables, find_executables());
    // A landing that was cut off may have left queue and done at odds in the checkout. If a shim's step is at
    // it this very moment, that has the lock and fixes it.
    const CheckoutEnd fixed = fix_checkout(settings, FileLock::Wait::no);
    if (!fixed.note.empty()) {
        spdlog::warn("{}", fixed.note);
    }
    const auto state = read_state_file(settings.paths.state());
    const bool has_work_in_progress = state && *state && (*state)->active_count() > 0;
    auto branch = target_branch(settings);
    if (!branch && has_work_in_progress && !(*state)->target_branch.empty()) {
        branch = (*state)->target_branch;
    }
    if (!branch) {
        return branch.error();
    }
    TRY(check_workspace_root(settings));
    TRY(check_own_places(settings.paths.root));
    if (!has_work_in_progress) {
        TRY_ASSIGN(const auto queue, open_queue(settings));
        TRY(check_tasks(settings, queue.snapshot.queue, arguments.include_draft));
        TRY(check_filters(settings));
        // What stands half-way has been told; it is no reason to let the work wait.
        const bool is_halfway = path_exists(settings.paths.checkout_move());
        TRY(arguments.force || is_halfway ? Result<void>{} : check_clean(settings));
    }
    executables.descriptors = raise_descriptor_limit();
    return Preflight{std::move(settings), std::move(executables), std::move(*branch)};
}

Result<void> claim_place(const Settings& settings) {
    for (const std::string& root : living_neighbours(settings)) {
        spdlog::warn(
            "another ralph supervises {}, a clone of the same remote: the same task may be worked on in "
            "both, and lands once",
            core::printable(root));
    }
    tell_neighbours(settings);
    return claim_workspace_root(settings);
}

core::SupervisorSettings supervisor_settings(const Settings& settings, const RunArguments& arguments) {
    core::SupervisorSettings result;
    result.workers = arguments.workers.value_or(settings.project.parallel.workers.value_or(2));
    result.max_tasks = arguments.max_tasks;
    result.continuous = arguments.continuous;
    result.include_draft = arguments.include_draft;
    result.max_restarts = settings.supervisor.max_restarts;
    result.max_push_attempts = settings.project.parallel.max_push_attempts;
    result.push_backoff = settings.project.parallel.push_backoff;
    result.workspace_root = settings.workspace_root;
    result.kept_work_retention = settings.supervisor.kept_work_retention;
    result.stop_timeout = settings.supervisor.stop_timeout;
    // A step of the user's own lands its task, and knows nothing of others.
    if (settings.supervisor.integrate.command.empty()) {
        result.batch.max = settings.supervisor.batch.max;
        result.batch.gates = settings.supervisor.partitions.parallel_gates;
    }
    result.batch.min = settings.supervisor.batch.min;
    result.batch.wait = settings.supervisor.batch.wait;
    for (const auto& [name, preset] : settings.supervisor.agents) {
        result.accounts.emplace(name, preset.account_name());
    }
    result.host = settings.host_limits();
    result.agent = settings.supervisor.worker.agent;
    result.tasks_choose_agent = config::tasks_choose_agent(settings.supervisor);
    const bool can_fix = !settings.supervisor.remediate.command.empty() ||
                         !settings.supervisor.worker.command.empty() ||
                         !settings.supervisor.worker.agent.empty();
    result.max_remediations = can_fix ? settings.supervisor.remediate.max : 0;
    return result;
}

}  // namespace

int run_supervisor(const CommonArguments& common, const RunArguments& arguments) {
    std::signal(SIGPIPE, SIG_IGN);  // whoever reads our log may go; the supervisor stays
    const auto root = find_repository(common.repository);
    auto settings = root ? load_settings(*root) : Result<Settings>{root.error()};
    if (!settings) {
        return report_error(settings.error());
    }
    const LogFormat format = common.log_format == "json"    ? LogFormat::json
                             : common.log_format == "plain" ? LogFormat::plain
                                                            : LogFormat::automatic;
    set_up_log(common.log_level, format, settings->paths.root);
    const auto report = [](const Error& error) {
        if (!log_is_for_programs()) {
            return report_error(error);
        }
        spdlog::error("{}", error.line());
        return core::exit_could_not_run;
    };
    if (!settings->trust_refusal.empty()) {
        spdlog::warn("{}; {}", settings->trust_refusal, trust_remedy);
    }
    if (settings->project.wants_webhook) {
        spdlog::warn(
            "agent.webhook is enabled in config.jsonc, and nothing uses it: nothing is reported over HTTP");
    }
    auto ready = preflight(std::move(*settings), arguments);
    if (!ready) {
        return report(ready.error());
    }
    if (!arguments.parallel && !ready->settings.project.parallel.workers) {
        static_cast<void>(
            std::fprintf(stderr, "ralph: say how many tasks to run at once: ralph run --parallel N\n"));
        return core::exit_usage;
    }
    const auto take_settings = [arguments](const Settings& read) {
        arrange_cgroups(cgroup_limits(read.supervisor.limits));
        return supervisor_settings(read, arguments);
    };
    const auto exit_code = supervise({std::move(ready->settings), std::move(ready->executables),
                                      std::move(ready->branch), format == LogFormat::automatic,
                                      connect_service_manager(), take_settings, claim_place, true});
    return exit_code ? *exit_code : report(exit_code.error());
}

}  // namespace ralph::daemon
