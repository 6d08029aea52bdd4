// state.json, its previous generation, and what was quarantined of them.
#include <fmt/format.h>

#include <set>

#include "core/queue/queue_validation.h"
#include "core/supervisor/state_codec.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/doctor/rebuild.h"
#include "daemon/git/git.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

// Keeps what is there under another name, and takes it from its place if that did not do so already.
Result<std::string> put_away(const std::string& path) {
    auto kept = quarantine(path);
    if (kept && path_exists(path)) {
        TRY(remove_file(path));
    }
    return kept;
}

Result<std::string> settle_lost_state(const Diagnosis& diagnosis) {
    const Paths& paths = diagnosis.paths;
    if (!diagnosis.settings) {
        return Error{"the settings cannot be used, and without them it is not known where the workspaces are",
                     "fix the settings, then run `ralph doctor --fix` again"};
    }
    TRY_ASSIGN(const auto branch, Git(paths.root).current_branch());
    // First of all, so that a fault here changes nothing.
    TRY_ASSIGN(const auto rebuilt, rebuild_state(*diagnosis.settings, branch.value_or(""), diagnosis.now));
    auto kept = quarantine(paths.state());
    if (!kept) {
        return kept.error();
    }
    TRY(write_file_durably(paths.state(), core::state_text(rebuilt)));
    std::string text = fmt::format("{} is kept as {}", paths.state(), *kept);
    if (path_exists(paths.previous_state())) {
        TRY_ASSIGN(auto previous, put_away(paths.previous_state()));
        text += fmt::format(", {} as {}", paths.previous_state(), previous);
    }
    return text + fmt::format("; {} records were made anew from the run directories", rebuilt.workers.size());
}

Result<std::string> settle_by_loading(const Paths& paths) {
    auto loaded = load_state(paths);
    return loaded ? Result<std::string>{std::move(loaded->warning)} : loaded.error();
}

void check_unreadable(Diagnosis& diagnosis, const Error& fault) {
    const Paths& paths = diagnosis.paths;
    const auto previous = read_state_file(paths.previous_state());
    if (previous && *previous) {
        diagnosis.add({"state_unreadable", Severity::wrong, "The state cannot be read", fault.message,
                       "It holds the record of every task. Its previous generation is whole, and what has "
                       "happened since is in the run directories, so that nothing is lost.",
                       "run `ralph doctor --fix`; the next `ralph run` would do the same",
                       "keeps the file under another name and puts the previous generation in its place",
                       [paths] { return settle_by_loading(paths); }});
        return;
    }
    const std::string how = previous ? "is missing" : "cannot be read either: " + previous.error().message;
    diagnosis.add(
        {"state_lost", Severity::wrong, "The state cannot be read, and there is no whole older one",
         fault.message,
         fmt::format("It holds the record of every task. {} {}. `ralph run` starts nothing until this is "
                     "resolved. Work is not lost: it is in the workspaces, in kept refs and on the remote.",
                     paths.previous_state(), how),
         "run `ralph doctor --fix`, or put a whole state in its place by hand",
         "keeps what is there under other names and makes the records anew from the run directories",
         [copy = diagnosis]() -> Result<std::string> { return settle_lost_state(copy); }});
}

Result<std::string> drop_duplicates(const Paths& paths, core::ParallelState state) {
    std::set<std::string> seen;
    std::erase_if(state.workers,
                  [&seen](const core::WorkerRecord& record) { return !seen.insert(record.task_id).second; });
    auto kept = quarantine(paths.state());
    if (!kept) {
        return kept.error();
    }
    TRY(write_file_durably(paths.state(), core::state_text(state)));
    return fmt::format("the file as it was is kept as {}", *kept);
}

void check_records(Diagnosis& diagnosis) {
    const Paths& paths = diagnosis.paths;
    std::set<std::string> seen;
    std::set<std::string> twice;
    for (const core::WorkerRecord& record : diagnosis.state->workers) {
        if (!seen.insert(record.task_id).second) {
            twice.insert(record.task_id);
        }
        if (!core::is_safe_task_id(record.task_id)) {
            diagnosis.add({"record_unusable", Severity::wrong, "A record has a task id that is no name",
                           fmt::format("{}: \"{}\"", paths.state(), record.task_id),
                           "It could lead out of ralph's folders, so `ralph run` refuses the whole file.",
                           "remove that record from the file while no supervisor runs", "", nullptr});
        }
    }
    if (!twice.empty()) {
        diagnosis.add({"record_twice", Severity::wrong, "A task has more than one record",
                       fmt::format("{}: {}", paths.state(), fmt::join(twice, ", ")),
                       "The first one counts; the others are not looked at, and would count if it went.",
                       "run `ralph doctor --fix`", "keeps the file under another name, then drops the others",
                       [paths, state = *diagnosis.state] { return drop_duplicates(paths, state); }});
    }
}

void check_quarantined(Diagnosis& diagnosis) {
    const auto names = list_directory(diagnosis.paths.parallel());
    std::vector<std::string> found;
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        if (name.find(".quarantine-") != std::string::npos) {
            found.push_back(name);
        }
    }
    if (!found.empty()) {
        diagnosis.add({"state_quarantined", Severity::notice, "States that could not be read are kept",
                       fmt::format("{}: {}", diagnosis.paths.parallel(), fmt::join(found, ", ")),
                       "They are for you to look at; ralph never reads or removes them.",
                       "remove them when you need them no longer", "", nullptr});
    }
}

}  // namespace

void check_state(Diagnosis& diagnosis) {
    const Paths& paths = diagnosis.paths;
    auto state = read_state_file(paths.state());
    if (!state) {
        diagnosis.state_is_readable = false;
        check_unreadable(diagnosis, state.error());
    } else {
        diagnosis.state = std::move(*state);
        if (const auto previous = read_state_file(paths.previous_state()); !previous) {
            diagnosis.add(
                {"previous_state_unreadable", Severity::wrong,
                 "The previous generation of the state cannot be read", previous.error().message,
                 "The state itself is whole, so nothing is lost; but there is nothing to fall back on.",
                 "run `ralph doctor --fix`; the next `ralph run` would do the same",
                 "keeps the file under another name", [paths] { return settle_by_loading(paths); }});
        }
        if (diagnosis.state) {
            check_records(diagnosis);
        }
    }
    check_quarantined(diagnosis);
}

}  // namespace ralph::daemon
