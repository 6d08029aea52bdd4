// Settings, queue, and the programs that the settings name.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "daemon/doctor/diagnosis.h"
#include "daemon/git/tracked_files.h"
#include "daemon/git/trust.h"
#include "daemon/store/queue_files.h"

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

void check_queue(Diagnosis& diagnosis) {
    auto queue = load_queue(*diagnosis.settings);
    if (queue) {
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
    check_program(diagnosis, used.supervisor.prepare.command, "prepare.command", own, "Every task fails.");
    check_program(diagnosis, used.supervisor.integrate.command, "integrate.command", own, "Nothing lands.");
    if (used.project.ci_gate.enabled) {
        check_program(diagnosis, used.project.ci_gate.argv, "agent.ci_gate.argv", used.paths.config(),
                      "Every task ends blocked, since its gate cannot be run.");
    }
}

}  // namespace ralph::daemon
