#include "daemon/supervisor/launch_builder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <map>

#include "config/agent_choice.h"
#include "core/agents/prompt.h"
#include "core/base/check.h"
#include "core/base/shown_text.h"
#include "daemon/os/environment.h"
#include "daemon/os/random.h"
#include "daemon/store/handoff.h"
#include "daemon/store/prompt_values.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/settings_snapshot.h"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to the program

namespace ralph::daemon {
namespace {

// Linux refuses a single argument or variable of 128 KiB and more.
constexpr std::size_t longest_argument = 100'000;
constexpr std::size_t longest_reason = 4'000;

using Environment = std::map<std::string, std::string>;

// Ours, without what was meant for this process alone.
Environment inherited_environment() {
    Environment environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) {
            continue;
        }
        const std::string_view name = text.substr(0, equals);
        if (name.substr(0, 6) == "RALPH_" || names_git_repository(name) || name == "NOTIFY_SOCKET" ||
            name == "WATCHDOG_USEC" || name == "WATCHDOG_PID" || name == "LISTEN_FDS" ||
            name == "LISTEN_PID" || name == "LISTEN_FDNAMES") {
            continue;
        }
        environment.emplace(name, text.substr(equals + 1));
    }
    return environment;
}

struct StepCommand {
    std::vector<std::string> command;
    std::string directory;
    core::Milliseconds timeout{0};
};

// The agents that work in the step, under a step of our own; none: a command works, or another step runs.
Result<std::vector<config::AgentChoice>> agents_of(const Settings& settings, const core::Task& task,
                                                   core::StepKind step) {
    const auto& supervisor = settings.supervisor;
    const bool remediates = step == core::StepKind::remediate;
    const bool may = step == core::StepKind::work
                         ? worker_refusal(settings, task).empty()
                         : remediates && supervisor.remediate.command.empty() &&
                               (settings.trusted || !supervisor.worker.agent.empty());
    return may ? config::choose_agents(supervisor, task, remediates)
               : Result<std::vector<config::AgentChoice>>{std::vector<config::AgentChoice>{}};
}

// The worker's command, unless there is one for this. Only silence ends it. Without any, which can only be
// when the settings were changed meanwhile, it fails and says so.
StepCommand remediation_command(const Settings& settings, const Executables& executables,
                                const config::PlaceholderValues& values) {
    const auto& supervisor = settings.supervisor;
    const auto& command =
        supervisor.remediate.command.empty() ? supervisor.worker.command : supervisor.remediate.command;
    if (command.empty()) {
        return {{executables.ralph, "step", "refuse"}, settings.paths.root, core::Milliseconds{0}};
    }
    return {config::expand_command(command, values), values.workspace, core::Milliseconds{0}};
}

StepCommand step_command(const Settings& settings, const Executables& executables, const core::Task& task,
                         core::StepKind step, const config::PlaceholderValues& values, bool by_agent) {
    const auto& supervisor = settings.supervisor;
    const auto built_in = [&](const std::vector<std::string>& replacement, const char* name) {
        return replacement.empty() ? std::vector<std::string>{executables.ralph, "step", name}
                                   : config::expand_command(replacement, values);
    };
    const core::Milliseconds timeout = supervisor.worker.timeout.value_or(core::Milliseconds{0});
    if (by_agent) {
        return {{executables.ralph, "step", "agent"},
                values.workspace,
                step == core::StepKind::work ? timeout : core::Milliseconds{0}};
    }
    switch (step) {
        case core::StepKind::prepare:
            return {built_in(supervisor.prepare.command, "prepare"), settings.paths.root,
                    supervisor.prepare.timeout};
        case core::StepKind::integrate:
            return {built_in(supervisor.integrate.command, "integrate"), settings.paths.root,
                    supervisor.integrate.timeout};
        case core::StepKind::remediate:
            return remediation_command(settings, executables, values);
        case core::StepKind::discard:
            return {built_in({}, "discard"), settings.paths.root, supervisor.integrate.timeout};
        case core::StepKind::work:
            break;
    }
    if (!worker_refusal(settings, task).empty()) {
        return {{executables.ralph, "step", "refuse"}, settings.paths.root, timeout};
    }
    if (const std::string* const run = task.custom_field("run")) {
        return {{"sh", "-c", *run}, values.workspace, timeout};
    }
    return {config::expand_command(supervisor.worker.command, values), values.workspace, timeout};
}

}  // namespace

Result<Executables> find_executables() {
    std::array<char, PATH_MAX> buffer{};
    const ssize_t length = ::readlink("/proc/self/exe", buffer.data(), buffer.size() - 1);
    if (length <= 0) {
        return system_error("readlink", "/proc/self/exe", errno);
    }
    const std::string ralph(buffer.data(), static_cast<std::size_t>(length));
    const std::string shim = ralph.substr(0, ralph.rfind('/')) + "/ralph-shim";
    if (::access(shim.c_str(), X_OK) != 0) {
        return Error{fmt::format("{}: the program that watches over steps is not there", shim),
                     "install ralph and ralph-shim into one folder (`make install`)"};
    }
    return Executables{ralph, shim, 0};
}

