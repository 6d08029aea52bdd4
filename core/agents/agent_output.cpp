#include "core/agents/agent_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>

#include "core/agents/json_path.h"
#include "core/base/shown_text.h"

namespace ralph::core {
namespace json = boost::json;
namespace {

constexpr std::size_t longest_line = std::size_t{16} << 20U;
constexpr std::size_t longest_shown = 2'000;    // characters
constexpr std::size_t longest_message = 2'000;  // bytes
constexpr std::size_t longest_tail = 4'000;
constexpr std::size_t most_denied = 20;
constexpr std::size_t longest_name = 200;
constexpr double longest_wait_ms = 7.0 * 24 * 3'600'000;
constexpr double largest_number = 1e15;

// ECMA-48: what colours a terminal is no text.
std::string without_escapes(std::string_view line) {
    std::string plain;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] != '\x1b') {
            plain += line[i];
            continue;
        }
        if (i + 1 < line.size() && line[i + 1] == '[') {
            i += 2;
            while (i < line.size() && (line[i] < '@' || line[i] > '~')) {
                ++i;
            }
        }
    }
    return plain;
}

void show(std::string& shown, std::string_view mark, std::string_view text) {
    std::string one_line = shortened(text.substr(0, 8 * longest_shown), longest_shown);
    shown += mark;
    shown += one_line;
    shown += '\n';
}

std::string first_text(const json::value& event, const std::string& path) {
    for (const json::value* const value : values_at(event, path)) {
        if (std::string text = scalar_text(*value); !text.empty()) {
            return text;
        }
    }
    return {};
}

void take_text(const json::value& event, const std::string& path, std::size_t most, std::string& out) {
    if (std::string text = first_text(event, path); !text.empty()) {
        out = text.substr(0, most);
    }
}

// What is no number, or none that can be, is not counted.
std::optional<double> number_at(const json::value& event, const std::string& path) {
    double sum = 0;
    bool any = false;
    for (const json::value* const value : values_at(event, path)) {
        const double number = value->is_double()   ? value->get_double()
                              : value->is_int64()  ? static_cast<double>(value->get_int64())
                              : value->is_uint64() ? static_cast<double>(value->get_uint64())
                                                   : -1;
        if (std::isfinite(number) && number >= 0 && number < largest_number) {
            sum += number;
            any = true;
        }
    }
    return any && sum < largest_number ? std::optional(sum) : std::nullopt;
}

void take_count(const json::value& event, const std::string& path, bool adds, std::uint64_t& out) {
    if (const auto number = number_at(event, path)) {
        out = static_cast<std::uint64_t>(*number) + (adds ? out : 0);
    }
}

void take_usage(const json::value& event, const EventRule& rule, Usage& usage) {
    take_count(event, rule.turns, rule.adds, usage.turns);
    take_count(event, rule.input_tokens, rule.adds, usage.input_tokens);
    take_count(event, rule.output_tokens, rule.adds, usage.output_tokens);
    take_count(event, rule.cached_tokens, rule.adds, usage.cached_tokens);
    if (const auto cost = number_at(event, rule.cost_usd)) {
        usage.cost_usd = *cost + (rule.adds ? usage.cost_usd.value_or(0) : 0);
    }
}

template <class Fits>
bool all_lead_to(const json::value& event, const std::map<std::string, std::vector<std::string>>& conditions,
                 Fits fits) {
    return std::all_of(conditions.begin(), conditions.end(), [&](const auto& condition) {
        const auto values = values_at(event, condition.first);
        return std::any_of(values.begin(), values.end(), [&](const json::value* value) {
            return std::any_of(
                condition.second.begin(), condition.second.end(),
                [&, text = scalar_text(*value)](const std::string& wanted) { return fits(text, wanted); });
        });
    });
}

