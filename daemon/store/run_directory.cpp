#include "daemon/store/run_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/check.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task_codec.h"
#include "core/supervisor/accounts.h"
#include "core/supervisor/transition.h"
#include "daemon/os/cgroup.h"
#include "daemon/os/identity.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/ralph_folder.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t record_limit = 1ULL << 20;
constexpr std::size_t spec_limit = 8ULL << 20;   // with the settings
constexpr std::size_t task_limit = 64ULL << 20;  // as long as the queue may be that it comes from
constexpr int sweep_patience_ms = 5'000;
constexpr std::string_view removed_suffix = ".removed";

// A small document that another process wrote. Missing is nothing; unreadable is an error.
template <class T>
Result<std::optional<T>> read_document(const std::string& path, Result<T> (*read)(const core::JsonDocument&),
                                       std::size_t limit = record_limit) {
    TRY_ASSIGN(auto text, read_file(path, limit));
    if (!text) {
        return std::optional<T>{};
    }
    TRY_ASSIGN(auto document, core::JsonDocument::parse(std::move(*text), path));
    TRY_ASSIGN(auto value, read(document));
    return std::optional<T>(std::move(value));
}

Result<std::uint32_t> acknowledged_number(const Paths& paths, const std::string& task_id) {
    const std::string path = paths.acknowledged(task_id);
    TRY_ASSIGN(const auto text, read_file(path, 64));
    std::uint32_t number = 0;
    if (text && std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{}) {
        return Error{fmt::format("{}: is not a number", path), "see `ralph doctor`"};
    }
    return number;
}

Result<std::vector<core::RunName>> runs_of(const Paths& paths, const std::string& task_id) {
    TRY_ASSIGN(const auto names, list_directory(paths.runs_of(task_id)));
    std::vector<core::RunName> runs;
    for (const std::string& name : names) {
        if (const auto run = core::parse_run_directory_name(name)) {
            runs.push_back(*run);
        }
    }
    std::sort(runs.begin(), runs.end(), [](const core::RunName& left, const core::RunName& right) {
        return left.number < right.number;
    });
    return runs;
}

// A run that a crash or a killed shim cut off leaves beginnings of files. Should a shim still come to its
// start, it finds its file gone and gives up.
void clear_partial_writes(const std::string& directory) {
    for (const char* name : {"spec.json.new", "shim.json.new", "worker.json.new", "exit.json.reserved",
                             "exit.json.new", "outcome.json.new", "lane.json.new"}) {
        static_cast<void>(remove_file(directory + "/" + name));
    }
}

// What is left of a run that nothing is known of must be gone before it runs again.
Result<void> end_orphans(const RunView& view) {
    if (!view.spec) {
        return {};
    }
    const std::string& run_id = view.spec->run_id;
    if (!view.cgroup.empty()) {
        TRY(end_orphaned_cgroup(view.cgroup, run_id, sweep_patience_ms));
    }
    if (!view.worker_started) {
        return {};
    }
    const auto ended = end_orphaned_tree(run_id, sweep_patience_ms);
    return ended ? Result<void>{} : Result<void>{ended.error()};
}

bool by_agent(const RunView& view) {
    return view.spec && !view.spec->agent.empty();
}

bool leads_batch(const RunView& view) {
    return view.spec && !view.spec->batch.empty();
}

Result<core::RunHistory::Newest> newest_of(const RunView& view, const Paths& workspace,
                                           OrphanPolicy orphan_policy) {
    core::RunHistory::Newest newest;
    newest.run = view.run;
    newest.slot = view.spec ? view.spec->slot : 0;
    newest.leads_batch = leads_batch(view);
    newest.by_agent = by_agent(view);
    newest.outcome = view.outcome;
    if (!view.shim_alive) {
        TRY_ASSIGN(newest.end, end_of(view, orphan_policy));
        if (view.run.step == core::StepKind::work) {
            TRY_ASSIGN(newest.marker, read_marker(workspace));
        }
    }
    return newest;
}

}  // namespace

Result<std::optional<core::RunSpec>> read_spec(const std::string& directory) {
    return read_document(directory + "/spec.json", core::read_run_spec, spec_limit);
}

