#include "daemon/supervisor/live_table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/base/shown_text.h"

namespace ralph::daemon {
namespace {

struct Style {
    std::string_view colour;
    std::string_view word;
};

Style style_of(core::Lifecycle lifecycle) {
    switch (lifecycle) {
        case core::Lifecycle::running:
            return {"\x1b[36m", "running"};
        case core::Lifecycle::integrating:
            return {"\x1b[35m", "integrating"};
        case core::Lifecycle::completed:
            return {"\x1b[32m", "completed"};
        case core::Lifecycle::failed:
            return {"\x1b[31m", "failed"};
        case core::Lifecycle::blocked_push:
            return {"\x1b[33m", "blocked"};
    }
    return {};
}

// At most `columns` characters; continuation bytes of UTF-8 take no column.
std::string cut(std::string_view text, std::size_t columns) {
    std::string out;
    std::size_t used = 0;
    for (const char c : text) {
        const bool starts = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        if (starts && ++used > columns) {
            break;
        }
        out += c;
    }
    return out;
}

std::string step_text(const core::Supervisor& supervisor, const core::WorkerRecord& record) {
    for (const core::ActiveTask& task : supervisor.active) {
        if (task.task_id == record.task_id) {
            const bool waits = task.phase == core::Phase::ready;
            return fmt::format(
                "{}{}, attempt {}", waits ? "waits to " : "", core::to_string(task.run.step),
                task.run.step == core::StepKind::integrate ? task.counts.integrations + 1 : task.run.attempt);
        }
    }
    return record.last_error.value_or("");
}

std::string title_of(const core::Supervisor& supervisor, const std::string& task_id) {
    if (supervisor.queue) {
        for (const core::TaskFile* file : {&supervisor.queue->queue, &supervisor.queue->done}) {
            if (const core::Task* task = file->find(task_id)) {
                return task->title;
            }
        }
    }
    return {};
}

void write_terminal(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        if (written <= 0) {
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

std::vector<std::string> table_lines(const core::Supervisor& supervisor, std::size_t width,
                                     std::size_t height) {
    const core::ParallelState& state = supervisor.state;
    std::vector<std::string> lines;
    lines.push_back(
        cut(fmt::format("-- {} running, {} integrating, {} completed, {} failed, {} blocked",
                        state.count(core::Lifecycle::running), state.count(core::Lifecycle::integrating),
                        state.count(core::Lifecycle::completed), state.count(core::Lifecycle::failed),
                        state.blocked_count()),
            width));
    // What is under way is more interesting than what is over, and the latest more than the earliest.
    std::vector<const core::WorkerRecord*> rows;
    for (const core::WorkerRecord& record : state.workers) {
        rows.push_back(&record);
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const core::WorkerRecord* left, const core::WorkerRecord* right) {
                         return left->is_terminal() && !right->is_terminal();
                     });
    const std::size_t room = std::max<std::size_t>(height, 2) - 1;
    const std::size_t skipped = rows.size() > room ? rows.size() - room : 0;
    for (std::size_t i = skipped; i < rows.size(); ++i) {
        const Style style = style_of(rows[i]->lifecycle);
        const std::string plain = cut(fmt::format("{:<10} {:<11} {:<28} {}", rows[i]->task_id, style.word,
                                                  core::shortened(title_of(supervisor, rows[i]->task_id), 28),
                                                  core::shortened(step_text(supervisor, *rows[i]), width)),
                                      width);
        lines.push_back(fmt::format("{}{}\x1b[0m", style.colour, plain));
    }
    return lines;
}

void LiveTable::show(const core::Supervisor& supervisor) {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        size.ws_col = 80;
        size.ws_row = 24;
    }
    const std::size_t height = size.ws_row > 8U ? size.ws_row - 4U : 4U;
    auto lines = table_lines(supervisor, size.ws_col - 1U, height);
    const std::lock_guard<std::mutex> guard(mutex_);
    if (closed_ || lines == lines_) {
        return;
    }
    erase();
    lines_ = std::move(lines);
    draw();
}

void LiveTable::close() {
    const std::lock_guard<std::mutex> guard(mutex_);
    erase();
    closed_ = true;
    lines_.clear();
}

void LiveTable::sink_it_(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t formatted;
    formatter_->format(message, formatted);
    erase();
    write_terminal({formatted.data(), formatted.size()});
    draw();
}

void LiveTable::flush_() {}

void LiveTable::erase() {
    if (drawn_ > 0) {
        write_terminal(fmt::format("\x1b[{}F\x1b[0J", drawn_));
        drawn_ = 0;
    }
}

void LiveTable::draw() {
    std::string text;
    for (const std::string& line : lines_) {
        text += line + "\n";
    }
    write_terminal(text);
    drawn_ = lines_.size();
}

}  // namespace ralph::daemon
