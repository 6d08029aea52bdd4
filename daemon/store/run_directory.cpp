#include "daemon/store/run_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/queue_validation.h"
#include "core/task_codec.h"
#include "daemon/process/identity.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t record_limit = 1ULL << 20;
constexpr int sweep_patience_ms = 5'000;

// A small document that another process wrote. Missing is nothing; unreadable is an error.
template <class T>
Result<std::optional<T>> read_document(const std::string& path,
                                       Result<T> (*read)(const core::JsonDocument&)) {
    auto text = read_file(path, record_limit);
    if (!text) {
        return text.error();
    }
    if (!*text) {
        return std::optional<T>{};
    }
    auto document = core::JsonDocument::parse(std::move(**text), path);
    if (!document) {
        return document.error();
    }
    auto value = read(*document);
    if (!value) {
        return value.error();
    }
    return std::optional<T>(std::move(*value));
}

std::uint32_t settled_number(const Paths& paths, const std::string& task_id) {
    const auto text = read_file(paths.settled(task_id), 64);
    std::uint32_t number = 0;
    if (text && *text) {
        std::from_chars((*text)->data(), (*text)->data() + (*text)->size(), number);
    }
    return number;
}

Result<std::vector<core::RunName>> runs_of(const Paths& paths, const std::string& task_id) {
    const auto names = list_directory(paths.runs_of(task_id));
    if (!names) {
        return names.error();
    }
    std::vector<core::RunName> runs;
    for (const std::string& name : *names) {
        if (const auto run = core::parse_run_directory_name(name)) {
            runs.push_back(*run);
        }
    }
    std::sort(runs.begin(), runs.end(), [](const core::RunName& left, const core::RunName& right) {
        return left.number < right.number;
    });
    return runs;
}

// A start that a crash cut off leaves beginnings of files. Should its shim still come, it finds its file gone
// and gives up.
void clear_beginnings(const std::string& directory) {
    for (const char* name : {"spec.json.new", "shim.json.new", "worker.json.new", "exit.json.reserved"}) {
        static_cast<void>(remove_file(directory + "/" + name));
    }
}

core::RunHistory::Newest newest_of(RunView view, const std::string& workspace) {
    core::RunHistory::Newest newest{view.run, view.spec ? view.spec->slot : 0, std::nullopt, std::nullopt,
                                    view.outcome};
    if (!view.shim_alive) {
        newest.end = end_of(view);
        if (view.run.step == core::StepKind::work) {
            newest.marker = read_marker(workspace);
        }
    }
    return newest;
}

}  // namespace

Result<RunView> view_run(const std::string& directory, core::Run run) {
    RunView view;
    view.run = run;
    view.directory = directory;
    view.exists = is_directory(directory);
    // Before the records: a shim writes its exit record first and frees the lock after that.
    auto alive = is_locked(directory + "/lock");
    if (!alive) {
        return alive.error();
    }
    view.shim_alive = *alive;
    auto spec = read_document(directory + "/spec.json", core::read_run_spec);
    auto shim = read_document(directory + "/shim.json", core::read_process_identity);
    auto exit = read_document(directory + "/exit.json", core::read_exit_record);
    auto outcome = read_document(directory + "/outcome.json", core::read_outcome);
    view.worker_started = path_exists(directory + "/worker.json");
    // Without these the run would be taken for one that was lost, or for another; the others are written by
    // steps, or matter only while the shim lives.
    if (!spec || !exit) {
        return spec ? exit.error() : spec.error();
    }
    if (*spec) {
        view.run.attempt = (*spec)->run.attempt;
        view.spec = std::move(*spec);
    }
    view.exit = std::move(*exit);
    if (shim) {
        view.shim = std::move(*shim);
    }
    if (outcome && *outcome) {
        view.outcome = std::move(**outcome);
    }
    return view;
}

core::RunEnd end_of(const RunView& view) {
    if (view.exit) {
        return core::counts_as_lost(view.run.step, *view.exit)
                   ? core::RunEnd{core::LostRun{"it " + describe(*view.exit)}}
                   : core::RunEnd{*view.exit};
    }
    if (!view.exists) {
        return core::LostRun{"its run directory was removed"};
    }
    clear_beginnings(view.directory);
    if (!view.worker_started) {
        return core::UnstartedRun{"the start was not finished"};
    }
    if (view.spec) {
        if (const auto ended = end_left_over_tree(view.spec->run_id, sweep_patience_ms); !ended) {
            return core::LostRun{"its shim is gone without an exit record, and " + ended.error().message};
        }
    }
    return core::LostRun{"its shim is gone without an exit record"};
}

