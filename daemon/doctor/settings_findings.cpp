// Settings, queue, and the programs that the settings name.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "daemon/doctor/diagnosis.h"
#include "daemon/doctor/preflight.h"
#include "daemon/git/tracked_files.h"
#include "daemon/git/trust.h"
#include "daemon/os/program.h"
#include "daemon/store/accounts.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/spending.h"

namespace ralph::daemon {
namespace {

bool can_execute(const std::string& path) {
    return !is_directory(path) && ::access(path.c_str(), X_OK) == 0;
}

// As a shell would find it; a path is looked for in the repository, of which a workspace is a clone.
bool is_program(const std::string& name, const std::string& root) {
    if (name.empty() || name.find('{') != std::string::npos) {
        return true;  // nothing to run, or not known before a task is
    }
    if (name.find('/') != std::string::npos) {
        return can_execute(name.front() == '/' ? name : root + "/" + name);
    }
    const char* const value = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
    std::string_view path = value == nullptr ? "" : value;
    while (!path.empty()) {
        const std::size_t colon = path.find(':');
        if (can_execute(std::string(path.substr(0, colon)) + "/" + name)) {
            return true;
        }
        path = colon == std::string_view::npos ? std::string_view{} : path.substr(colon + 1);
    }
    return false;
}

void check_program(Diagnosis& diagnosis, const std::vector<std::string>& command, const std::string& setting,
                   const std::string& file, const std::string& meaning) {
    if (command.empty() || is_program(command.front(), diagnosis.paths.root)) {
        return;
    }
    diagnosis.add({"program_missing", Severity::wrong,
                   fmt::format("{} names a program that is not there", setting), file,
                   fmt::format("There is no \"{}\" that could be run. {}", command.front(), meaning),
                   fmt::format("install {}, or change {}", command.front(), setting), "", nullptr});
}

bool is_variable_set(const std::string& name, const Settings& settings) {
    const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
    return (value != nullptr && *value != '\0') || settings.supervisor.worker.env.count(name) != 0;
}

bool has_key(const core::AgentPreset& preset, const Settings& settings) {
    const char* const home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): one thread
    return (preset.key_variables.empty() && preset.key_files.empty()) ||
           std::any_of(preset.key_variables.begin(), preset.key_variables.end(),
                       [&](const std::string& name) { return is_variable_set(name, settings); }) ||
           std::any_of(preset.key_files.begin(), preset.key_files.end(), [&](const std::string& file) {
               return home != nullptr && path_exists(std::string(home) + "/" + file);
           });
}

// Digits and dots, the first of what the program says of itself.
std::string version_in(const std::string& text) {
    const std::size_t begin = text.find_first_of("0123456789");
    const std::size_t end = begin == std::string::npos ? begin : text.find_first_not_of("0123456789.", begin);
    return begin == std::string::npos ? std::string{} : text.substr(begin, end - begin);
}

std::vector<unsigned long> numbers_of(const std::string& version) {
    std::vector<unsigned long> numbers;
    for (std::size_t at = 0; at < version.size();) {
        numbers.push_back(std::stoul("0" + version.substr(at, 9)));
        at = std::min(version.find('.', at), version.size() - 1) + 1;
    }
    return numbers;
}

// A program that is older than the one that the preset was tried with may know other options.
void check_agent_version(Diagnosis& diagnosis, const core::AgentPreset& preset) {
    if (preset.tested_version.empty()) {
        return;  // nobody has said that it knows --version
    }
    ProgramRequest request;
    request.program = preset.program();
    request.arguments = {"--version"};
    request.directory = "/";  // what it does there is done to nobody's work
    request.environment = our_environment();
    request.timeout = std::chrono::seconds{60};
    const auto ended = run_program(request);
    const std::string version = ended && ended->succeeded() ? version_in(ended->output) : std::string{};
    if (!version.empty() && numbers_of(version) >= numbers_of(preset.tested_version)) {
        return;
    }
    diagnosis.add({"agent_version", Severity::notice,
                   fmt::format("{} is older than the version that ralph was tried with, or does not tell it",
                               preset.name),
                   fmt::format("{} says \"{}\"", preset.program(), version),
                   fmt::format("Tried was {}. Options and output may differ.", preset.tested_version),
                   fmt::format("install {} {} or newer", preset.name, preset.tested_version), "", nullptr});
}

// `setting` is the place where the agent is named.
void check_agent(Diagnosis& diagnosis, const Settings& settings, const std::string& name,
                 const std::string& setting) {
    const auto found = settings.supervisor.agents.find(name);
    if (found == settings.supervisor.agents.end()) {
        return;  // none
    }
    const core::AgentPreset& preset = found->second;
    const std::string own = settings.paths.supervisor_config();
    if (!is_program(preset.program(), diagnosis.paths.root)) {
        check_program(diagnosis, {preset.program()}, setting, own,
                      "Every task without a command of its own fails.");
        return;
    }
    check_agent_version(diagnosis, preset);
    if (!has_key(preset, settings)) {
        diagnosis.add(
            {"agent_key_missing", Severity::wrong, fmt::format("{} has no login and no key", name), own,
             fmt::format("None of {} is set here, and none of its login files is in the home folder. Its "
                         "account is paused with the first task.",
                         fmt::join(preset.key_variables, ", ")),
             fmt::format(
                 "log in with {}, or set the key in the environment of the shell or service that starts "
                 "ralph; worker.env is for a repository that nobody else sees",
                 preset.program()),
             "", nullptr});
    }
    if (!preset.root_variable.empty() && ::geteuid() == 0 &&
        !is_variable_set(preset.root_variable, settings)) {
        diagnosis.add(
            {"agent_refuses_root", Severity::wrong, fmt::format("{} refuses to run as root", name), own,
             "Every task without a command of its own fails.",
             fmt::format("run ralph as another user, or set {} to \"1\" in worker.env if this machine may "
                         "be its sandbox",
                         preset.root_variable),
             "", nullptr});
    }
}

// Each once, though several phases may have it.
void check_agents(Diagnosis& diagnosis, const Settings& settings) {
    const auto& worker = settings.supervisor.worker;
    std::map<std::string, std::string> wanted{{worker.agent, "worker.agent"}};
    for (std::size_t i = 0; i < worker.phases.size(); ++i) {
        wanted.emplace(worker.phases[i].agent, fmt::format("worker.phases[{}].agent", i));
    }
    for (const auto& [name, setting] : wanted) {
        check_agent(diagnosis, settings, name, setting);
    }
}

// What keeps agents from starting though they are set up well.
void check_pauses(Diagnosis& diagnosis, const Settings& settings) {
    const auto pauses = read_pauses(settings.accounts_folder);
    for (const core::AccountPause& pause : pauses ? *pauses : std::vector<core::AccountPause>{}) {
        const bool is_known =
            std::any_of(settings.supervisor.agents.begin(), settings.supervisor.agents.end(),
                        [&pause](const auto& agent) { return agent.second.account_name() == pause.account; });
        if (!is_known || !core::holds(pause, diagnosis.now)) {
            continue;
        }
        diagnosis.add({"account_paused", pause.needs_person ? Severity::wrong : Severity::notice,
                       fmt::format("The account {} is paused", core::printable(pause.account)),
                       settings.accounts_folder, core::printable(core::describe(pause)),
                       pause.needs_person
                           ? fmt::format("log in, or mend the key where ralph is started, then run "
                                         "`ralph account resume {}`",
                                         pause.account)
                           : fmt::format("nothing; or `ralph account resume {}`", pause.account),
                       "", nullptr});
    }
    const core::Budgets& budgets = settings.supervisor.budgets;
    if (const auto spending = read_spending(settings.paths);
        !spending && (budgets.run.any() || budgets.day.any())) {
        diagnosis.add({"spending_unreadable", Severity::wrong, "It is not known what agents have used",
                       spending.error().message, "There is a budget, so no agent starts.",
                       spending.error().remedy, "", nullptr});
    }
}

void check_queue(Diagnosis& diagnosis) {
    auto queue = load_queue(*diagnosis.settings);
    if (queue) {
        if (const auto checked = check_tasks(*diagnosis.settings, queue->snapshot.queue, false); !checked) {
            diagnosis.add({"task_cannot_run", Severity::wrong, "A task of the queue cannot be worked on here",
                           checked.error().message,
                           "`ralph run` refuses to begin; a supervisor that runs already lets the task fail.",
                           checked.error().remedy, "", nullptr});
        }
        return;
    }
    if (auto absent = not_checked_out(diagnosis.paths.root, {diagnosis.settings->queue_relative})) {
        queue = std::move(*absent);
    }
    diagnosis.add({"queue_invalid", Severity::wrong, "The queue cannot be used", queue.error().message,
                   "No new task starts, and `ralph run` refuses to begin, until the file is fixed.",
                   queue.error().remedy.empty()
                       ? std::string("fix the file, then check it with `ralph queue validate`")
                       : queue.error().remedy,
                   "", nullptr});
}

}  // namespace

