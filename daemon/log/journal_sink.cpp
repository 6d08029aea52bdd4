#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "daemon/log/field_sink.h"

namespace ralph::daemon {
namespace {

constexpr const char* journal_socket = "/run/systemd/journal/socket";
constexpr std::size_t longest_text = 64ULL << 10;  // in bytes; fits into one datagram

// syslog(3)
int priority(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return 7;
        case spdlog::level::warn:
            return 4;
        case spdlog::level::err:
            return 3;
        case spdlog::level::critical:
            return 2;
        case spdlog::level::info:
        case spdlog::level::off:
        case spdlog::level::n_levels:
            break;
    }
    return 6;
}

// A value with a line break is preceded by its length, 64 bits, least byte first.
void add(std::string& entry, std::string_view name, std::string_view value) {
    entry += name;
    if (value.find('\n') == std::string_view::npos) {
        entry += '=';
    } else {
        entry += '\n';
        for (unsigned shift = 0; shift < 64; shift += 8) {
            entry += static_cast<char>((static_cast<std::uint64_t>(value.size()) >> shift) & 0xFFU);
        }
    }
    entry += value;
    entry += '\n';
}

void add(std::string& entry, std::string_view name, std::optional<std::uint32_t> value) {
    if (value) {
        add(entry, name, std::to_string(*value));
    }
}

// "device:inode" of what systemd has connected standard error to.
bool stderr_is_the_journal() {
    struct stat status {};
    const char* const stream = std::getenv("JOURNAL_STREAM");
    return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
           fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

}  // namespace

std::string journal_entry(spdlog::level::level_enum level, const LogFields& fields, std::string_view text,
                          std::string_view repository) {
    text = text.substr(0, longest_text);
    std::string entry;
    add(entry, "MESSAGE",
        fields.task_id.empty() ? std::string(text) : fmt::format("{} {}", fields.task_id, text));
    add(entry, "PRIORITY", std::to_string(priority(level)));
    add(entry, "SYSLOG_IDENTIFIER", "ralph");
    add(entry, "RALPH_REPO", repository);
    if (!fields.task_id.empty()) {
        add(entry, "TASK_ID", fields.task_id);
    }
    if (!fields.lifecycle.empty()) {
        add(entry, "LIFECYCLE", fields.lifecycle);
    }
    if (!fields.step.empty()) {
        add(entry, "STEP", fields.step);
    }
    add(entry, "ATTEMPT", fields.attempt);
    add(entry, "EXIT_STATUS", fields.exit_status);
    add(entry, "EXIT_SIGNAL", fields.exit_signal);
    return entry;
}

JournalSink::JournalSink(std::string address, std::string repository)
    : address_(std::move(address)),
      repository_(std::move(repository)),
      socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

std::shared_ptr<JournalSink> JournalSink::of_stderr(const std::string& repository) {
    return stderr_is_the_journal() ? std::make_shared<JournalSink>(journal_socket, repository) : nullptr;
}

// With the address each time: a journal that is started again may have another socket there.
bool JournalSink::send_entry(const std::string& entry) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    address_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ssize_t sent = 0;
    do {
        sent = ::sendto(socket_.get(), entry.data(), entry.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                        reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

void JournalSink::send(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) {
    if (dropped_ > 0 &&
        send_entry(journal_entry(
            spdlog::level::warn, {},
            fmt::format("{} lines of the log are missing here: the journal did not take them", dropped_),
            repository_))) {
        dropped_ = 0;
    }
    if (dropped_ > 0 || !send_entry(journal_entry(level, fields, text, repository_))) {
        ++dropped_;
    }
}

}  // namespace ralph::daemon