bool fits(const json::value& event, const EventRule& rule) {
    return all_lead_to(event, rule.when,
                       [](const std::string& text, const std::string& wanted) {
                           return wanted == "*" || wanted == text;
                       }) &&
           all_lead_to(event, rule.contains, [](const std::string& text, const std::string& wanted) {
               return text.find(wanted) != std::string::npos;
           });
}

std::string shown_input(const json::value& input) {
    // Most tools have one argument that says it all: the command, or the file.
    if (const json::object* const object = input.if_object()) {
        for (const char* const name : {"command", "cmd", "file_path", "filePath", "path", "pattern"}) {
            if (const json::value* const value = object->if_contains(name)) {
                return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
            }
        }
    }
    return input.is_string() ? std::string(input.get_string()) : json::serialize(input);
}

void show_event(const json::value& event, const EventRule& rule, std::string& shown) {
    for (const json::value* const said : values_at(event, rule.say)) {
        const std::string text = scalar_text(*said);
        for (std::size_t begin = 0; begin < text.size();) {
            const std::size_t end = std::min(text.find('\n', begin), text.size());
            if (const std::string line = without_escapes({text.data() + begin, end - begin}); !line.empty()) {
                show(shown, "  ", line);
            }
            begin = end + 1;
        }
    }
    const auto tools = values_at(event, rule.tool);
    const auto inputs = values_at(event, rule.tool_input);
    for (std::size_t i = 0; i < tools.size(); ++i) {
        const std::string input = i < inputs.size() ? shown_input(*inputs[i]) : std::string{};
        show(shown, "> ", fmt::format("{}: {}", scalar_text(*tools[i]), input));
    }
}

bool begins_with_one(std::string_view line, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [line](const std::string& prefix) { return line.substr(0, prefix.size()) == prefix; });
}

// The number before the word: "3.2k", "40", "$0.0083". A model that has no price tells no cost.
std::optional<double> number_before(std::string_view line, std::string_view word) {
    const std::size_t end = word.empty() ? std::string_view::npos : line.find(fmt::format(" {}", word));
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::size_t begin = line.find_last_of(" $", end - 1) + 1;
    double number = 0;
    const auto [rest, problem] = std::from_chars(line.data() + begin, line.data() + end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(line.data() + end - rest));
    const double factor = unit == "k" ? 1e3 : unit == "M" ? 1e6 : unit.empty() ? 1 : 0;
    const bool is_number = problem == std::errc{} && factor != 0 && std::isfinite(number) && number >= 0;
    return is_number ? std::optional(number * factor) : std::nullopt;
}

void add_usage_line(std::string_view line, const UsageLine& words, Usage& usage) {
    if (words.begins.empty() || line.substr(0, words.begins.size()) != words.begins) {
        return;
    }
    const auto tokens = [line](const std::string& word) {
        return static_cast<std::uint64_t>(std::min(number_before(line, word).value_or(0), 1e15));
    };
    ++usage.turns;
    usage.input_tokens += tokens(words.input_tokens);
    usage.output_tokens += tokens(words.output_tokens);
    usage.cached_tokens += tokens(words.cached_tokens);
    if (const auto cost = number_before(line, words.cost_usd)) {
        usage.cost_usd = usage.cost_usd.value_or(0) + *cost;
    }
}

}  // namespace

std::string AgentOutput::take(std::string& buffer, std::string_view bytes, Line line) {
    std::string shown;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view piece = bytes.substr(0, end);
        buffer.append(piece.substr(0, longest_line - std::min(longest_line, buffer.size())));
        if (end == std::string_view::npos) {
            break;
        }
        (this->*line)(buffer, shown);
        buffer.clear();
        bytes.remove_prefix(end + 1);
    }
    return shown;
}

std::string AgentOutput::read(std::string_view bytes) {
    return take(output_, bytes, &AgentOutput::output_line);
}

std::string AgentOutput::read_errors(std::string_view bytes) {
    return take(errors_, bytes, &AgentOutput::text_line);
}

