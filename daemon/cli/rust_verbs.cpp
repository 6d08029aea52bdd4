#include "daemon/cli/rust_verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/selection.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/queue_change.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/settings_snapshot.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/workspace/known_ids.h"

namespace ralph::daemon {
namespace {

// "a, b" is two items.
std::vector<std::string> items_of(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t end = text.find(',');
        if (const std::string_view item = core::trimmed(text.substr(0, end)); !item.empty()) {
            items.emplace_back(item);
        }
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return items;
}

constexpr std::array<std::pair<std::string_view, std::vector<std::string> core::Task::*>, 6> lists{
    {{"tags", &core::Task::tags},
     {"scope", &core::Task::scope},
     {"plan", &core::Task::plan},
     {"notes", &core::Task::notes},
     {"evidence", &core::Task::evidence},
     {"depends_on", &core::Task::depends_on}}};

// `ralph queue explain` looks at each task by itself.
constexpr std::size_t most_explained = 200;

core::Result<void> set_field(core::Task& task, const std::string& field, const std::string& value) {
    if (field == "title") {
        task.title = value;
    } else if (field == "description") {
        task.description = value;
    } else if (field == "request") {
        task.request = value;
    } else if (field == "scheduled_start") {
        task.scheduled_start = value;
    } else if (field == "priority") {
        const auto priority = core::parse_task_priority(value);
        if (!priority) {
            return Error{fmt::format("\"{}\" is no priority", core::printable(value)),
                         "critical, high, medium or low"};
        }
        task.priority = *priority;
    } else if (const auto list = std::find_if(lists.begin(), lists.end(),
                                              [&field](const auto& each) { return each.first == field; });
               list != lists.end()) {
        task.*list->second = items_of(value);
    } else {
        return Error{
            fmt::format("\"{}\" is no field that can be edited", core::printable(field)),
            "title, description, request, priority, scheduled_start, tags, scope, plan, notes, evidence or "
            "depends_on; `ralph task field` sets others"};
    }
    return {};
}

}  // namespace

int show_next(const CommonArguments& common) {
    const auto settings = open_repository(common);
    const auto queue = settings ? open_queue(*settings) : Result<LoadedQueue>{settings.error()};
    if (!queue) {
        return report_error(queue.error());
    }
    std::set<std::string, std::less<>> begun;
    std::set<std::string, std::less<>> landed;
    const auto state = read_state_file(settings->paths.state());
    if (!state) {
        return report_error(state.error());
    }
    for (const core::WorkerRecord& record : *state ? (*state)->workers : std::vector<core::WorkerRecord>{}) {
        (record.lifecycle == core::Lifecycle::completed ? landed : begun).insert(record.task_id);
    }
    const auto selection = core::select_task(core::SelectionInput{queue->snapshot.queue, queue->snapshot.done,
                                                                  begun, landed, false, wall_clock()});
    const auto* const task = std::get_if<const core::Task*>(&selection);
    return print(task == nullptr ? "no task can be started now; see `ralph queue explain`\n"
                                 : fmt::format("{}\n", (*task)->id));
}

int show_next_id(const CommonArguments& common) {
    const auto settings = open_repository(common);
    const auto queue = settings ? open_queue(*settings) : Result<LoadedQueue>{settings.error()};
    if (!queue) {
        return report_error(queue.error());
    }
    const auto taken = known_task_ids(*settings);
    const auto id = taken ? core::next_task_id(queue->snapshot.queue, queue->snapshot.done,
                                               settings->queue_rules(), *taken)
                          : Result<std::string>{taken.error()};
    return id ? print(*id + "\n") : report_error(id.error());
}

int search_queue(const CommonArguments& common, const std::string& text) {
    const auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    const auto lower = [](std::string from) {
        std::transform(from.begin(), from.end(), from.begin(), [](unsigned char c) {
            return c < 0x80U ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
        });
        return from;
    };
    std::vector<std::vector<std::string>> rows;
    for (const core::TaskFile* const file : {&queue->snapshot.queue, &queue->snapshot.done}) {
        for (const core::Task& task : file->tasks) {
            const std::string all = core::canonical_json(core::write_task(task));
            if (lower(all).find(lower(text)) != std::string::npos) {
                rows.push_back({task.id, std::string(to_string(task.status)),
                                std::string(to_string(task.priority)), task.title});
            }
        }
    }
    return print(rows.empty() ? "no task holds that\n" : text_table(rows));
}

int explain_queue(const CommonArguments& common) {
    const auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    const auto& tasks = queue->snapshot.queue.tasks;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < std::min(tasks.size(), most_explained); ++i) {
        ids.emplace_back(core::trimmed(tasks[i].id));
    }
    const auto explanations = find_explanations(common, ids);
    if (!explanations) {
        return report_error(explanations.error());
    }
    std::vector<std::vector<std::string>> rows;
    for (const core::Explanation& each : *explanations) {
        rows.push_back({each.task_id, explanation_line(each, wall_clock())});
    }
    const std::string more =
        tasks.size() <= most_explained
            ? std::string{}
            : fmt::format("and {} more; see `ralph why TASK`\n", tasks.size() - most_explained);
    return print(rows.empty() ? "the queue is empty\n" : text_table(rows) + more);
}

