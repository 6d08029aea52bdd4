// Commands are argument arrays, never shell text. In the arguments of our own settings `{task_id}` and its
// like stand for facts about the task; `{{` and `}}` are literal braces.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/agents/preset.h"
#include "core/base/error.h"
#include "core/base/json_reader.h"

namespace ralph::config {

struct PlaceholderValues {
    std::string task_id;
    std::string task_title;
    std::string workspace;       // absolute path
    std::string target_branch;   // without refs/heads/
    std::string attempt;         // decimal, from 1
    std::string task_file = {};  // absolute path of the task's text as JSON
    std::string description = {};
    std::string prompt = {};
    std::string session = {};  // of an agent
    std::string handoff = {};  // absolute path of what tells why the work could not be landed
    std::string reason = {};   // the same in one line
    std::string model = {};
    std::string effort = {};
    std::string budget_usd = {};  // what is left for the task
};

// Puts the values in place of the placeholders. What was put in is not scanned again, so a task title with
// braces stays as it is. `argv` comes from a validated setting; anything else is a mistake of ours (CHECK).
[[nodiscard]] std::vector<std::string> expand_command(const std::vector<std::string>& argv,
                                                      const PlaceholderValues& values);

// The same for text of a file, which may be wrong.
[[nodiscard]] core::Result<std::string> expand_text(std::string_view text, const PlaceholderValues& values);

// The same for arguments of a preset: a group of several is left out if a placeholder in it has no value.
[[nodiscard]] std::vector<std::string> expand_groups(const core::ArgumentGroups& groups,
                                                     const PlaceholderValues& values);

// If `argv` makes a shell run text from its arguments (`sh -c text`), the index of that option. An option
// counts up to the first argument that is none: in `sh build.sh -c` the script gets the -c.
[[nodiscard]] std::optional<std::size_t> shell_text_option(const std::vector<std::string>& argv);

// Reads an argument array without placeholders. No entry may be blank, and no shell may be given text to run
// (contract section 3.3, agent.ci_gate.argv). Null and absent leave `out` alone.
void read_plain_argv(core::ObjectReader& reader, std::string_view key, std::vector<std::string>& out);

// Reads an argument array with placeholders; empty means "not set". An unknown placeholder, a lone brace, a
// blank program, and a task title inside the text given to a shell are faults. Null and absent leave `out`
// alone.
void read_command(core::ObjectReader& reader, std::string_view key, std::vector<std::string>& out);

// The same for arguments of a preset, of which each is text or an array of texts: a group.
void read_groups(core::ObjectReader& reader, std::string_view key, core::ArgumentGroups& out);

}  // namespace ralph::config
