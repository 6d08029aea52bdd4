// Run directories: documents that cannot be read, tasks that no record speaks of, beginnings of files.
#include <fmt/format.h>

#include "core/queue/task_codec.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Result<std::string> put_away(const std::string& path) {
    auto kept = quarantine(path);
    if (!kept) {
        return kept.error();
    }
    TRY(path_exists(path) ? remove_file(path) : Result<void>{});
    return fmt::format("it is kept as {}", *kept);
}

template <class Read>
std::optional<Error> fault_in(const std::string& path, Read read) {
    TRY_ASSIGN(auto text, read_file(path));
    if (!text) {
        return std::nullopt;
    }
    TRY_ASSIGN(auto document, core::JsonDocument::parse(std::move(*text), path));
    auto value = read(document);
    return value ? std::nullopt : std::optional(value.error());
}

std::optional<Error> fault_in_acknowledged(const std::string& path) {
    TRY_ASSIGN(const auto text, read_file(path, 64));
    if (!text || (!text->empty() && text->find_first_not_of("0123456789\n") == std::string::npos &&
                  text->front() != '\n')) {
        return std::nullopt;
    }
    return Error{path + ": is not a number"};
}

void add_unreadable(Diagnosis& diagnosis, const std::string& path, const Error& fault,
                    const std::string& meaning) {
    diagnosis.add({"run_unreadable", Severity::wrong, "A document of a run cannot be read", fault.message,
                   meaning, "run `ralph doctor --fix`", "keeps the file under another name",
                   [path] { return put_away(path); }});
}

void check_run(Diagnosis& diagnosis, const std::string& directory) {
    const std::string spec = directory + "/spec.json";
    const std::string exit = directory + "/exit.json";
    if (const auto fault = fault_in(spec, core::read_run_spec)) {
        add_unreadable(
            diagnosis, spec, *fault,
            "`ralph run` does not start, since it cannot tell what was run there. Without the file "
            "the run counts as one that was never begun, or that was lost.");
    }
    if (const auto fault = fault_in(exit, core::read_exit_record)) {
        add_unreadable(diagnosis, exit, *fault,
                       "`ralph run` does not start, since it cannot tell how that run ended, and invents "
                       "nothing. Without the file the run counts as lost, and its step runs again.");
    }
}

// Beginnings of files that a crash cut off.
void check_partial_writes(Diagnosis& diagnosis, const std::string& folder) {
    const auto locked = is_locked(folder + "/lock");
    if (diagnosis.supervisor || !locked || *locked) {
        return;  // somebody is writing them
    }
    const auto names = list_directory(folder);
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const std::string path = folder + "/" + name;
        if (is_directory(path) || (!ends_with(name, ".new") && name != "exit.json.reserved")) {
            continue;
        }
        diagnosis.add({"left_over_file", Severity::notice, "A file that was being written was left over",
                       path, "A crash came before it was whole. What it was to replace is untouched.",
                       "nothing", "removes it", [path]() -> Result<std::string> {
                           auto removed = remove_file(path);
                           return removed ? Result<std::string>{boost::system::in_place_value, "removed"}
                                          : Result<std::string>{removed.error()};
                       }});
    }
}

void check_task(Diagnosis& diagnosis, const std::string& task_id) {
    const Paths& paths = diagnosis.paths;
    if (const auto fault = fault_in(paths.task_file(task_id), core::read_task)) {
        add_unreadable(diagnosis, paths.task_file(task_id), *fault,
                       "No step of the task can start. Without the file its text is taken from the queue.");
    }
    if (const auto fault = fault_in_acknowledged(paths.acknowledged(task_id))) {
        add_unreadable(
            diagnosis, paths.acknowledged(task_id), *fault,
            "It tells which runs have been dealt with. Without it the last one is looked at again, "
            "which changes nothing for a task that has ended.");
    }
    check_partial_writes(diagnosis, paths.runs_of(task_id));
    bool any = false;
    const auto names = list_directory(paths.runs_of(task_id));
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        if (core::parse_run_directory_name(name)) {
            any = true;
            check_run(diagnosis, paths.runs_of(task_id) + "/" + name);
            check_partial_writes(diagnosis, paths.runs_of(task_id) + "/" + name);
        }
    }
    if (any && diagnosis.state && !diagnosis.state->has(task_id)) {
        diagnosis.add({"run_without_record", Severity::notice, "There are runs of a task without a record",
                       paths.runs_of(task_id),
                       "The next start takes up again what was not dealt with, and removes the rest.",
                       "nothing", "", nullptr});
    }
}

}  // namespace

void check_runs(Diagnosis& diagnosis) {
    const auto tasks = tasks_with_runs(diagnosis.paths);
    if (!tasks) {
        diagnosis.add({"runs_unreadable", Severity::wrong, "The run directories cannot be read",
                       tasks.error().message, "`ralph run` cannot tell what was running.",
                       "make the folder readable", "", nullptr});
        return;
    }
    for (const std::string& task_id : *tasks) {
        check_task(diagnosis, task_id);
    }
    check_partial_writes(diagnosis, diagnosis.paths.parallel());
}

}  // namespace ralph::daemon
