#include "core/agents/prompt.h"

#include <fmt/format.h>

namespace ralph::core {
namespace {

// Linux takes no argument of 128 KiB; what is cut is in the task's file.
constexpr std::size_t longest_body = 60'000;
constexpr std::size_t longest_text = 40'000;
constexpr std::size_t longest_item = 2'000;
constexpr std::size_t most_items = 100;

std::string limited(std::string_view text, std::size_t most) {
    return limited_text(text, most);
}

void add_list(std::string& out, std::string_view title, const std::vector<std::string>& items) {
    if (items.empty()) {
        return;
    }
    out += fmt::format("\n{}:\n", title);
    for (std::size_t i = 0; i < items.size() && i < most_items; ++i) {
        out += fmt::format("- {}\n", limited(items[i], longest_item));
    }
}

std::string rules(const PromptFacts& facts) {
    std::string text =
        "\nRules:\n"
        "- Work in the current folder. It is a git workspace of this task alone.\n"
        "- Commit your work, or leave it uncommitted: both land. Do not push, and do not switch to another "
        "repository.\n"
        "- Leave .ralph/queue.jsonc and .ralph/done.jsonc alone: they are kept for you.\n"
        "- Nobody can answer questions. Decide yourself, and say at the end what you decided.\n";
    text += facts.no_change_completes
                ? "- If there is nothing to change, say why, and end.\n"
                : "- If there is nothing to change, make an empty commit whose message says why "
                  "(git commit --allow-empty).\n";
    if (!facts.gate.empty()) {
        text += fmt::format("- Your work must pass: {}\n",
                            limited(fmt::format("{}", fmt::join(facts.gate, "; ")), longest_item));
    }
    text += fmt::format("- It will land on {}. The whole task as JSON: {}\n", facts.target_branch,
                        facts.task_file);
    return text;
}

}  // namespace

std::string limited_text(std::string_view text, std::size_t most) {
    if (text.size() <= most) {
        return std::string(text);
    }
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) {
        --most;  // between characters
    }
    return std::string(text.substr(0, most)) + " [cut; the task's file has all of it]";
}

std::string work_prompt(const Task& task, const PromptFacts& facts) {
    std::string text =
        fmt::format("Task {}: {}\n", trimmed(task.id), limited(trimmed(task.title), longest_item));
    if (task.description && !trimmed(*task.description).empty()) {
        text += fmt::format("\n{}\n", limited(trimmed(*task.description), longest_text));
    }
    if (task.request && !trimmed(*task.request).empty() && task.request != task.description) {
        text += fmt::format("\nIt was asked for in these words:\n{}\n",
                            limited(trimmed(*task.request), longest_text / 4));
    }
    add_list(text, "Plan", task.plan);
    add_list(text, "Evidence", task.evidence);
    add_list(text, "Scope, where the work belongs", task.scope);
    add_list(text, "Notes", task.notes);
    return limited(text, longest_body) + rules(facts);
}

std::string go_on_prompt(const Task& task, const PromptFacts& facts, std::string_view why) {
    return fmt::format(
        "Go on with task {} ({}). You were interrupted: {}\nWhat you did is in the current folder; look at "
        "`git status` and `git log` before you go on. The rules are as before; the task's file is {}\n",
        trimmed(task.id), limited(trimmed(task.title), longest_item), limited(why, longest_item),
        facts.task_file);
}

std::string take_over_prompt(const Task& task, const PromptFacts& facts, std::string_view why) {
    return work_prompt(task, facts) +
           fmt::format(
               "\nThis task was begun before, in another conversation that cannot be continued: {}\nWhat was "
               "done is in the current folder. Look at `git status`, `git log` and the files first, keep "
               "what "
               "is good, and finish it.\n",
               limited(why, longest_item));
}

std::string remediation_prompt(const Task& task, const PromptFacts& facts, std::string_view reason,
                               std::string_view handoff, bool goes_on) {
    std::string text = goes_on ? fmt::format("About task {} ({}).\n", trimmed(task.id),
                                             limited(trimmed(task.title), longest_item))
                               : work_prompt(task, facts);
    text += fmt::format(
        "\nThe work of this task is done, but it could not be landed on {}: {}\nDo not do the task again. "
        "Make "
        "what is there land: resolve the conflict, or make the gate pass, in the current folder.\n",
        facts.target_branch, limited(reason, longest_item));
    if (!handoff.empty()) {
        text += fmt::format("What is known of it, with the output of the gate, is in {}\n", handoff);
    }
    return goes_on ? text + rules(facts) : text;
}

}  // namespace ralph::core
