// task add, queue list, queue validate, queue stop, notify.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/git/checkout.h"
#include "daemon/git/git.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/workspace/known_ids.h"
#include "daemon/workspace/queue_push.h"

namespace ralph::daemon {
namespace {

// Of what is told about each task: a queue may have thousands, each with a text of any length.
constexpr std::size_t longest_line = 1'000;
constexpr std::size_t longest_subject = 60;  // of a title in a commit's subject

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) {
        text += text.empty() ? item : ", " + item;
    }
    return text;
}

// The task as it is to be, but for its id.
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

// Which of the tasks that it names in --depends-on stands in neither file.
Result<void> check_dependencies(const TaskAddArguments& arguments, const core::TaskFile& queue,
                                const core::TaskFile& done) {
    for (const std::string& id : arguments.depends_on) {
        if (queue.find(core::trimmed(id)) == nullptr && done.find(core::trimmed(id)) == nullptr) {
            return Error{fmt::format("not added: --depends-on {} names no task", core::printable(id)),
                         "see `ralph queue list`"};
        }
    }
    return {};
}

// Puts the new task at the end of the queue, under an id that nothing of the repository bears, and returns
// the id.
Result<std::string> put_new_task(const Settings& settings, const TaskAddArguments& arguments,
                                 core::TaskFile& queue, const core::TaskFile& done) {
    TRY(check_dependencies(arguments, queue, done));
    TRY_ASSIGN(const auto taken, known_task_ids(settings));
    TRY_ASSIGN(auto id, core::next_task_id(queue, done, settings.queue_rules(), taken));
    queue.tasks.push_back(make_new_task(arguments, id));
    TRY(core::validate_queue(queue, done, settings.queue_rules()));
    return id;
}

Result<std::string> put_into_files(const Settings& settings, const TaskAddArguments& arguments, bool writes) {
    TRY_ASSIGN(auto loaded, open_queue(settings));
    core::TaskFile queue = std::move(loaded.snapshot.queue);
    TRY_ASSIGN(auto id, put_new_task(settings, arguments, queue, loaded.snapshot.done));
    if (writes) {
        TRY(rewrite_file_durably(settings.queue_file, core::task_file_text(queue), settings.paths.root));
    }
    return id;
}

struct Addition {
    std::string id;
    std::string branch;
    QueuePushEnd push;
};

// By a commit of its own on the target branch, so that nobody has to commit, pull and push for it.
Result<Addition> push_task(const Settings& settings, const TaskAddArguments& arguments,
                           const FileLock& lock) {
    Addition addition;
    TRY_ASSIGN(auto branch, Git(settings.paths.root).current_branch());
    if (arguments.no_push || !branch) {
        return addition;
    }
    addition.branch = *branch;
    QueueChange change;
    change.branch = *branch;
    change.subject = "ralph: add " + core::shortened(core::printable(arguments.title), longest_subject);
    std::string only_here;
    change.edit = [&](Bookkeeping& target) -> Result<void> {
        if (auto known = check_dependencies(arguments, target.queue, target.done); !known) {
            only_here = "it depends on a task that is not there";
            return {};  // nothing is changed, and it is added here alone
        }
        TRY_ASSIGN(addition.id, put_new_task(settings, arguments, target.queue, target.done));
        return {};
    };
    TRY_ASSIGN(addition.push, push_queue_change(settings, lock, change));
    if (!only_here.empty()) {
        addition.push = {false, true, only_here};
    }
    return addition;
}

// Those of ours who add at the same time wait for each other; the Rust tools' lock, which cannot be waited
// for, comes second.
Result<Addition> add_under_locks(const Settings& settings, const TaskAddArguments& arguments) {
    TRY_ASSIGN(auto lock, FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    TRY_ASSIGN(auto addition, push_task(settings, arguments, *lock));
    if (!addition.push.pushed) {
        TRY(QueueLock::acquire_shared(settings.paths, core::format_rfc3339(wall_clock())));
        TRY_ASSIGN(addition.id, put_into_files(settings, arguments, true));
    }
    return addition;
}

// A checkout that cannot follow now does so later; the task is where it counts.
void bring_here(const Settings& settings, const Addition& addition) {
    const CheckoutEnd end = bring_checkout_forward(settings, addition.branch);
    if (end.note.empty()) {
        return;
    }
    say(fmt::format("{} is on origin/{}, and not yet in this checkout: {}", addition.id, addition.branch,
                    end.note));
}

}  // namespace

