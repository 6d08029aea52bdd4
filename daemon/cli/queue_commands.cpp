// queue list, queue validate, queue stop, notify.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_lock.h"
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

int list_queue(const CommonArguments& common, bool json) {
    const auto queue = open_queue(common);
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
