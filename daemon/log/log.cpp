#include "daemon/log/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "core/error.h"
#include "daemon/log/field_sink.h"

namespace ralph::daemon {
namespace {

constexpr const char* plain_pattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

// Null for people.
FieldSink* field_sink(const spdlog::logger& logger) {
    const auto& sinks = logger.sinks();
    return sinks.empty() ? nullptr : dynamic_cast<FieldSink*>(sinks.front().get());
}

spdlog::sink_ptr make_sink(LogFormat format, const std::string& repository) {
    switch (format) {
        case LogFormat::automatic:
            if (auto journal = JournalSink::of_stderr(repository)) {
                return journal;
            }
            break;
        case LogFormat::plain:
            break;
        case LogFormat::json:
            return std::make_shared<JsonSink>();
    }
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    const bool for_a_person = format == LogFormat::automatic && ::isatty(STDERR_FILENO) == 1;
    sink->set_pattern(for_a_person ? terminal_log_pattern : plain_pattern);
    return sink;
}

}  // namespace

void set_up_log(const std::string& level, LogFormat format, const std::string& repository) {
    auto logger = std::make_shared<spdlog::logger>("ralph", make_sink(format, repository));
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

bool log_is_for_programs() {
    return field_sink(*spdlog::default_logger_raw()) != nullptr;
}

void log_with(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) {
    spdlog::logger& logger = *spdlog::default_logger_raw();
    if (!logger.should_log(level)) {
        return;
    }
    const std::string printable = core::printable(text);
    if (auto* const sink = field_sink(logger)) {
        sink->write(level, fields, printable);
    } else if (fields.task_id.empty()) {
        logger.log(level, printable);
    } else {
        logger.log(level, "{} {}", fields.task_id, printable);
    }
}

}  // namespace ralph::daemon
