#include "config/agent_presets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "config/command.h"
#include "config/layering.h"
#include "core/agents/json_path.h"
#include "core/base/check.h"
#include "core/base/jsonc.h"
#include "core/queue/queue_validation.h"

namespace ralph::config {
namespace {

using core::AgentPreset;
using core::EventRule;
using core::ObjectReader;
using core::VerdictRule;

constexpr std::size_t most_agents = 32;
constexpr std::size_t most_rules = 64;

std::optional<AgentPreset::Sessions> parse_sessions(std::string_view text) {
    return text == "none"     ? std::optional(AgentPreset::Sessions::none)
           : text == "chosen" ? std::optional(AgentPreset::Sessions::chosen)
           : text == "told"   ? std::optional(AgentPreset::Sessions::told)
           : text == "newest" ? std::optional(AgentPreset::Sessions::newest)
                              : std::nullopt;
}

std::optional<AgentPreset::Output> parse_output(std::string_view text) {
    return text == "events" ? std::optional(AgentPreset::Output::events)
           : text == "text" ? std::optional(AgentPreset::Output::text)
                            : std::nullopt;
}

void read_path(ObjectReader& rule, std::string_view key, std::string& out) {
    rule.read(key, out);
    if (!out.empty() && (out.front() != '/' || out.back() == '/')) {
        rule.fail(key, "must be a path such as \"/message/content/*/text\"");
    }
}

// {"/type": "result", "/subtype": ["success", "error"]}
void read_conditions(ObjectReader& rule, std::string_view key,
                     std::map<std::string, std::vector<std::string>>& out) {
    rule.read_object(key, [&out](ObjectReader& conditions) {
        for (const std::string& path : conditions.keys()) {
            if (path.empty() || path.front() != '/') {
                conditions.fail(path, "must be a path such as \"/type\"");
                return;
            }
            const boost::json::value* const value = conditions.find(path);
            if (value == nullptr) {
                return;
            }
            std::vector<std::string>& wanted = out[path];
            const boost::json::array single{*value};
            for (const boost::json::value& each : value->is_array() ? value->get_array() : single) {
                wanted.push_back(core::scalar_text(each));
                if (wanted.back().empty()) {
                    conditions.fail(path, "must be a text, a number, true or false, or an array of these");
                    return;
                }
            }
        }
    });
}

EventRule read_event_rule(ObjectReader& rule) {
    EventRule out;
    static constexpr std::array<std::pair<const char*, std::string EventRule::*>, 16> paths{
        {{"session", &EventRule::session},
         {"model", &EventRule::model},
         {"version", &EventRule::version},
         {"say", &EventRule::say},
         {"tool", &EventRule::tool},
         {"tool_input", &EventRule::tool_input},
         {"message", &EventRule::message},
         {"denied", &EventRule::denied},
         {"resets_at", &EventRule::resets_at},
         {"retry_after_ms", &EventRule::retry_after_ms},
         {"turn", &EventRule::turn},
         {"turns", &EventRule::turns},
         {"input_tokens", &EventRule::input_tokens},
         {"output_tokens", &EventRule::output_tokens},
         {"cached_tokens", &EventRule::cached_tokens},
         {"cost_usd", &EventRule::cost_usd}}};
    read_conditions(rule, "when", out.when);
    read_conditions(rule, "contains", out.contains);
    for (const auto& [key, member] : paths) {
        read_path(rule, key, out.*member);
    }
    rule.read("adds", out.adds);
    rule.read("answers", out.answers);
    rule.read("ends", out.ends);
    rule.read("fails", out.fails);
    rule.read("stops", out.stops);
    if (is_set(rule, "verdict")) {
        core::Verdict verdict{};
        rule.read_as("verdict", verdict, core::parse_verdict, "a verdict such as \"limited\"");
        out.verdict = verdict;
    }
    if (out.stops && !out.verdict) {
        rule.fail("stops", "needs a verdict beside it");
    }
    return out;
}

VerdictRule read_verdict_rule(ObjectReader& rule) {
    VerdictRule out;
    rule.require("verdict");
    rule.read_as("verdict", out.verdict, core::parse_verdict, "a verdict such as \"limited\"");
    read_list(rule, "texts", out.texts);
    if (const boost::json::value* const codes = rule.find("exit_codes")) {
        const boost::json::array* const items = codes->if_array();
        for (const boost::json::value& item : items == nullptr ? boost::json::array{} : *items) {
            const std::int64_t code = item.is_int64() ? item.get_int64() : -1;
            if (code < 1 || code > 255) {
                rule.fail("exit_codes", "must be an array of exit statuses from 1 to 255");
                return out;
            }
            out.exit_codes.push_back(static_cast<std::uint32_t>(code));
        }
    }
    if (out.texts.empty() && out.exit_codes.empty()) {
        rule.fail("texts", "or `exit_codes` must say what it is for");
    }
    return out;
}

template <class Rule>
void read_rules(ObjectReader& agent, std::string_view key, Rule (*read)(ObjectReader&),
                std::vector<Rule>& out) {
    if (!is_set(agent, key)) {
        return;
    }
    out.clear();
    agent.read_objects(key, [&](ObjectReader& rule) { out.push_back(read(rule)); });
    if (out.size() > most_rules) {
        agent.fail(key, fmt::format("must be at most {} rules", most_rules));
    }
}

void read_agent(ObjectReader& agent, AgentPreset& out) {
    read_name(agent, "account", out.account);
    if (!out.account.empty() && !core::is_safe_task_id(out.account)) {
        agent.fail("account", "must be made of letters, digits, \".\", \"_\" and \"-\"");
    }
    read_groups(agent, "first", out.first);
    read_groups(agent, "again", out.again);
    agent.read_as("sessions", out.sessions, parse_sessions, "\"none\", \"chosen\", \"told\" or \"newest\"");
    agent.read("prompt_on_input", out.prompt_on_input);
    read_environment(agent, "env", out.env);
    read_list(agent, "exclude", out.exclude);
    for (const std::string& pattern : out.exclude) {
        if (pattern.find_first_of("\n\r") != std::string::npos || core::trimmed(pattern).empty() ||
            pattern.find_first_of("/!#\\") == 0) {
            agent.fail("exclude", "must be patterns of one line each that begin with no /, !, # or \\");
        }
    }
    agent.read_as("output", out.output, parse_output, "\"events\" or \"text\"");
    read_rules(agent, "events", read_event_rule, out.events);
    read_list(agent, "error_prefixes", out.error_prefixes);
    read_list(agent, "answer_prefixes", out.answer_prefixes);
    agent.read_object("usage_line", [&out](ObjectReader& line) {
        line.require("begins", out.usage_line.begins);
        line.read("input_tokens", out.usage_line.input_tokens);
        line.read("output_tokens", out.usage_line.output_tokens);
        line.read("cached_tokens", out.usage_line.cached_tokens);
        line.read("cost_usd", out.usage_line.cost_usd);
    });
    read_rules(agent, "verdicts", read_verdict_rule, out.verdicts);
    agent.read("tested_version", out.tested_version);
    read_list(agent, "key_variables", out.key_variables);
    read_list(agent, "key_files", out.key_files);
    agent.read("session_totals", out.session_totals);
    agent.read("root_variable", out.root_variable);
    if (agent.ok() && out.first.empty()) {
        agent.fail("first", "must name the program and its arguments");
    }
}

}  // namespace

void read_agents(ObjectReader& reader, std::string_view key, AgentPresets& out) {
    reader.read_object(key, [&out](ObjectReader& agents) {
        for (const std::string& name : agents.keys()) {
            if (!core::is_safe_task_id(name)) {
                agents.fail(name, "must be a name of letters, digits, \".\", \"_\" and \"-\"");
                return;
            }
            agents.read_object(name, [&](ObjectReader& agent) {
                AgentPreset& preset = out[name];
                preset.name = name;
                read_agent(agent, preset);
            });
        }
        if (out.size() > most_agents) {
            agents.fail("", fmt::format("must be at most {} agents", most_agents));
        }
    });
}

std::string names_of(const AgentPresets& presets) {
    std::vector<std::string> names;
    for (const auto& [name, preset] : presets) {
        names.push_back(name);
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

AgentPresets built_in_agents() {
    AgentPresets presets;
    for (const Layer& file : built_in_agent_files()) {
        const auto document = core::JsonDocument::parse(file.text, file.file, core::DuplicateKeys::refuse);
        CHECK(document.has_value());
        std::optional<core::JsonFault> fault;
        ObjectReader agent(document->root(), "", fault);
        AgentPreset& preset = presets[file.file];
        preset.name = file.file;
        read_agent(agent, preset);
        agent.finish();
        CHECK(!fault);
    }
    return presets;
}

}  // namespace ralph::config
