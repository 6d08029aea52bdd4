// task add, queue list, queue validate, queue stop.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/git/checkout.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/workspace/known_ids.h"

namespace ralph::daemon {
namespace {

// Of what is told about each task: a queue may have thousands, each with a text of any length.
constexpr std::size_t longest_line = 1'000;

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) {
        text += text.empty() ? item : ", " + item;
    }
    return text;
}

struct Addition {
    std::string id;
    core::TaskFile queue;  // with the new task
};

// Reads, adds and validates; writes nothing.
Result<Addition> with_new_task(const Settings& settings, const TaskAddArguments& arguments) {
    TRY_ASSIGN(auto loaded, open_queue(settings));
    core::TaskFile queue = std::move(loaded.snapshot.queue);
    TRY_ASSIGN(const auto taken, known_task_ids(settings));
    TRY_ASSIGN(auto id, core::next_task_id(queue, loaded.snapshot.done, settings.queue_rules(), taken));
    core::Task task = core::make_task(id, arguments.title, wall_clock());
    task.priority = core::parse_task_priority(arguments.priority).value_or(core::TaskPriority::medium);
    task.depends_on = arguments.depends_on;
    if (!arguments.description.empty()) {
        task.description = arguments.description;
    }
    if (!arguments.run.empty()) {
        task.custom_fields.emplace_back("run", arguments.run);
    }
    queue.tasks.push_back(std::move(task));
    TRY(core::validate_queue(queue, loaded.snapshot.done, settings.queue_rules()));
    return Addition{std::move(id), std::move(queue)};
}

// Those of ours who add at the same time wait for each other; the Rust tools' lock, which cannot be waited
// for, comes second.
Result<std::string> add_under_locks(const Settings& settings, const TaskAddArguments& arguments) {
    TRY(FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    TRY(QueueLock::acquire_shared(settings.paths, core::format_rfc3339(wall_clock())));
    TRY_ASSIGN(auto addition, with_new_task(settings, arguments));
    if (auto saved = rewrite_file_durably(settings.queue_file, core::task_file_text(addition.queue),
                                          settings.paths.root);
        !saved) {
        return saved.error();
    }
    return std::move(addition.id);
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
    if (auto possible = with_new_task(*settings, arguments); !possible) {
        return report_error(possible.error());
    }
    if (auto made = make_directories(settings->paths.parallel()); !made) {
        return report_error(made.error());
    }
    const auto id = add_under_locks(*settings, arguments);
    if (!id) {
        return report_error(id.error());
    }
    return print(*id + "\n");  // after the locks: whoever reads this may be gone, and we with it
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
    static_cast<void>(
        std::fprintf(stderr, "%s\n",
                     owner && now ? "stop requested: what runs is ended"
                     : owner      ? "stop requested: no new task starts, what runs is finished"
                             : "stop requested, but no supervisor runs here; the next one will not see it"));
    return 0;
}

}  // namespace ralph::daemon
