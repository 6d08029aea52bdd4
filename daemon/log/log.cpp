#include "daemon/log/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "core/base/shown_text.h"
#include "daemon/log/field_sink.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t longest_line = 4'000;
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
    sink->set_formatter(log_formatter(for_a_person ? terminal_log_pattern : plain_pattern));
    return sink;
}

// Stands for the message in a pattern.
class LineOfText : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
                spdlog::memory_buf_t& out) override {
        const std::string line = log_line({message.payload.data(), message.payload.size()});
        out.append(line.data(), line.data() + line.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<LineOfText>();
    }
};

}  // namespace

std::string log_line(std::string_view text) {
    return core::shortened(text, longest_line);
}

std::unique_ptr<spdlog::formatter> log_formatter(const std::string& pattern) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<LineOfText>('v').set_pattern(pattern);
    return formatter;
}

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
    if (auto* const sink = field_sink(logger)) {
        sink->write(level, fields, text);
    } else if (fields.task_id.empty()) {
        logger.log(level, "{}", text);
    } else {
        logger.log(level, "{} {}", fields.task_id, text);
    }
}

}  // namespace ralph::daemon
