// history: what events.jsonl tells.
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "core/base/shown_text.h"
#include "daemon/cli/common.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

constexpr std::size_t largest_history = std::size_t{64} << 20U;

std::string text_of(const json::object& event, std::string_view key) {
    const json::value* const value = event.if_contains(key);
    return value == nullptr     ? std::string{}
           : value->is_string() ? std::string(value->get_string())
           : value->is_number() ? fmt::format("{}", value->to_number<std::int64_t>())
                                : std::string{};
}

// The lines of one file that are whole and of this task; a line that was torn by a kill is passed over.
Result<void> take_lines(const std::string& path, const std::string& task_id,
                        std::vector<std::pair<std::string, json::object>>& out) {
    TRY_ASSIGN(const auto text, read_file(path, largest_history));
    std::string_view rest = text ? std::string_view(*text) : std::string_view{};
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        boost::system::error_code fault;
        const json::value event = json::parse({line.data(), line.size()}, fault);
        if (!fault && event.is_object() &&
            (task_id.empty() || text_of(event.get_object(), "task_id") == task_id)) {
            out.emplace_back(line, event.get_object());
        }
    }
    return {};
}

}  // namespace

int show_history(const CommonArguments& common, const std::string& task_id, bool json) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::vector<std::pair<std::string, json::object>> events;
    for (const std::string& path : {settings->paths.events() + ".1", settings->paths.events()}) {
        if (const auto taken = take_lines(path, task_id, events); !taken) {
            return report_error(taken.error());
        }
    }
    if (json) {
        std::string text;
        for (const auto& [line, event] : events) {
            text += line + "\n";
        }
        return print(text);
    }
    if (events.empty()) {
        return print(task_id.empty() ? "nothing has happened yet\n"
                                     : fmt::format("nothing is known of {}\n", core::printable(task_id)));
    }
    std::vector<std::vector<std::string>> rows{{"TIME", "TASK", "FROM", "TO", "ATTEMPT", "STEP", "WHY"}};
    for (const auto& [line, event] : events) {
        rows.push_back({text_of(event, "time").substr(0, 19), text_of(event, "task_id"),
                        text_of(event, "from"), text_of(event, "to"), text_of(event, "attempt"),
                        text_of(event, "step"), text_of(event, "detail")});
    }
    return print(text_table(rows));
}

}  // namespace ralph::daemon
