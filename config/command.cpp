#include "config/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <utility>

#include "config/layering.h"
#include "core/base/check.h"
#include "core/queue/task.h"

namespace ralph::config {

using core::ObjectReader;

namespace {

struct Placeholder {
    std::string_view name;
    std::string PlaceholderValues::*value;
};

constexpr std::array<Placeholder, 14> placeholders{{
    {"task_id", &PlaceholderValues::task_id},
    {"task_title", &PlaceholderValues::task_title},
    {"workspace", &PlaceholderValues::workspace},
    {"target_branch", &PlaceholderValues::target_branch},
    {"attempt", &PlaceholderValues::attempt},
    {"task_file", &PlaceholderValues::task_file},
    {"description", &PlaceholderValues::description},
    {"prompt", &PlaceholderValues::prompt},
    {"session", &PlaceholderValues::session},
    {"handoff", &PlaceholderValues::handoff},
    {"reason", &PlaceholderValues::reason},
    {"model", &PlaceholderValues::model},
    {"effort", &PlaceholderValues::effort},
    {"budget_usd", &PlaceholderValues::budget_usd},
}};

// What others write: inside shell text it would be run.
constexpr std::array<std::string_view, 4> free_texts{"task_title", "description", "prompt", "reason"};

struct Expansion {
    std::string text;
    std::string fault;         // empty if the argument is well formed
    bool lacks_value = false;  // of a placeholder
};

std::string unknown_placeholder(std::string_view name) {
    std::vector<std::string> known;
    for (const Placeholder& placeholder : placeholders) {
        known.emplace_back(placeholder.name);
    }
    const auto nearest = core::nearest_name(name, known);
    return nearest ? fmt::format("has the unknown placeholder {{{}}}; did you mean {{{}}}?", name, *nearest)
                   : fmt::format("has the unknown placeholder {{{}}}; write {{{{ and }}}} for literal braces",
                                 name);
}

Expansion expand(std::string_view argument, const PlaceholderValues& values) {
    Expansion out;
    while (!argument.empty()) {
        const std::size_t plain = std::min(argument.find_first_of("{}"), argument.size());
        out.text += argument.substr(0, plain);
        argument.remove_prefix(plain);
        if (argument.empty()) {
            break;
        }
        if (argument.size() > 1 && argument[0] == argument[1]) {
            out.text += argument[0];
            argument.remove_prefix(2);
            continue;
        }
        const std::size_t close = argument.find('}');
        if (argument[0] == '}' || close == std::string_view::npos) {
            out.fault = fmt::format("has a lone \"{}\"; write it twice for a literal brace", argument[0]);
            return out;
        }
        const std::string_view name = argument.substr(1, close - 1);
        const auto* known = std::find_if(placeholders.begin(), placeholders.end(),
                                         [name](const Placeholder& one) { return one.name == name; });
        if (known == placeholders.end()) {
            out.fault = unknown_placeholder(name);
            return out;
        }
        out.text += values.*(known->value);
        out.lacks_value = out.lacks_value || (values.*(known->value)).empty();
        argument.remove_prefix(close + 1);
    }
    return out;
}

bool is_shell(std::string_view program) {
    static constexpr std::array<std::string_view, 8> shells{"sh",   "bash", "zsh",  "dash",
                                                            "fish", "cmd",  "pwsh", "powershell"};
    const std::size_t slash = program.find_last_of("/\\");
    std::string name = lower_case(slash == std::string_view::npos ? program : program.substr(slash + 1));
    if (name.size() > 4 && name.substr(name.size() - 4) == ".exe") {
        name.resize(name.size() - 4);
    }
    return std::find(shells.begin(), shells.end(), name) != shells.end();
}

bool is_text_option(std::string_view option) {
    return option == "-c" || option == "/c" || option == "-command";
}

// The index of the first option of a shell that `wanted` accepts; it is given the option in lower case.
template <class Wanted>
std::optional<std::size_t> find_shell_option(const std::vector<std::string>& argv, Wanted wanted) {
    if (argv.empty() || !is_shell(core::trimmed(argv[0]))) {
        return std::nullopt;
    }
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string text = lower_case(core::trimmed(argv[i]));
        const bool option = text.substr(0, 1) == "-" || (text.size() == 2 && text[0] == '/');
        if (!option) {
            return std::nullopt;
        }
        if (wanted(std::string_view(text))) {
            return i;
        }
    }
    return std::nullopt;
}

void check_no_nul(ObjectReader& reader, std::string_view key, const std::vector<std::string>& argv) {
    for (std::size_t i = 0; i < argv.size(); ++i) {
        if (argv[i].find('\0') != std::string::npos) {
            reader.fail(fmt::format("{}[{}]", key, i), "must not contain a NUL character");
        }
    }
}

// Free text, such as a title, is chosen by the author of a task.
void check_no_free_text_in_shell_text(ObjectReader& reader, std::string_view key,
                                      const std::vector<std::string>& argv) {
    const auto option = find_shell_option(argv, [](std::string_view text) {
        return is_text_option(text) ||
               (text.size() > 2 && text[1] != '-' && text.back() == 'c');  // as in -lc
    });
    if (!option || *option + 1 >= argv.size()) {
        return;
    }
    for (const Placeholder& placeholder : placeholders) {
        if (std::find(free_texts.begin(), free_texts.end(), placeholder.name) == free_texts.end()) {
            continue;
        }
        PlaceholderValues marked;
        marked.*(placeholder.value) = "\x01";
        if (expand(argv[*option + 1], marked).text.find('\x01') != std::string::npos) {
            reader.fail(fmt::format("{}[{}]", key, *option + 1),
                        fmt::format("puts {{{}}} into text that a shell runs; pass it as an argument after "
                                    "that text",
                                    placeholder.name));
        }
    }
}

}  // namespace

