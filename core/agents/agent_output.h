// What an agent writes: facts for the supervisor, lines for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/agents/preset.h"
#include "core/agents/usage.h"

namespace ralph::core {

struct AgentFacts {
    std::string session;
    std::string model;
    std::string version;
    std::string message;  // how it ended, or what went wrong, in the agent's words; at most 2,000 bytes
    std::string said;     // the last that it said to people; the same
    std::string tail;     // the last lines that are no events; at most 4,000 bytes
    std::vector<std::string> denied;
    std::optional<std::uint64_t> resets_at;  // seconds since 1970
    std::uint32_t waits = 0;                 // so often it told that it waits by itself,
    std::uint64_t wait_ms = 0;               // the last time for so long; at most a week
    Usage usage;
    bool answered = false;
    bool ended = false;
    bool failed = false;
    std::optional<Verdict> verdict;  // that an event came to
    bool stops = false;              // at once

    bool operator==(const AgentFacts&) const = default;
};

// Reads a stream in pieces of any size. A line of more than 16 MiB is cut there, and is no event.
class AgentOutput {
  public:
    // `preset` must outlive it.
    explicit AgentOutput(const AgentPreset& preset) : preset_(preset) {}

    // Each returns whole lines for people: on one line each, at most 2,000 characters, nothing that steers a
    // terminal.
    [[nodiscard]] std::string read(std::string_view bytes);
    [[nodiscard]] std::string read_errors(std::string_view bytes);
    [[nodiscard]] std::string finish();  // what has no line end

    [[nodiscard]] const AgentFacts& facts() const { return facts_; }

  private:
    using Line = void (AgentOutput::*)(std::string_view line, std::string& shown);
    std::string take(std::string& buffer, std::string_view bytes, Line line);
    void output_line(std::string_view line, std::string& shown);
    void text_line(std::string_view line, std::string& shown);
    void take_text_line(const std::string& line);

    const AgentPreset& preset_;
    AgentFacts facts_;
    std::string output_;  // a line that has no end yet
    std::string errors_;
    std::string last_turn_;
};

}  // namespace ralph::core
