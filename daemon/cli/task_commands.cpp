// task add, show, edit, done, reject, remove and move: changes of the queue. Where the target branch holds
// the queue, a change goes there at once, by a commit of its own, so that nobody has to commit, pull and push
// for it.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/git/checkout.h"
#include "daemon/git/git.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/live_view.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/workspace/known_ids.h"
#include "daemon/workspace/queue_push.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t longest_subject = 60;  // of a title in a commit's subject

// Done on the target's files or on those here, whichever counts; again if somebody else was faster.
using Edit = std::function<Result<void>(core::TaskFile& queue, core::TaskFile& done)>;

struct Change {
    std::string subject;  // of the commit
    bool no_push = false;
    Edit edit;
};

struct ChangeEnd {
    std::string branch;
    QueuePushEnd push;
};

Result<void> change_files(const Settings& settings, const Change& change, bool writes) {
    TRY_ASSIGN(auto loaded, open_queue(settings));
    core::QueueSnapshot& files = loaded.snapshot;
    const std::string done_before = core::task_file_text(files.done);
    TRY(change.edit(files.queue, files.done));
    TRY(core::validate_queue(files.queue, files.done, settings.queue_rules()));
    if (!writes) {
        return {};
    }
    if (const std::string done = core::task_file_text(files.done); done != done_before) {
        TRY(rewrite_file_durably(settings.done_file, done, settings.paths.root));
    }
    return rewrite_file_durably(settings.queue_file, core::task_file_text(files.queue), settings.paths.root);
}

Result<ChangeEnd> push_change(const Settings& settings, const Change& change, const FileLock& lock) {
    ChangeEnd end;
    TRY_ASSIGN(auto branch, Git(settings.paths.root).current_branch());
    if (change.no_push || !branch) {
        return end;
    }
    end.branch = *branch;
    std::string only_here;  // why the target cannot be changed so; it is changed here alone then
    QueueChange push{*branch, change.subject, [&](Bookkeeping& target) -> Result<void> {
                         const Bookkeeping before = target;
                         auto edited = change.edit(target.queue, target.done);
                         auto valid =
                             edited ? core::validate_queue(target.queue, target.done, settings.queue_rules())
                                    : Result<std::vector<std::string>>{edited.error()};
                         if (!valid) {
                             only_here = valid.error().message;
                             target = before;
                         }
                         return {};
                     }};
    TRY_ASSIGN(end.push, push_queue_change(settings, lock, push));
    if (!only_here.empty()) {
        end.push = {false, only_here};
    }
    return end;
}

// Those of ours who change the queue at the same time wait for each other; the Rust tools' lock, which cannot
// be waited for, comes second.
Result<ChangeEnd> change_under_locks(const Settings& settings, const Change& change) {
    TRY_ASSIGN(auto lock, FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    TRY_ASSIGN(auto end, push_change(settings, change, *lock));
    if (!end.push.pushed) {
        TRY_ASSIGN(const auto shared,
                   QueueLock::acquire_shared(settings.paths, core::format_rfc3339(wall_clock())));
        TRY(change_files(settings, change, true));
    }
    return end;
}

// Says what is to be said of where the change is now.
void tell_place(const Settings& settings, const std::string& what, const ChangeEnd& end) {
    if (end.push.pushed) {
        const CheckoutEnd forward = bring_checkout_forward(settings, end.branch);
        if (!forward.note.empty()) {
            say(fmt::format("{} is on origin/{}, and not yet in this checkout: {}", what, end.branch,
                            forward.note));
        }
    } else if (!end.push.why_not.empty()) {
        say(fmt::format(
            "{} waits until origin/{} holds it: {}; once that is possible: git add {} && git commit -m "
            "\"Change the queue\" && git pull --rebase && git push",
            what, end.branch, end.push.why_not, settings.queue_relative));
    }
}

// Returns an error without having changed anything, not even a lock file, where the change is not possible
// here.
Result<ChangeEnd> change_queue(const Settings& settings, const Change& change) {
    // What is added to half a checkout would be the user's change there, and keep it from being fixed.
    if (const CheckoutEnd fixed = fix_checkout(settings, FileLock::Wait::yes); !fixed.note.empty()) {
        say(fixed.note);
    }
    TRY(change_files(settings, change, false));
    TRY(make_directories(settings.paths.parallel()));
    return change_under_locks(settings, change);
}

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

Result<core::Task*> find_open(core::TaskFile& queue, const std::string& task_id) {
    core::Task* const task = queue.find(core::trimmed(task_id));
    return task != nullptr ? Result<core::Task*>{task}
                           : Error{fmt::format("there is no open task {}", core::printable(task_id)),
                                   "see `ralph queue list`"};
}

// What is worked on would land all the same, so it is not taken from under its worker.
Result<void> check_not_at_work(const Settings& settings, const std::string& task_id) {
    if (!living_supervisor(settings.paths)) {
        return {};
    }
    const auto view = read_live_view(settings.paths);
    for (const core::Explanation& each : view ? view->open : std::vector<core::Explanation>{}) {
        if (each.task_id == task_id &&
            (each.place == core::Place::runs || each.place == core::Place::lands)) {
            return Error{fmt::format("{} is being worked on: {}", task_id, each.reason),
                         "wait for its end, or end what runs with `ralph run parallel stop --now`"};
        }
    }
    return {};
}

int change_task(const CommonArguments& common, const std::string& task_id, const std::string& verb,
                bool no_push, const Edit& edit) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (const auto free = check_not_at_work(*settings, task_id); !free) {
        return report_error(free.error());
    }
    const auto end =
        change_queue(*settings, {fmt::format("ralph: {} {}", verb, core::printable(task_id)), no_push, edit});
    if (!end) {
        return report_error(end.error());
    }
    tell_place(*settings, fmt::format("the change of {}", task_id), *end);
    return 0;
}

}  // namespace

int add_task(const CommonArguments& common, const TaskAddArguments& arguments) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::string id;
    Change change;
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
