// task add --from, queue import and queue export: many tasks at once.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <map>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/queue_change.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/workspace/known_ids.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t largest_input = std::size_t{16} << 20U;
constexpr std::size_t most_tasks = 10'000;

Result<std::string> read_standard_input() {
    std::string text;
    std::vector<char> buffer(std::size_t{64} << 10U);
    while (true) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0) {
            return system_error("read", "standard input", errno);
        }
        if (got == 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > largest_input) {
            return Error{fmt::format("standard input: is larger than {} MiB", largest_input >> 20U),
                         "send less at once"};
        }
    }
}

Result<std::string> read_input(const std::string& path) {
    if (path == "-") {
        return read_standard_input();
    }
    TRY_ASSIGN(auto text, read_file(path, largest_input));
    if (!text) {
        return Error{path + ": does not exist", "name a file, or - for standard input"};
    }
    return std::move(*text);
}

// A document as `ralph queue export` writes it, or a title on each line.
Result<std::vector<core::Task>> parse_tasks(std::string text, const std::string& place) {
    std::vector<core::Task> tasks;
    if (core::trimmed(text).starts_with('{')) {
        TRY_ASSIGN(const auto document, core::JsonDocument::parse(std::move(text), place));
        TRY_ASSIGN(auto file, core::read_task_file(document));
        tasks = std::move(file.tasks);
    } else {
        std::string_view rest = text;
        while (!rest.empty()) {
            const std::size_t end = rest.find('\n');
            const std::string_view title = core::trimmed(rest.substr(0, end));
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            if (!title.empty()) {
                tasks.push_back(core::make_task("", title, wall_clock()));
            }
        }
    }
    std::erase_if(tasks, [](const core::Task& task) { return core::is_terminal(task.status); });
    if (tasks.empty() || tasks.size() > most_tasks) {
        return Error{fmt::format("{}: holds {} tasks", place, tasks.empty() ? "no open" : "too many"),
                     "one title a line, or what `ralph queue export` prints"};
    }
    return tasks;
}

// They get ids of this repository, and go on naming each other.
void rename(std::vector<core::Task>& tasks, const std::vector<std::string>& ids) {
    std::map<std::string, std::string, std::less<>> renamed;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        renamed[std::string(core::trimmed(tasks[i].id))] = ids[i];
    }
    const auto rename_one = [&](std::string& id) {
        if (const auto found = renamed.find(core::trimmed(id)); found != renamed.end()) {
            id = found->second;
        }
    };
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        tasks[i].id = ids[i];
        for (auto* const list : {&tasks[i].depends_on, &tasks[i].blocks, &tasks[i].relates_to}) {
            std::for_each(list->begin(), list->end(), rename_one);
        }
        for (auto* const one : {&tasks[i].duplicates, &tasks[i].parent_id}) {
            if (*one) {
                rename_one(**one);
            }
        }
    }
}

std::string quoted_for_csv(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        out += c == '"' ? "\"\"" : std::string(1, c);
    }
    return out + "\"";
}

std::string csv_of(const std::vector<core::Task>& tasks) {
    std::string text =
        "id,title,status,priority,tags,depends_on,description,created_at,updated_at,completed_at\n";
    for (const core::Task& task : tasks) {
        const std::vector<std::string> cells{task.id,
                                             task.title,
                                             std::string(to_string(task.status)),
                                             std::string(to_string(task.priority)),
                                             fmt::format("{}", fmt::join(task.tags, ",")),
                                             fmt::format("{}", fmt::join(task.depends_on, ",")),
                                             task.description.value_or(""),
                                             task.created_at.value_or(""),
                                             task.updated_at.value_or(""),
                                             task.completed_at.value_or("")};
        std::string line;
        for (const std::string& cell : cells) {
            line += (line.empty() ? "" : ",") + quoted_for_csv(cell);
        }
        text += line + "\n";
    }
    return text;
}

}  // namespace

int add_tasks_from(const CommonArguments& common, const std::string& path, bool no_push) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    auto text = read_input(path);
    const auto tasks = text ? parse_tasks(std::move(*text), path == "-" ? "standard input" : path)
                            : Result<std::vector<core::Task>>{text.error()};
    if (!tasks) {
        return report_error(tasks.error());
    }
    std::vector<std::string> ids;
    QueueEditRequest change;
    change.subject = fmt::format("ralph: add {} {}", tasks->size(), tasks->size() == 1 ? "task" : "tasks");
    change.no_push = no_push;
    change.edit = [&](core::TaskFile& queue, core::TaskFile& done) -> Result<void> {
        TRY_ASSIGN(const auto taken, known_task_ids(*settings));
        TRY_ASSIGN(ids, core::next_task_ids(queue, done, settings->queue_rules(), tasks->size(), taken));
        auto added = *tasks;
        rename(added, ids);
        queue.tasks.insert(queue.tasks.end(), added.begin(), added.end());
        return {};
    };
    const auto end = change_queue(*settings, change);
    if (!end) {
        return report_error(end.error());
    }
    tell_place(*settings, fmt::format("{} to {}", ids.front(), ids.back()), *end);
    return print(fmt::format("{}\n", fmt::join(ids, "\n")));
}

int export_queue(const CommonArguments& common, const std::string& format, bool include_done) {
    auto queue = open_queue(common);
    if (!queue) {
        return report_error(queue.error());
    }
    core::TaskFile file = std::move(queue->snapshot.queue);
    if (include_done) {
        const auto& done = queue->snapshot.done.tasks;
        file.tasks.insert(file.tasks.end(), done.begin(), done.end());
    }
    return format == "csv" ? print(csv_of(file.tasks)) : print(core::task_file_text(file) + "\n");
}

}  // namespace ralph::daemon