Result<RunView> view_run(const std::string& directory, core::Run run) {
    RunView view;
    view.run = run;
    view.directory = directory;
    TRY_ASSIGN(view.exists, is_directory_there(directory));
    // Before the records: a shim writes its exit record first and frees the lock after that.
    TRY_ASSIGN(view.shim_alive, is_locked(directory + "/lock"));
    auto spec = read_spec(directory);
    auto shim = read_document(directory + "/shim.json", core::read_process_record);
    auto worker = read_document(directory + "/worker.json", core::read_process_record);
    auto exit = read_document(directory + "/exit.json", core::read_exit_record);
    auto outcome = read_document(directory + "/outcome.json", core::read_outcome);
    TRY_ASSIGN(view.worker_started, is_there(directory + "/worker.json"));
    // Without these the run would be taken for one that was lost, or for another, or would run again beside
    // what is left of it; the others are written by steps, or matter only while the shim lives.
    if (!spec || !exit) {
        return spec ? exit.error() : spec.error();
    }
    if (!worker && !*exit) {
        return worker.error();
    }
    if (*spec) {
        view.run.attempt = (*spec)->run.attempt;
        view.spec = std::move(*spec);
    }
    view.exit = std::move(*exit);
    if (shim && *shim) {
        view.shim = (*shim)->identity;
    }
    if (worker && *worker) {
        view.worker = (*worker)->identity;
    }
    // The shim says before it makes the cgroup where that will be; from then on the worker's record counts.
    for (auto* const record : {&worker, &shim}) {
        if (*record && **record && (**record)->identity.boot_id == boot_id()) {
            view.cgroup = (**record)->cgroup;
            break;
        }
    }
    if (outcome && *outcome) {
        view.outcome = std::move(**outcome);
    }
    return view;
}

bool was_never_executed(const RunView& view) {
    if (!view.exit || view.exit->exec_error == 0) {
        return false;
    }
    const int error = static_cast<int>(view.exit->exec_error);
    const bool is_our_own = view.spec && view.spec->command.size() == 3 && view.spec->command[1] == "step";
    return is_our_own || error == ETXTBSY || fault_of(error) == core::Fault::passing;
}

Result<core::RunEnd> end_of(const RunView& view, OrphanPolicy orphan_policy) {
    if (was_never_executed(view)) {
        const std::string program = view.spec ? view.spec->command.front() : "the program";
        return core::RunEnd{core::StartFailed{
            system_error("execute", program, static_cast<int>(view.exit->exec_error)).message}};
    }
    if (view.exit) {
        return core::counts_as_lost(view.run.step, *view.exit, leads_batch(view), by_agent(view))
                   ? core::RunEnd{core::LostRun{"it " + describe(*view.exit)}}
                   : core::RunEnd{*view.exit};
    }
    if (!view.exists) {
        return core::RunEnd{core::LostRun{"its run directory was removed"}};
    }
    if (orphan_policy == OrphanPolicy::kill) {
        if (const auto ended = end_orphans(view); !ended) {
            return Error{"its shim is gone without an exit record, and " + ended.error().message};
        }
    }
    clear_partial_writes(view.directory);
    if (!view.worker_started) {
        return core::RunEnd{core::StartFailed{"the start was not finished"}};
    }
    return core::RunEnd{core::LostRun{"its shim is gone without an exit record"}};
}

std::vector<core::RunFacts> TaskRuns::facts() const {
    std::vector<core::RunFacts> facts;
    facts.reserve(views.size());
    for (const RunView& view : views) {
        facts.push_back({view.run.step, view.run.number, view.worker_started, was_never_executed(view),
                         leads_batch(view), view.outcome.target_is_red, view.exit, by_agent(view),
                         !view.outcome.paused_account.empty()});
    }
    return facts;
}

Result<TaskRuns> read_runs(const Paths& paths, const std::string& task_id) {
    const auto names = runs_of(paths, task_id);
    TRY_ASSIGN(const auto acknowledged,
               names ? acknowledged_number(paths, task_id) : Result<std::uint32_t>{names.error()});
    TaskRuns runs;
    runs.acknowledged = acknowledged;
    for (const core::RunName& name : *names) {
        const core::Run run{name.step, name.number, 1};
        TRY_ASSIGN(auto view, view_run(paths.run(task_id, run), run));
        runs.views.push_back(std::move(view));
    }
    return runs;
}

Result<core::RunHistory> read_history(const Paths& paths, const std::string& task_id,
                                      const std::string& workspace, OrphanPolicy orphan_policy) {
    const auto workspace_exists = is_directory_there(workspace);
    const auto runs =
        workspace_exists ? read_runs(paths, task_id) : Result<TaskRuns>{workspace_exists.error()};
    if (!runs) {
        return runs.error();
    }
    core::RunHistory history = core::fold(runs->facts(), runs->acknowledged);
    history.workspace_exists = *workspace_exists;
    // Only for the schedule: a step asks for its account itself.
    if (const auto task = read_kept_task(paths, task_id)) {
        history.runner = core::runner_of(*task);
    }
    if (!runs->views.empty() && runs->views.back().run.number > runs->acknowledged) {
        TRY_ASSIGN(history.newest, newest_of(runs->views.back(), paths.in(workspace), orphan_policy));
    }
    return history;
}

