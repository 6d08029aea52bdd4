#include "daemon/supervisor/reporter.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

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
    const std::string text = announcement.detail.empty()
                                 ? verb(announcement)
                                 : fmt::format("{}: {}", verb(announcement), announcement.detail);
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
