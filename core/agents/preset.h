// What is known of an agent program, as data: how it is started and resumed, and what of its output means
// what. config/agents/*.jsonc holds ours; `agents` in supervisor.jsonc adds others or changes ours.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ralph::core {

// How an attempt of an agent ended.
enum class Verdict {
    ok,
    limited,       // the account's limit is reached
    unauthorized,  // the account is refused: a login or a key is missing or wrong
    context_full,  // the conversation does not fit into the model any more
    passing,       // a fault of the model's server or of the way to it, which may be over in a moment
    denied,        // it was not allowed to use its tools, and changed nothing
    no_result,     // it ended without saying how
    session_lost,  // the session that it should have gone on with is not there
    budget_spent,  // it was ended since the task's budget is spent
    stopped,       // it was ended since the supervisor said so
    failed,
};

[[nodiscard]] std::string_view to_string(Verdict verdict);
[[nodiscard]] std::optional<Verdict> parse_verdict(std::string_view text);

// One event of the output, and what is taken from it. Paths are written "/message/content/*/text", where *
// stands for every item of an array; an empty path takes nothing. All rules that fit an event apply, in
// order.
struct EventRule {
    // Each path must lead to one of these values; "*" stands for any.
    std::map<std::string, std::vector<std::string>> when;
    // And each of these to text in which one of these stands.
    std::map<std::string, std::vector<std::string>> contains;
    std::string session;
    std::string model;
    std::string version;
    std::string say;             // what people read in the log
    std::string tool;            // names of tools that are called,
    std::string tool_input;      // and with what, in the same order
    std::string message;         // how it ended, in the agent's words
    std::string denied;          // names of tools that it was not allowed to use
    std::string resets_at;       // when a limit ends, in seconds since 1970
    std::string retry_after_ms;  // how long it waits by itself from now on
    std::string turn;            // each new value is a turn
    std::string turns;           // these five: numbers
    std::string input_tokens;
    std::string output_tokens;
    std::string cached_tokens;
    std::string cost_usd;
    bool adds = false;               // the numbers are to be added up; else they are the session's until now
    bool answers = false;            // the model has answered, so the account works
    bool ends = false;               // nothing comes after it
    bool fails = false;              // it ended badly, whatever the exit status is
    std::optional<Verdict> verdict;  // that it comes to
    bool stops = false;              // the verdict is known now: the agent is told to end

    bool operator==(const EventRule&) const = default;
};

// What a bad end comes to. The first rule that fits decides.
struct VerdictRule {
    Verdict verdict = Verdict::failed;
    std::vector<std::string> texts;  // one of them is in what it said last; letter case does not matter
    std::vector<std::uint32_t> exit_codes;  // or it exited with one of these

    bool operator==(const VerdictRule&) const = default;
};

// Arguments with placeholders. A group of several is left out if one of its placeholders has no value.
using ArgumentGroups = std::vector<std::vector<std::string>>;

// A line of text that tells what a turn used: each number stands before its word, as in "3.2k sent, 40
// received". Numbers are added up, and each such line is a turn.
struct UsageLine {
    std::string begins;  // with this; empty: there is no such line
    std::string input_tokens;
    std::string output_tokens;
    std::string cached_tokens;
    std::string cost_usd;

    bool operator==(const UsageLine&) const = default;
};

struct AgentPreset {
    enum class Sessions {
        none,    // it cannot go on with a conversation
        chosen,  // the id is chosen before the start
        told,    // it tells the id
        newest,  // it goes on with the newest one of the folder
    };
    enum class Output {
        events,  // each line is a JSON object
        text,
    };

    std::string name;
    std::string account;  // whose limits it shares; empty: its name
    ArgumentGroups first;
    ArgumentGroups again;  // goes on with {session}; empty: as `first`
    Sessions sessions = Sessions::none;
    bool prompt_on_input = false;            // the prompt is on its standard input
    std::map<std::string, std::string> env;  // what is not set otherwise
    std::vector<std::string> exclude;        // patterns of .gitignore: its own files, which are no work
    Output output = Output::text;
    std::vector<EventRule> events;
    std::vector<std::string> error_prefixes;  // a last message, or a line of text, that begins so is an error
    // A line of text that begins so tells that the model has answered, whatever error was before; none: any.
    std::vector<std::string> answer_prefixes;
    UsageLine usage_line;
    std::vector<VerdictRule> verdicts;
    std::string tested_version;
    std::vector<std::string> key_variables;  // one of them holds the key,
    std::vector<std::string> key_files;      // or one of these is there, below the home folder
    bool session_totals =
        false;                  // the numbers that it tells are those of the session, runs of before included
    std::string root_variable;  // as root it works only with this one set; empty: however

    [[nodiscard]] const std::string& account_name() const { return account.empty() ? name : account; }
    // Whether anything that it writes tells that the model has answered.
    [[nodiscard]] bool tells_answers() const;
    [[nodiscard]] const std::string& program() const { return first.front().front(); }

    bool operator==(const AgentPreset&) const = default;
};

}  // namespace ralph::core