Result<core::RunHistory> read_history(const Paths& paths, const std::string& task_id,
                                      const std::string& workspace) {
    const auto runs = runs_of(paths, task_id);
    if (!runs) {
        return runs.error();
    }
    core::RunHistory history;
    history.workspace_exists = is_directory(workspace);
    const std::uint32_t settled = settled_number(paths, task_id);
    core::StepKind step_before = core::StepKind::prepare;
    for (const core::RunName& name : *runs) {
        const core::Run run{name.step, name.number, 1};
        auto view = view_run(paths.run(task_id, run), run);
        if (!view) {
            return view.error();
        }
        history.last_number = name.number;
        history.work_attempts += name.step == core::StepKind::work && view->worker_started ? 1 : 0;
        const bool lost = view->exit ? core::counts_as_lost(name.step, *view->exit) : view->worker_started;
        // The decision maker does not count an integration that it stopped itself.
        const bool integrated =
            name.step == core::StepKind::integrate && view->exit && !lost && !view->exit->stopped;
        if (name.number <= settled) {
            history.settled_step = name.step;
            history.settled_integrations += integrated ? 1 : 0;
            continue;
        }
        // Lost runs in a row of one step; what never began changes nothing.
        if (name.step != std::exchange(step_before, name.step) || (view->exit && !lost)) {
            history.restarts = 0;
        }
        if (name.number == runs->back().number) {
            history.newest = newest_of(std::move(*view), workspace);
        } else {
            history.restarts += lost ? 1 : 0;
            history.integrations += integrated ? 1 : 0;
        }
    }
    return history;
}

Result<std::vector<std::string>> tasks_with_runs(const Paths& paths) {
    auto names = list_directory(paths.runs());
    if (!names) {
        return names.error();
    }
    names->erase(std::remove_if(names->begin(), names->end(),
                                [](const std::string& name) { return !core::is_safe_task_id(name); }),
                 names->end());
    return names;
}

std::optional<core::BlockMarker> read_marker(const std::string& workspace) {
    auto marker = read_document(block_marker_path(workspace), core::read_block_marker);
    return marker ? std::move(*marker) : std::nullopt;
}

Result<void> keep_task(const Paths& paths, const core::Task& task) {
    const std::string id(core::trimmed(task.id));
    if (auto made = make_directories(paths.runs_of(id)); !made) {
        return made;
    }
    return write_file_durably(paths.task_file(id), core::canonical_json(core::write_task(task)));
}

Result<core::Task> read_kept_task(const Paths& paths, const std::string& task_id) {
    auto task = read_document(paths.task_file(task_id), core::read_task);
    if (!task) {
        return task.error();
    }
    if (!*task) {
        return Error{fmt::format("{}: there is no such file", paths.task_file(task_id))};
    }
    return std::move(**task);
}

Result<void> make_run_directory(const Paths& paths, const core::RunSpec& spec) {
    const std::string directory = paths.run(spec.task_id, spec.run);
    if (auto made = make_directories(directory); !made) {
        return made;
    }
    return write_file_durably(directory + "/spec.json", core::run_spec_text(spec));
}

Result<void> settle_runs(const Paths& paths, const std::string& task_id, std::uint32_t number) {
    if (number == 0 || !is_directory(paths.runs_of(task_id))) {
        return {};
    }
    return write_file_durably(paths.settled(task_id), fmt::format("{}\n", number));
}

core::Outcome newest_preparation(const Paths& paths, const std::string& task_id) {
    const auto runs = runs_of(paths, task_id);
    if (!runs) {
        return {};
    }
    for (auto name = runs->rbegin(); name != runs->rend(); ++name) {
        if (name->step == core::StepKind::prepare) {
            const std::string directory = paths.run(task_id, core::Run{name->step, name->number, 1});
            auto outcome = read_document(directory + "/outcome.json", core::read_outcome);
            if (outcome && *outcome && !(*outcome)->base_sha.empty()) {
                return std::move(**outcome);
            }
        }
    }
    return {};
}

std::string newest_base_sha(const Paths& paths, const std::string& task_id) {
    return newest_preparation(paths, task_id).base_sha;
}

}  // namespace ralph::daemon