void check_settings(Diagnosis& diagnosis) {
    auto settings = load_settings(diagnosis.paths.root);
    if (!settings) {
        diagnosis.add({"settings_invalid", Severity::wrong, "The settings cannot be used",
                       settings.error().message,
                       "No command of ralph that needs them works; what runs already goes on with the old "
                       "ones. Queue, workspaces and kept work were not looked at.",
                       settings.error().remedy.empty() ? std::string("fix the file, then run `ralph doctor`")
                                                       : settings.error().remedy,
                       "", nullptr});
        return;
    }
    diagnosis.settings = std::move(*settings);
    check_queue(diagnosis);
    const Settings& used = *diagnosis.settings;
    if (!used.trust_refusal.empty()) {
        diagnosis.add(
            {"trust_is_foreign", Severity::wrong, "The permission to run commands is not this user's",
             used.trust_refusal,
             "A file that came with the repository says that its commands may be run. It counts for "
             "nothing: only what you allow on this machine does.",
             trust_remedy, "", nullptr});
    }
    if (used.project.wants_webhook) {
        diagnosis.add({"webhook_unused", Severity::notice, "agent.webhook is enabled, and nothing uses it",
                       used.paths.config(), "Nothing is reported over HTTP.",
                       "set agent.webhook.enabled to false", "", nullptr});
    }
    const std::string own = used.paths.supervisor_config();
    check_program(diagnosis, used.supervisor.worker.command, "worker.command", own,
                  "Every task without a command of its own fails.");
    check_agents(diagnosis, used);
    check_pauses(diagnosis, used);
    check_program(diagnosis, used.supervisor.prepare.command, "prepare.command", own, "Every task fails.");
    check_program(diagnosis, used.supervisor.integrate.command, "integrate.command", own, "Nothing lands.");
    if (used.project.ci_gate.enabled) {
        check_program(diagnosis, used.project.ci_gate.argv, "agent.ci_gate.argv", used.paths.config(),
                      "Every task ends blocked, since its gate cannot be run.");
    }
}

}  // namespace ralph::daemon