std::string worker_refusal(const Settings& settings, const core::Task& task) {
    if (const std::string* const run = task.custom_field("run")) {
        if (run->size() > longest_argument) {
            return fmt::format("the command of {} is longer than {} bytes; put it into a script",
                               core::trimmed(task.id), longest_argument);
        }
        return settings.trusted ? ""
                                : fmt::format(
                                      "{} brings its own command (custom_fields.run), and this repository is "
                                      "not trusted; run `ralph init --trust` if you trust its commands",
                                      core::trimmed(task.id));
    }
    const auto agents = config::choose_agents(settings.supervisor, task);
    if (!agents) {
        return agents.error().line();
    }
    if (!agents->empty()) {
        return settings.trusted || !settings.supervisor.worker.agent.empty()
                   ? ""
                   : fmt::format(
                         "{} asks for the agent {}, and this repository is not trusted; run `ralph init "
                         "--trust` if you trust its tasks, or set worker.agent",
                         core::trimmed(task.id), agents->front().preset.name);
    }
    if (settings.supervisor.worker.command.empty()) {
        return fmt::format(
            "there is no command for {}: set worker.agent or worker.command in .ralph/supervisor.jsonc "
            "(`ralph init --agent claude` does), or give the task one with `ralph task add --run`",
            core::trimmed(task.id));
    }
    return {};
}

Result<Launch> build_launch(const Settings& settings, const Executables& executables,
                            const std::string& target_branch, const core::SupervisorSettings& limits,
                            const core::action::StartRun& start, core::Instant now) {
    auto task = read_kept_task(settings.paths, start.task_id);
    if (!task && start.run.step != core::StepKind::discard) {
        return task.error();
    }
    const std::string workspace = settings.workspace(start.task_id);
    const std::string attempt = std::to_string(start.run.attempt);
    config::PlaceholderValues values =
        placeholders_of(settings, task ? *task : core::Task{}, start.task_id, target_branch, attempt);
    values.reason = start.reason;
    const bool remediates = start.run.step == core::StepKind::remediate;
    const bool works = remediates || start.run.step == core::StepKind::work;
    TRY_ASSIGN(const auto agents, agents_of(settings, task ? *task : core::Task{}, start.run.step));
    if (remediates) {
        TRY_ASSIGN(values.handoff, newest_handoff(settings.paths.in(workspace), start.task_id));
    }
    if (works) {
        const core::PromptFacts facts = prompt_facts_of(settings, start.task_id, target_branch);
        values.prompt = remediates
                            ? core::remediation_prompt(*task, facts, values.reason, values.handoff, false)
                            : core::work_prompt(*task, facts);
    }
    StepCommand command = step_command(settings, executables, task ? *task : core::Task{}, start.run.step,
                                       values, !agents.empty());

    Launch launch;
    launch.spec.run_id = fmt::format("{:016x}{:016x}", random_number(), random_number());
    Environment environment = inherited_environment();
    if (works) {
        for (const auto& [name, value] : settings.supervisor.worker.env) {
            environment[name] = value;
        }
        TRY_ASSIGN(auto prepared, newest_preparation(settings.paths, start.task_id));
        environment["RALPH_BASE_SHA"] = prepared.base_sha;
        environment["RALPH_KEPT"] = prepared.kept;
        environment["RALPH_REFUSAL"] =
            remediates ? "there is no command for it any more" : worker_refusal(settings, *task);
        launch.limits = cgroup_limits(settings.supervisor.limits);
    }
    if (remediates) {
        environment["RALPH_HANDOFF"] = values.handoff;
        environment["RALPH_REASON"] = core::shortened(start.reason, longest_reason);
    }
    if (agents.empty()) {  // that step looks at what its agent writes
        launch.silence = remediates ? settings.supervisor.remediate.silence
                         : works    ? settings.supervisor.worker.silence.value_or(core::Milliseconds{0})
                                    : core::Milliseconds{0};
    }
    for (const config::AgentChoice& agent : agents) {
        environment.insert(agent.preset.env.begin(), agent.preset.env.end());  // where they are not set
    }
    environment["PWD"] = command.directory;
    environment["RALPH_TASK_ID"] = start.task_id;
    environment["RALPH_TASK_TITLE"] = values.task_title;
    environment["RALPH_TASK_FILE"] = values.task_file;
    environment["RALPH_WORKSPACE"] = workspace;
    environment["RALPH_ROOT"] = settings.paths.root;
    environment["RALPH_TARGET_BRANCH"] = target_branch;
    environment["RALPH_ATTEMPT"] = attempt;
    environment["RALPH_SLOT"] = std::to_string(start.slot);
    environment["RALPH_RUN_ID"] = launch.spec.run_id;
    environment["RALPH_ACCOUNTS"] = settings.accounts_folder;
    environment["RALPH_RUN_DIR"] = settings.paths.run(start.task_id, start.run);
    if (start.run.step == core::StepKind::integrate) {
        environment["RALPH_INTEGRATION"] = std::to_string(start.integration);
        environment["RALPH_MAX_INTEGRATIONS"] = std::to_string(limits.max_push_attempts);
        environment["RALPH_BATCH"] = fmt::format("{}", fmt::join(start.batch, ","));
    }
    for (const auto& [name, value] : environment) {
        launch.environment.push_back(name + "=" + value);
        launch.spec.environment_names.push_back(name);
    }
    launch.spec.task_id = start.task_id;
    launch.spec.run = start.run;
    launch.spec.slot = start.slot;
    launch.spec.command = std::move(command.command);
    launch.spec.working_directory = std::move(command.directory);
    launch.spec.created_at = core::format_rfc3339(now);
    launch.spec.batch = start.batch;
    if (!agents.empty()) {
        launch.spec.agent = agents.front().preset.name;
    }
    if (!works || !agents.empty()) {
        launch.spec.settings = snapshot_of(settings);
    }
    launch.timeout = command.timeout * static_cast<int>(1 + start.batch.size());
    launch.kill_grace = settings.supervisor.worker.kill_grace;
    launch.log_limit_bytes = static_cast<long long>(settings.supervisor.worker.log_limit_mib) << 20U;
    launch.shim = executables.shim;
    launch.descriptors = executables.descriptors;
    return launch;
}

}  // namespace ralph::daemon