std::string AgentOutput::finish() {
    std::string shown;
    if (!output_.empty()) {
        output_line(output_, shown);
    }
    if (!errors_.empty()) {
        text_line(errors_, shown);
    }
    output_.clear();
    errors_.clear();
    return shown;
}

void AgentOutput::text_line(std::string_view line, std::string& shown) {
    std::string plain = without_escapes(line.substr(0, 8 * longest_shown));
    // What was overwritten on the terminal is not seen there either.
    while (!plain.empty() && (plain.back() == '\r' || plain.back() == ' ')) {
        plain.pop_back();
    }
    plain.erase(0, plain.rfind('\r') == std::string::npos ? 0 : plain.rfind('\r') + 1);
    if (plain.empty()) {
        return;
    }
    show(shown, preset_.output == AgentPreset::Output::text ? "" : "  ! ", plain);
    facts_.tail += plain.substr(0, longest_tail / 2) + "\n";
    while (facts_.tail.size() > longest_tail) {
        facts_.tail.erase(0, facts_.tail.find('\n') + 1);
    }
    if (preset_.output == AgentPreset::Output::text) {
        take_text_line(plain);
    }
}

// Where nothing tells whether the model has answered, only the end does.
void AgentOutput::take_text_line(const std::string& line) {
    if (begins_with_one(line, preset_.error_prefixes)) {
        facts_.failed = true;
        facts_.message = line.substr(0, longest_message);
    } else if (begins_with_one(line, preset_.answer_prefixes)) {
        facts_.answered = true;
        facts_.failed = false;
        facts_.message.clear();
    }
    add_usage_line(line, preset_.usage_line, facts_.usage);
    facts_.said = line.substr(0, longest_message);
}

void AgentOutput::output_line(std::string_view line, std::string& shown) {
    if (preset_.output == AgentPreset::Output::text) {
        text_line(line, shown);
        return;
    }
    boost::system::error_code fault;
    const json::value event = json::parse({line.data(), line.size()}, fault);
    if (fault || !event.is_object()) {
        text_line(line, shown);
        return;
    }
    for (const EventRule& rule : preset_.events) {
        if (!fits(event, rule)) {
            continue;
        }
        show_event(event, rule, shown);
        if (rule.answers) {  // whatever went wrong before is over
            facts_.message.clear();
            facts_.verdict = facts_.stops ? facts_.verdict : std::nullopt;
        }
        take_text(event, rule.say, longest_message, facts_.said);
        take_text(event, rule.session, longest_name, facts_.session);
        take_text(event, rule.model, longest_name, facts_.model);
        take_text(event, rule.version, longest_name, facts_.version);
        take_text(event, rule.message, longest_message, facts_.message);
        for (const json::value* const name : values_at(event, rule.denied)) {
            std::string tool = scalar_text(*name).substr(0, longest_name);
            const bool is_known =
                std::find(facts_.denied.begin(), facts_.denied.end(), tool) != facts_.denied.end();
            if (!tool.empty() && !is_known && facts_.denied.size() < most_denied) {
                facts_.denied.push_back(std::move(tool));
            }
        }
        if (const auto seconds = number_at(event, rule.resets_at)) {
            facts_.resets_at = static_cast<std::uint64_t>(*seconds);
        }
        if (const auto wait = number_at(event, rule.retry_after_ms)) {
            ++facts_.waits;
            facts_.wait_ms = static_cast<std::uint64_t>(std::clamp(*wait, 0.0, longest_wait_ms));
        }
        if (const std::string turn = first_text(event, rule.turn); !turn.empty() && turn != last_turn_) {
            last_turn_ = turn;
            ++facts_.usage.turns;
        }
        take_usage(event, rule, facts_.usage);
        facts_.answered = facts_.answered || rule.answers;
        facts_.ended = facts_.ended || rule.ends;
        facts_.failed = facts_.failed || rule.fails;
        facts_.verdict = rule.verdict ? rule.verdict : facts_.verdict;
        facts_.stops = facts_.stops || rule.stops;
    }
}

}  // namespace ralph::core