int count_tasks(const CommonArguments& common) {
    const auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    std::map<std::string, std::size_t, std::less<>> counts;
    for (const core::Task& task : queue->snapshot.queue.tasks) {
        ++counts[std::string(to_string(task.status))];
    }
    std::vector<std::vector<std::string>> rows{
        {"archived", fmt::format("{}", queue->snapshot.done.tasks.size())}};
    for (const auto& [status, count] : counts) {
        rows.push_back({status, fmt::format("{}", count)});
    }
    return print(text_table(rows));
}

int unlock_queue(const CommonArguments& common, bool dry_run) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (!path_exists(settings->paths.queue_lock())) {
        return print("the queue is not locked\n");
    }
    if (dry_run) {
        const auto owner = living_lock_owner(settings->paths);
        return owner ? report_error(Error{fmt::format("process {} ({}) lives and holds the queue's lock",
                                                      owner->pid, core::printable(owner->label)),
                                          "end it first"})
                     : print("the lock's owner is gone: it would be removed\n");
    }
    // Clears it as every command does that needs it, and lets it go.
    const auto lock = QueueLock::acquire(settings->paths, "unlock", core::format_rfc3339(wall_clock()), {});
    return lock ? print("the lock is removed\n") : report_error(lock.error());
}

int show_settings(const CommonArguments& common) {
    const auto settings = open_repository(common);
    return settings ? print(core::canonical_json(snapshot_of(*settings)) + "\n")
                    : report_error(settings.error());
}

int show_paths(const CommonArguments& common) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const Paths& paths = settings->paths;
    return print(fmt::format(
        "repo_root: {}\nqueue: {}\ndone: {}\nproject_config: {}\nsupervisor_config: {}\n"
        "trust: {}\nworkspaces: {}\nstate: {}\nlogs: {}\n",
        paths.root, settings->queue_file, settings->done_file, paths.config(), paths.supervisor_config(),
        paths.trust(), settings->workspace_root, paths.state(), paths.logs()));
}

int show_supervisor(const CommonArguments& common) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto owner = living_supervisor(settings->paths);
    return print(owner ? fmt::format("a supervisor runs: pid {} since {}\n", owner->pid, owner->started_at)
                       : "no supervisor runs here\n");
}

int show_system(const std::string& version) {
    boost::json::object document;
    document["version"] = 1;
    document["cli_version"] = version;
    return print(core::canonical_json(document) + "\n");
}

// Where the package puts them, seen from the program, or where the sources have them.
int print_completions(const std::string& shell) {
    const std::string program = real_path("/proc/self/exe");
    const std::string folder = program.substr(0, program.rfind('/'));
    const std::string installed = shell == "bash"  ? "bash-completion/completions/ralph"
                                  : shell == "zsh" ? "zsh/vendor-completions/_ralph"
                                                   : "fish/vendor_completions.d/ralph.fish";
    const std::string source = shell == "zsh" ? "_ralph" : "ralph." + shell;
    for (const std::string& path :
         {folder + "/../share/" + installed, folder + "/../../packaging/completions/" + source}) {
        const auto text = read_file(path);
        if (text && *text) {
            return print_unchanged(**text);
        }
    }
    return report_error(Error{"the completions are not installed beside " + program,
                              "`make install` and the package bring them"});
}

