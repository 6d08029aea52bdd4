#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "core/base/shown_text.h"
#include "core/base/time.h"
#include "daemon/log/field_sink.h"
#include "daemon/os/clock.h"

namespace ralph::daemon {

std::string json_log_line(spdlog::level::level_enum level, const LogFields& fields, std::string_view text,
                          std::string_view time) {
    const auto name = spdlog::level::to_string_view(level);
    boost::json::object line;
    line["version"] = 1;
    line["time"] = time;
    line["level"] = std::string_view(name.data(), name.size());
    line["message"] = text;
    if (!fields.task_id.empty()) {
        line["task_id"] = fields.task_id;
    }
    if (!fields.lifecycle.empty()) {
        line["lifecycle"] = fields.lifecycle;
    }
    if (!fields.step.empty()) {
        line["step"] = fields.step;
    }
    for (const auto& [key, number] : {std::pair{"attempt", fields.attempt},
                                      {"exit_status", fields.exit_status},
                                      {"exit_signal", fields.exit_signal}}) {
        if (number) {
            line[key] = *number;
        }
    }
    return core::terminal_text(boost::json::serialize(line)) + "\n";
}

void JsonSink::send(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) {
    const std::string line = json_log_line(level, fields, text, core::format_rfc3339(wall_clock()));
    // Whether anybody reads it is the reader's business; nothing here depends on it.
    static_cast<void>(::write(STDERR_FILENO, line.data(), line.size()));
}

}  // namespace ralph::daemon