int add_task(const CommonArguments& common, const TaskAddArguments& arguments) {
    auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    // What is added to half a checkout would be the user's change there, and keep it from being fixed.
    if (const CheckoutEnd fixed = fix_checkout(*settings, FileLock::Wait::yes); !fixed.note.empty()) {
        say(fixed.note);
    }
    // Once without the locks: what cannot be added changes nothing, not even a lock file.
    if (auto possible = put_into_files(*settings, arguments, false); !possible) {
        return report_error(possible.error());
    }
    if (auto made = make_directories(settings->paths.parallel()); !made) {
        return report_error(made.error());
    }
    const auto added = add_under_locks(*settings, arguments);
    if (!added) {
        return report_error(added.error());
    }
    if (added->push.pushed) {
        bring_here(*settings, *added);
    } else if (!added->push.why_not.empty()) {
        say(fmt::format(
            "{} waits until origin/{} holds it: {}; once that is possible: git add {} && git commit -m "
            "\"Add {}\" && git pull --rebase && git push",
            added->id, added->branch, added->push.why_not, settings->queue_relative, added->id));
    }
    return print(added->id + "\n");  // after the locks: whoever reads this may be gone, and we with it
}

int notify(const CommonArguments& common) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (!living_supervisor(settings->paths)) {
        return report_error(
            Error{"no supervisor runs here", "start one with `ralph run --parallel --continuous`"});
    }
    if (auto asked = write_file_durably(settings->paths.look_request(), ""); !asked) {
        return report_error(asked.error());
    }
    return print("the supervisor looks at the remote now\n");
}

int list_queue(const CommonArguments& common, bool json) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto queue = open_queue(*settings);
    if (!queue) {
        return report_error(queue.error());
    }
    if (json) {
        boost::json::array tasks;
        for (const core::Task& task : queue->snapshot.queue.tasks) {
            tasks.push_back(core::write_task(task));
        }
        boost::json::object document;
        document["version"] = 1;
        document["tasks"] = std::move(tasks);
        return print(core::canonical_json(document) + "\n");
    }
    if (queue->snapshot.queue.tasks.empty()) {
        return print("the queue is empty\n");
    }
    std::vector<std::vector<std::string>> rows{{"ID", "STATUS", "PRIORITY", "TITLE", "DEPENDS ON"}};
    for (const core::Task& task : queue->snapshot.queue.tasks) {
        rows.push_back({task.id, std::string(to_string(task.status)), std::string(to_string(task.priority)),
                        task.title, joined(task.depends_on)});
    }
    return print(text_table(rows));
}

int validate_queue_files(const CommonArguments& common) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto queue = open_queue(*settings);
    if (!queue) {
        return report_error(queue.error());
    }
    std::string text;
    for (const std::string& warning : queue->warnings) {
        text += "warning: " + core::shortened(warning, longest_line) + "\n";
    }
    return print(text + fmt::format("the queue is valid: {} open, {} done\n",
                                    queue->snapshot.queue.tasks.size(), queue->snapshot.done.tasks.size()));
}

int request_stop(const CommonArguments& common, bool now) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (auto made = make_directories(settings->paths.cache()); !made) {
        return report_error(made.error());
    }
    const std::string text = "stop requested at " + core::format_rfc3339(wall_clock());
    auto written =
        write_file_durably(settings->paths.stop_file(), now ? fmt::format("{}: {}", stop_now, text) : text);
    if (!written) {
        return report_error(written.error());
    }
    const auto owner = living_supervisor(settings->paths);
    const auto other = owner ? std::nullopt : living_lock_owner(settings->paths);
    const std::string said =
        owner && now ? "stop requested: what runs is ended"
        : owner      ? "stop requested: no new task starts, what runs is finished"
        : other      ? fmt::format(
                           "stop requested: no supervisor of this ralph runs here, but process {} ({}) holds the "
                                "queue; if it is another tool's loop, it ends after its task",
                           other->pid, core::printable(other->label))
                : std::string("stop requested, but no supervisor runs here; the next one will not see it");
    static_cast<void>(std::fprintf(stderr, "%s\n", said.c_str()));
    return 0;
}

}  // namespace ralph::daemon