int change_one(const CommonArguments& common, const RustArguments& arguments, const std::string& verb,
               const std::function<Result<void>(core::Task&)>& change) {
    return change_task(common, arguments.task_id, verb, arguments.no_push,
                       [&](core::TaskFile& queue, core::TaskFile&) -> Result<void> {
                           TRY_ASSIGN(core::Task* const task, find_open(queue, arguments.task_id));
                           TRY(change(*task));
                           task->updated_at = core::format_rfc3339(wall_clock());
                           return {};
                       });
}

int set_task_status(const CommonArguments& common, const RustArguments& arguments, const std::string& text) {
    const auto status = core::parse_task_status(text);
    if (!status) {
        return report_error(Error{fmt::format("\"{}\" is no status", core::printable(text)),
                                  "draft, todo, doing, done or rejected"});
    }
    if (core::is_terminal(*status)) {
        return end_task(common, arguments.task_id, *status == core::TaskStatus::rejected, "",
                        arguments.no_push);
    }
    return change_task(common, arguments.task_id, text, arguments.no_push,
                       [&](core::TaskFile& queue, core::TaskFile&) -> Result<void> {
                           TRY(find_open(queue, arguments.task_id));
                           return core::set_status(queue, arguments.task_id, *status, wall_clock());
                       });
}

int relate_tasks(const CommonArguments& common, const RustArguments& arguments) {
    return change_task(common, arguments.task_id, arguments.word, arguments.no_push,
                       [&](core::TaskFile& queue, core::TaskFile&) -> Result<void> {
                           TRY_ASSIGN(core::Task* const task, find_open(queue, arguments.task_id));
                           TRY(find_open(queue, arguments.other_id));
                           if (arguments.word == "duplicates") {
                               task->duplicates = arguments.other_id;
                               return {};
                           }
                           auto& list = arguments.word == "blocks"       ? task->blocks
                                        : arguments.word == "depends_on" ? task->depends_on
                                                                         : task->relates_to;
                           if (std::find(list.begin(), list.end(), arguments.other_id) == list.end()) {
                               list.push_back(arguments.other_id);
                           }
                           return {};
                       });
}

int clone_task(const CommonArguments& common, const RustArguments& arguments) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::string id;
    const int changed = change_task(
        common, "", "clone " + arguments.task_id, arguments.no_push,
        [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
            const core::Task* task = queue.find(core::trimmed(arguments.task_id));
            task = task == nullptr ? done.find(core::trimmed(arguments.task_id)) : task;
            if (task == nullptr) {
                return Error{fmt::format("there is no task {}", core::printable(arguments.task_id)),
                             "see `ralph queue list`"};
            }
            TRY_ASSIGN(const auto taken, known_task_ids(*settings));
            TRY_ASSIGN(id, core::next_task_id(queue, done, settings->queue_rules(), taken));
            core::Task copy = *task;
            const core::Task fresh = core::make_task(id, copy.title, wall_clock());
            copy.id = id;
            copy.status = fresh.status;
            copy.created_at = fresh.created_at;
            copy.updated_at = fresh.updated_at;
            copy.completed_at.reset();
            copy.started_at.reset();
            queue.tasks.push_back(std::move(copy));
            return {};
        });
    return changed == 0 ? print(id + "\n") : changed;
}

int archive_done(const CommonArguments& common, bool no_push) {
    std::size_t archived = 0;
    const int changed = change_task(common, "", "archive", no_push,
                                    [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
                                        archived = core::archive_terminal(queue, done, wall_clock());
                                        return {};
                                    });
    return changed == 0 ? print(fmt::format("{} archived\n", archived)) : changed;
}

int sort_queue(const CommonArguments& common, bool no_push) {
    return change_task(common, "", "sort", no_push,
                       [](core::TaskFile& queue, core::TaskFile&) -> Result<void> {
                           std::stable_sort(queue.tasks.begin(), queue.tasks.end(),
                                            [](const core::Task& left, const core::Task& right) {
                                                return core::comes_before(left.priority, right.priority);
                                            });
                           return {};
                       });
}

// --- how they are called
// ---------------------------------------------------------------------------------------

int edit_field(const CommonArguments& common, const RustArguments& arguments) {
    return change_one(common, arguments, "edit",
                      [&](core::Task& task) { return set_field(task, arguments.word, arguments.value); });
}

}  // namespace ralph::daemon
