#include "daemon/cli/queue_change.h"

#include <fmt/format.h>

#include "core/base/shown_text.h"
#include "core/queue/task_codec.h"
#include "daemon/git/checkout.h"
#include "daemon/git/git.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/live_view.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {
namespace {

Result<void> change_files(const Settings& settings, const QueueEditRequest& change, bool writes) {
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

Result<QueueEditEnd> push_change(const Settings& settings, const QueueEditRequest& change,
                                 const FileLock& lock) {
    QueueEditEnd end;
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
Result<QueueEditEnd> change_under_locks(const Settings& settings, const QueueEditRequest& change) {
    TRY_ASSIGN(auto lock, FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    TRY_ASSIGN(auto end, push_change(settings, change, *lock));
    if (!end.push.pushed) {
        TRY_ASSIGN(const auto shared,
                   QueueLock::acquire_shared(settings.paths, core::format_rfc3339(wall_clock())));
        TRY(change_files(settings, change, true));
    }
    return end;
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
                         fmt::format("wait for its end, or end it with `ralph cancel {}`", task_id)};
        }
    }
    return {};
}

}  // namespace

void tell_place(const Settings& settings, const std::string& what, const QueueEditEnd& end) {
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

Result<QueueEditEnd> change_queue(const Settings& settings, const QueueEditRequest& change) {
    // What is added to half a checkout would be the user's change there, and keep it from being fixed.
    if (const CheckoutEnd fixed = fix_checkout(settings, FileLock::Wait::yes); !fixed.note.empty()) {
        say(fixed.note);
    }
    TRY(change_files(settings, change, false));
    TRY(make_directories(settings.paths.parallel()));
    return change_under_locks(settings, change);
}

Result<core::Task*> find_open(core::TaskFile& queue, const std::string& task_id) {
    core::Task* const task = queue.find(core::trimmed(task_id));
    return task != nullptr ? Result<core::Task*>{task}
                           : Error{fmt::format("there is no open task {}", core::printable(task_id)),
                                   "see `ralph queue list`"};
}

int change_task(const CommonArguments& common, const std::string& task_id, const std::string& verb,
                bool no_push, const QueueEdit& edit) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (const auto free = task_id.empty() ? Result<void>{} : check_not_at_work(*settings, task_id); !free) {
        return report_error(free.error());
    }
    const auto end =
        change_queue(*settings, {core::printable(fmt::format("ralph: {} {}", verb, task_id)), no_push, edit});
    if (!end) {
        return report_error(end.error());
    }
    tell_place(*settings, fmt::format("the change of {}", task_id.empty() ? "the queue" : task_id), *end);
    return 0;
}

}  // namespace ralph::daemon