Result<std::optional<RunView>> view_newest_run(const Paths& paths, const std::string& task_id) {
    const auto runs = runs_of(paths, task_id);
    if (!runs || runs->empty()) {
        return runs ? Result<std::optional<RunView>>{std::optional<RunView>{}} : runs.error();
    }
    const core::Run run{runs->back().step, runs->back().number, 1};
    auto view = view_run(paths.run(task_id, run), run);
    return view ? Result<std::optional<RunView>>{std::move(*view)}
                : Result<std::optional<RunView>>{view.error()};
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

Result<void> keep_task(const Paths& paths, const core::Task& task) {
    const std::string id(core::trimmed(task.id));
    TRY(check_ralph_folder(paths));
    TRY(make_directories(paths.runs_of(id)));
    return write_file_durably(paths.task_file(id), core::canonical_json(core::write_task(task)));
}

Result<core::Task> read_kept_task(const Paths& paths, const std::string& task_id) {
    TRY_ASSIGN(auto task, read_document(paths.task_file(task_id), core::read_task, task_limit));
    if (!task) {
        return Error{fmt::format("{}: there is no such file", paths.task_file(task_id))};
    }
    return std::move(*task);
}

Result<void> make_run_directory(const Paths& paths, const core::RunSpec& spec) {
    // A commit that was brought forward meanwhile may have put a link there.
    auto checked = check_ralph_folder(paths);
    checked = checked ? check_no_links_in(paths.runs_of(spec.task_id)) : checked;
    if (!checked) {
        return checked;
    }
    const std::string directory = paths.run(spec.task_id, spec.run);
    TRY(make_directories(directory));
    // A folder that is there may be one whose making was never synced: by a supervisor that died, or because
    // the sync failed.
    for (const std::string& parent : {paths.runs(), paths.runs_of(spec.task_id)}) {
        TRY(sync_directory(parent));
    }
    return write_file_durably(directory + "/spec.json", core::run_spec_text(spec));
}

Result<void> acknowledge_runs(const Paths& paths, const std::string& task_id, std::uint32_t number) {
    TRY_ASSIGN(const auto runs_exist, is_directory_there(paths.runs_of(task_id)));
    if (number == 0 || !runs_exist) {
        return {};
    }
    return write_file_durably(paths.acknowledged(task_id), fmt::format("{}\n", number));
}

Result<void> remove_runs(const Paths& paths, const std::string& task_id) {
    CHECK(core::is_safe_task_id(task_id));
    const std::string aside = "." + task_id + std::string(removed_suffix);
    TRY(remove_tree(paths.runs(), aside));
    auto moved = move(paths.runs_of(task_id), paths.runs() + "/" + aside);
    if (!moved || !*moved) {
        return moved ? Result<void>{} : Result<void>{moved.error()};
    }
    TRY(sync_directory(paths.runs()));
    return remove_tree(paths.runs(), aside);
}

Result<void> finish_removing_runs(const Paths& paths) {
    TRY_ASSIGN(const auto names, list_directory(paths.runs()));
    for (const std::string& name : names) {
        if (name.front() == '.' && name.size() > removed_suffix.size() + 1 &&
            name.ends_with(removed_suffix) &&
            core::is_safe_task_id(name.substr(1, name.size() - removed_suffix.size() - 1))) {
            TRY(remove_tree(paths.runs(), name));
        }
    }
    return {};
}

namespace {

// The outcomes of a task's preparations that came to an end, the newest first, until `visit` says that it has
// seen enough.
template <class Visit>
Result<void> visit_preparations(const Paths& paths, const std::string& task_id, Visit visit) {
    TRY_ASSIGN(const auto runs, runs_of(paths, task_id));
    for (auto name = runs.rbegin(); name != runs.rend(); ++name) {
        if (name->step != core::StepKind::prepare) {
            continue;
        }
        const std::string directory = paths.run(task_id, core::Run{name->step, name->number, 1});
        TRY_ASSIGN(auto outcome, read_document(directory + "/outcome.json", core::read_outcome));
        if (outcome && !outcome->base_sha.empty() && visit(std::move(*outcome))) {
            break;
        }
    }
    return {};
}

}  // namespace

Result<core::Outcome> newest_preparation(const Paths& paths, const std::string& task_id) {
    core::Outcome newest;
    auto visited = visit_preparations(paths, task_id, [&newest](core::Outcome outcome) {
        newest = std::move(outcome);
        return true;
    });
    return visited ? Result<core::Outcome>{std::move(newest)} : visited.error();
}

Result<std::string> beginning_of_work(const Paths& paths, const std::string& task_id) {
    std::string base;
    auto visited = visit_preparations(paths, task_id, [&base](core::Outcome outcome) {
        base = std::move(outcome.base_sha);
        return outcome.kept.empty();  // this one began anew
    });
    return visited ? Result<std::string>{boost::system::in_place_value, std::move(base)} : visited.error();
}

}  // namespace ralph::daemon
