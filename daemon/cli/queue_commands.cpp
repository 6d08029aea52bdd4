// queue list, queue validate, notify.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/supervisor_lock.h"

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

bool is_wanted(const core::Task& task, const QueueListArguments& arguments) {
    const auto has = [](const std::vector<std::string>& items, std::string_view item) {
        return std::find(items.begin(), items.end(), item) != items.end();
    };
    return (arguments.statuses.empty() || has(arguments.statuses, to_string(task.status))) &&
           (arguments.tags.empty() ||
            std::any_of(task.tags.begin(), task.tags.end(),
                        [&](const std::string& tag) { return has(arguments.tags, tag); }));
}

}  // namespace

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

int list_queue(const CommonArguments& common, const QueueListArguments& arguments) {
    const auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    std::vector<const core::Task*> tasks;
    const auto take = [&](const core::TaskFile& file) {
        for (const core::Task& task : file.tasks) {
            if (is_wanted(task, arguments) && (arguments.limit == 0 || tasks.size() < arguments.limit)) {
                tasks.push_back(&task);
            }
        }
    };
    take(queue->snapshot.queue);
    if (arguments.include_done) {
        take(queue->snapshot.done);
    }
    if (arguments.json || arguments.format == "json") {
        boost::json::array listed;
        for (const core::Task* const task : tasks) {
            listed.push_back(core::write_task(*task));
        }
        if (!arguments.json) {
            return print(core::canonical_json(listed) + "\n");
        }
        boost::json::object document;
        document["version"] = 1;
        document["tasks"] = std::move(listed);
        return print(core::canonical_json(document) + "\n");
    }
    if (tasks.empty()) {
        return print(queue->snapshot.queue.tasks.empty() ? "the queue is empty\n"
                                                         : "there is no such task\n");
    }
    std::vector<std::vector<std::string>> rows{{"ID", "STATUS", "PRIORITY", "TITLE", "DEPENDS ON"}};
    for (const core::Task* const task : tasks) {
        rows.push_back({task->id, std::string(to_string(task->status)),
                        std::string(to_string(task->priority)), task->title, joined(task->depends_on)});
    }
    return print(text_table(rows));
}

int validate_queue_files(const CommonArguments& common) {
    const auto queue = open_queue(common);
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

}  // namespace ralph::daemon