std::vector<std::string> expand_command(const std::vector<std::string>& argv,
                                        const PlaceholderValues& values) {
    std::vector<std::string> out;
    out.reserve(argv.size());
    for (const std::string& argument : argv) {
        Expansion expansion = expand(argument, values);
        CHECK(expansion.fault.empty());
        out.push_back(std::move(expansion.text));
    }
    return out;
}

core::Result<std::string> expand_text(std::string_view text, const PlaceholderValues& values) {
    Expansion expansion = expand(text, values);
    if (!expansion.fault.empty()) {
        return core::Error{std::move(expansion.fault)};
    }
    return {boost::system::in_place_value, std::move(expansion.text)};
}

std::vector<std::string> expand_groups(const core::ArgumentGroups& groups, const PlaceholderValues& values) {
    std::vector<std::string> out;
    for (const std::vector<std::string>& group : groups) {
        std::vector<std::string> expanded;
        bool lacks_value = false;
        for (const std::string& argument : group) {
            Expansion expansion = expand(argument, values);
            CHECK(expansion.fault.empty());
            lacks_value = lacks_value || expansion.lacks_value;
            expanded.push_back(std::move(expansion.text));
        }
        if (group.size() == 1 || !lacks_value) {
            out.insert(out.end(), expanded.begin(), expanded.end());
        }
    }
    return out;
}

std::optional<std::size_t> shell_text_option(const std::vector<std::string>& argv) {
    return find_shell_option(argv, is_text_option);
}

void read_plain_argv(ObjectReader& reader, std::string_view key, std::vector<std::string>& out) {
    if (!is_set(reader, key)) {
        return;
    }
    read_list(reader, key, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (core::trimmed(out[i]).empty()) {
            reader.fail(fmt::format("{}[{}]", key, i), "must not be blank");
        }
    }
    check_no_nul(reader, key, out);
    if (const auto option = shell_text_option(out)) {
        reader.fail(
            fmt::format("{}[{}]", key, *option),
            fmt::format("must not give a shell text to run (\"{} {}\"); name a program or a script file",
                        out[0], out[*option]));
    }
}

void read_command(ObjectReader& reader, std::string_view key, std::vector<std::string>& out) {
    if (!is_set(reader, key)) {
        return;
    }
    read_list(reader, key, out);
    if (!out.empty() && core::trimmed(out[0]).empty()) {
        reader.fail(fmt::format("{}[0]", key), "must name a program");
    }
    check_no_nul(reader, key, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (std::string fault = expand(out[i], {}).fault; !fault.empty()) {
            reader.fail(fmt::format("{}[{}]", key, i), std::move(fault));
        }
    }
    check_no_free_text_in_shell_text(reader, key, out);
}

void read_groups(ObjectReader& reader, std::string_view key, core::ArgumentGroups& out) {
    if (!is_set(reader, key)) {
        return;
    }
    out.clear();
    const boost::json::array* const items = reader.find(key)->if_array();
    if (items == nullptr) {
        reader.fail(key, "must be an array of texts, or of arrays of texts");
        return;
    }
    for (const boost::json::value& item : *items) {
        std::vector<std::string>& group = out.emplace_back();
        const boost::json::array single{item};
        for (const boost::json::value& text : item.is_array() ? item.get_array() : single) {
            if (!text.is_string()) {
                reader.fail(fmt::format("{}[{}]", key, out.size() - 1), "must be text, or an array of texts");
                return;
            }
            group.emplace_back(text.get_string());
            std::string fault = expand(group.back(), {}).fault;
            if (fault.empty() && group.back().find('\0') != std::string::npos) {
                fault = "must not contain a NUL character";
            }
            if (!fault.empty()) {
                reader.fail(fmt::format("{}[{}]", key, out.size() - 1), std::move(fault));
                return;
            }
        }
        if (group.empty()) {
            reader.fail(fmt::format("{}[{}]", key, out.size() - 1), "must not be empty");
            return;
        }
    }
    if (out.empty() || core::trimmed(out[0][0]).empty() || out[0].size() != 1) {
        reader.fail(key, "must begin with the name of a program");
    }
}

}  // namespace ralph::config
