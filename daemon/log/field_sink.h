// Logs that keep the fields of a line apart from its text.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <memory>
#include <mutex>
#include <string>

#include "daemon/log/log.h"
#include "daemon/os/file_descriptor.h"

namespace ralph::daemon {

class FieldSink : public spdlog::sinks::base_sink<std::mutex> {
  public:
    void write(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) {
        const std::lock_guard<std::mutex> lock(mutex_);
        send(level, fields, log_line(text));
    }

  protected:
    virtual void send(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) = 0;

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        send(message.level, {}, log_line({message.payload.data(), message.payload.size()}));
    }
    void flush_() override {}
};

// One line of JSON on standard error.
[[nodiscard]] std::string json_log_line(spdlog::level::level_enum level, const LogFields& fields,
                                        std::string_view text, std::string_view time);

class JsonSink : public FieldSink {
    void send(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) override;
};

// An entry in the form of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
[[nodiscard]] std::string journal_entry(spdlog::level::level_enum level, const LogFields& fields,
                                        std::string_view text, std::string_view repository);

// One datagram for each line. libsystemd's own call waits when the journal does not read; the supervisor must
// not: what cannot be sent at once is dropped, and the next line that can be sent is preceded by how many
// were.
class JournalSink : public FieldSink {
  public:
    // `address`: path of the journal's socket.
    JournalSink(std::string address, std::string repository);

    // Null if standard error does not lead to the journal (JOURNAL_STREAM, systemd.exec(5)).
    [[nodiscard]] static std::shared_ptr<JournalSink> of_stderr(const std::string& repository);

  private:
    void send(spdlog::level::level_enum level, const LogFields& fields, std::string_view text) override;
    [[nodiscard]] bool send_entry(const std::string& entry) const;

    std::string address_;
    std::string repository_;
    FileDescriptor socket_;
    unsigned long long dropped_ = 0;
};

}  // namespace ralph::daemon
