#include "daemon/supervisor/reporter.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "core/queue/queue_validation.h"
#include "daemon/log/log.h"
#include "daemon/os/files.h"
#include "daemon/supervisor/live_table.h"

namespace ralph::daemon {
namespace {

constexpr unsigned long long history_limit = 16ULL << 20;

LogFields fields_of(const core::action::Announce& announcement) {
    LogFields fields;
    fields.task_id = announcement.task_id;
    fields.lifecycle = core::to_string(announcement.to);
    if (announcement.step) {
        fields.step = core::to_string(*announcement.step);
        fields.attempt = announcement.attempt;
    }
    if (announcement.end) {
        const bool exited = announcement.end->kind == core::ExitRecord::Kind::exited;
        (exited ? fields.exit_status : fields.exit_signal) = announcement.end->value;
    }
    return fields;
}

std::string verb(const core::action::Announce& announcement) {
    switch (announcement.to) {
        case core::Lifecycle::running:
            return announcement.from ? "runs again" : "starts";
        case core::Lifecycle::integrating:
            return announcement.from == core::Lifecycle::integrating ? "will try to land again"
                                                                     : "waits to land";
        case core::Lifecycle::completed:
            return "completed";
        case core::Lifecycle::failed:
            return "failed";
        case core::Lifecycle::blocked_push:
            return "is blocked";
    }
    return {};
}

}  // namespace

std::string describe(const core::action::Announce& announcement) {
    return announcement.detail.empty() ? verb(announcement)
                                       : fmt::format("{}: {}", verb(announcement), announcement.detail);
}

std::string describe_end(const core::RunEnd& end) {
    if (const auto* const lost = std::get_if<core::LostRun>(&end)) {
        return "its end is not known: " + lost->reason;
    }
    if (const auto* const not_started = std::get_if<core::StartFailed>(&end)) {
        return "could not be started: " + not_started->reason;
    }
    const auto& record = std::get<core::ExitRecord>(end);
    std::string text = core::describe(record);
    const auto began = core::parse_rfc3339(record.started_at);
    const auto ended = core::parse_rfc3339(record.ended_at);
    if (began && ended && began->instant <= ended->instant) {
        const std::chrono::duration<double> took = ended->instant - began->instant;
        text += fmt::format(" after {:.1f} s", took.count());
    }
    const double cpu =
        static_cast<double>(record.user_cpu_microseconds + record.system_cpu_microseconds) / 1e6;
    return text + fmt::format("; CPU {:.1f} s, {} MiB", cpu, record.peak_memory_kib / 1024);
}

Reporter::Reporter(Paths paths, bool live) : paths_(std::move(paths)) {
    if (live && ::isatty(STDERR_FILENO) == 1) {
        table_ = std::make_shared<LiveTable>();
        table_->set_formatter(log_formatter(terminal_log_pattern));
        spdlog::default_logger()->sinks() = {table_};
    }
}

Reporter::~Reporter() {
    close();
}

std::string Reporter::announce(const core::action::Announce& announcement, core::Instant now) {
    const std::string text = describe(announcement);
    const bool bad =
        announcement.to == core::Lifecycle::failed || announcement.to == core::Lifecycle::blocked_push;
    log_with(bad ? spdlog::level::warn : spdlog::level::info, fields_of(announcement), text);

    boost::json::object line;
    line["version"] = 1;
    line["time"] = core::format_rfc3339(now);
    line["task_id"] = announcement.task_id;
    if (announcement.from) {
        line["from"] = core::to_string(*announcement.from);
    }
    line["to"] = core::to_string(announcement.to);
    line["attempt"] = announcement.attempt;
    line["detail"] = announcement.detail;
    if (announcement.step) {
        line["step"] = core::to_string(*announcement.step);
    }
    if (announcement.end) {
        const bool exited = announcement.end->kind == core::ExitRecord::Kind::exited;
        line[exited ? "exit_status" : "exit_signal"] = announcement.end->value;
        line["step_started_at"] = announcement.end->started_at;
        line["step_ended_at"] = announcement.end->ended_at;
    }
    return boost::json::serialize(line) + "\n";
}

void Reporter::remember(const std::string& line) {
    if (file_size(paths_.events()) > history_limit) {
        static_cast<void>(rename_durably(paths_.events(), paths_.events() + ".1"));
    }
    const auto appended = append_file(paths_.events(), line);
    if (!appended && !history_failed_) {
        spdlog::warn("the history is not complete: {}", appended.error().line());
    }
    history_failed_ = !appended;
}

// What cannot be written to a log is in the history all the same.
void Reporter::write_log(const std::string& task_id, std::string_view text) const {
    if (core::is_safe_task_id(task_id)) {
        static_cast<void>(
            append_file(paths_.log(task_id), fmt::format("==> {} {}\n", task_id, core::printable(text))));
    }
}

void Reporter::note(const core::action::Note& note) {
    log_with(note.warning ? spdlog::level::warn : spdlog::level::info, {note.task_id, {}, {}, {}, {}, {}},
             note.text);
}

void Reporter::show(const core::Supervisor& supervisor) {
    if (table_) {
        table_->show(supervisor);
    }
}

void Reporter::close() {
    if (table_) {
        table_->close();
    }
}

}  // namespace ralph::daemon
