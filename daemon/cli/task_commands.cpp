// task add, show, edit, done, reject, remove and move.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/cli/queue_change.h"
#include "daemon/os/clock.h"
#include "daemon/store/state_store.h"
#include "daemon/workspace/known_ids.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t longest_subject = 60;  // of a title in a commit's subject

core::Task make_new_task(const TaskAddArguments& arguments, const std::string& id) {
    core::Task task = core::make_task(id, arguments.title, wall_clock());
    task.priority = core::parse_task_priority(arguments.priority).value_or(core::TaskPriority::medium);
    task.depends_on = arguments.depends_on;
    if (!arguments.description.empty()) {
        task.description = arguments.description;
    }
    if (!arguments.run.empty()) {
        task.custom_fields.emplace_back("run", arguments.run);
    }
    return task;
}

Result<void> check_dependencies(const std::vector<std::string>& ids, const core::TaskFile& queue,
                                const core::TaskFile& done, std::string_view undone) {
    for (const std::string& id : ids) {
        if (queue.find(core::trimmed(id)) == nullptr && done.find(core::trimmed(id)) == nullptr) {
            return Error{fmt::format("{}: --depends-on {} names no task", undone, core::printable(id)),
                         "see `ralph queue list`"};
        }
    }
    return {};
}

}  // namespace

int add_task(const CommonArguments& common, const TaskAddArguments& arguments) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::string id;
    QueueEditRequest change;
    change.subject = "ralph: add " + core::shortened(core::printable(arguments.title), longest_subject);
    change.no_push = arguments.no_push;
    change.edit = [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
        TRY(check_dependencies(arguments.depends_on, queue, done, "not added"));
        // Under an id that nothing of the repository bears.
        TRY_ASSIGN(const auto taken, known_task_ids(*settings));
        TRY_ASSIGN(id, core::next_task_id(queue, done, settings->queue_rules(), taken));
        queue.tasks.push_back(make_new_task(arguments, id));
        return {};
    };
    const auto end = change_queue(*settings, change);
    if (!end) {
        return report_error(end.error());
    }
    tell_place(*settings, id, *end);
    return print(id + "\n");  // after the locks: whoever reads this may be gone, and we with it
}

int edit_task(const CommonArguments& common, const TaskEditArguments& arguments) {
    return change_task(
        common, arguments.task_id, "edit", arguments.no_push,
        [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
            TRY_ASSIGN(core::Task* const task, find_open(queue, arguments.task_id));
            if (arguments.depends_on) {
                TRY(check_dependencies(*arguments.depends_on, queue, done, "not changed"));
                task->depends_on = *arguments.depends_on;
            }
            task->title = arguments.title.value_or(task->title);
            task->description = arguments.description ? arguments.description : task->description;
            if (arguments.priority) {
                task->priority = core::parse_task_priority(*arguments.priority).value_or(task->priority);
            }
            if (arguments.run) {
                auto& fields = task->custom_fields;
                fields.erase(std::remove_if(fields.begin(), fields.end(),
                                            [](const auto& field) { return field.first == "run"; }),
                             fields.end());
                fields.emplace_back("run", *arguments.run);
            }
            task->updated_at = core::format_rfc3339(wall_clock());
            return {};
        });
}

int end_task(const CommonArguments& common, const std::string& task_id, bool rejected,
             const std::string& note, bool no_push) {
    return change_task(common, task_id, rejected ? "reject" : "done", no_push,
                       [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
                           TRY(find_open(queue, task_id));
                           TRY(core::set_status(
                               queue, task_id, rejected ? core::TaskStatus::rejected : core::TaskStatus::done,
                               wall_clock(), note));
                           core::archive_terminal(queue, done, wall_clock());
                           return {};
                       });
}

int remove_task(const CommonArguments& common, const std::string& task_id, bool no_push) {
    return change_task(
        common, task_id, "remove", no_push,
        [&](core::TaskFile& queue, core::TaskFile& /*done*/) -> Result<void> {
            TRY_ASSIGN(const core::Task* const task, find_open(queue, task_id));
            for (const core::Task& other : queue.tasks) {
                if (std::find(other.depends_on.begin(), other.depends_on.end(), task->id) !=
                    other.depends_on.end()) {
                    return Error{fmt::format("not removed: {} depends on {}", other.id, task->id),
                                 fmt::format("reject it instead (`ralph task reject {}`), or edit {} first",
                                             task->id, other.id)};
                }
            }
            queue.tasks.erase(queue.tasks.begin() + (task - queue.tasks.data()));
            return {};
        });
}

int move_task(const CommonArguments& common, const std::string& task_id, const std::string& before,
              bool no_push) {
    return change_task(common, task_id, "move", no_push,
                       [&](core::TaskFile& queue, core::TaskFile& /*done*/) -> Result<void> {
                           TRY_ASSIGN(const core::Task* const found, find_open(queue, task_id));
                           core::Task task = *found;
                           queue.tasks.erase(queue.tasks.begin() + (found - queue.tasks.data()));
                           auto place = queue.tasks.begin();
                           if (!before.empty()) {
                               TRY_ASSIGN(const core::Task* const next, find_open(queue, before));
                               place += next - queue.tasks.data();
                           }
                           queue.tasks.insert(place, std::move(task));
                           return {};
                       });
}

int start_task_now(const CommonArguments& common, const std::string& task_id, bool no_push) {
    return change_task(common, task_id, "start now", no_push,
                       [&](core::TaskFile& queue, core::TaskFile& /*done*/) -> Result<void> {
                           TRY_ASSIGN(core::Task* const found, find_open(queue, task_id));
                           found->priority = core::TaskPriority::critical;
                           found->scheduled_start.reset();
                           if (found->status == core::TaskStatus::draft) {
                               TRY(core::set_status(queue, task_id, core::TaskStatus::todo, wall_clock()));
                           }
                           const auto place = queue.tasks.begin() + (found - queue.tasks.data());
                           std::rotate(queue.tasks.begin(), place, place + 1);
                           return {};
                       });
}

int print_ids(const CommonArguments& common) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::set<std::string> ids;
    if (const auto queue = open_queue(*settings)) {
        for (const core::Task& task : queue->snapshot.queue.tasks) {
            ids.insert(std::string(core::trimmed(task.id)));
        }
    }
    const auto state = read_state_file(settings->paths.state());
    if (state && *state) {
        for (const core::WorkerRecord& record : (*state)->workers) {
            ids.insert(record.task_id);
        }
    }
    return print(ids.empty() ? std::string{} : fmt::format("{}\n", fmt::join(ids, "\n")));
}

int show_task(const CommonArguments& common, const std::string& task_id) {
    const auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    for (const core::TaskFile* const file : {&queue->snapshot.queue, &queue->snapshot.done}) {
        if (const core::Task* const task = file->find(core::trimmed(task_id))) {
            return print(core::canonical_json(core::write_task(*task)) + "\n");
        }
    }
    return report_error(
        Error{fmt::format("there is no task {}", core::printable(task_id)), "see `ralph queue list`"});
}

}  // namespace ralph::daemon
