// The log of `ralph run`: short and coloured on a terminal, plain with the time elsewhere, JSON lines where
// they are asked for, and entries with fields where systemd's journal listens on standard error.
#pragma once

#include <spdlog/common.h>

#include <spdlog/formatter.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ralph::daemon {

// A text as one line of a log: escaped, and cut where nobody reads on.
[[nodiscard]] std::string log_line(std::string_view text);

// Lines of the pattern whose text went through log_line, so that no caller can forget it.
[[nodiscard]] std::unique_ptr<spdlog::formatter> log_formatter(const std::string& pattern);

enum class LogFormat { automatic, plain, json };

// What a line is about, beside its text. Empty: nothing of that kind.
struct LogFields {
    std::string task_id;
    std::string_view lifecycle;  // which the task has now
    std::string_view step;       // whose end is told
    std::optional<std::uint32_t> attempt;
    std::optional<std::uint32_t> exit_status;
    std::optional<std::uint32_t> exit_signal;
};

// Takes the place of spdlog's default logger. `level`: as spdlog names them. `repository` is named in every
// entry of the journal.
void set_up_log(const std::string& level, LogFormat format, const std::string& repository);

// Whether the log that was set up is for programs: what ends a run is then told there, too.
[[nodiscard]] bool log_is_for_programs();

// Where nothing keeps the fields, the text begins with the task.
void log_with(spdlog::level::level_enum level, const LogFields& fields, std::string_view text);

// How log lines begin on a terminal, as spdlog writes patterns.
inline constexpr const char* terminal_log_pattern = "%H:%M:%S %^%-5l%$ %v";

}  // namespace ralph::daemon
