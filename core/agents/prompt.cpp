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

// What the task says, without the rules.
std::string task_words(const Task& task) {
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
    return limited(text, longest_body);
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
    return task_words(task) + rules(facts);
}

// FNV-1a, 64 bits: to see that somebody has changed it, not against somebody.
std::string task_digest(const Task& task) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : task_words(task)) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    return fmt::format("{:016x}", hash);
}

std::string phase_words(std::string_view name, const PhaseFacts& facts) {
    std::string text;
    if (name == "plan") {
        text = fmt::format(
            "\nThis is the planning phase. Do not change the project yet. Read what you need, then write a "
            "plan to {}: what is to be changed and where, how it is tested, what may go wrong. The next "
            "phase "
            "follows it, perhaps with another agent that has only the plan. End when it is written.\n",
            facts.plan_file);
    } else if (name == "implement") {
        text = facts.has_plan
                   ? fmt::format("\nThe plan is in {}. Read it, then do the task.\n", facts.plan_file)
                   : "\nDo the task now.\n";
    } else if (name == "review") {
        text = fmt::format(
            "\nThe task has been worked on in the current folder; this is the review. Look at every change "
            "(`git status`, `git log`, `git diff`) as a reviewer who did not write it: does it do what the "
            "task says, all of it, and nothing else? Is it tested? Does it pass the gate? Fix what is wrong, "
            "and say what you fixed.{}\n",
            facts.has_plan ? fmt::format(" The plan is in {}.", facts.plan_file) : std::string{});
    }
    if (!text.empty() && !facts.before_said.empty()) {
        text += fmt::format("\nThe last words of the phase before ({}):\n{}\n", facts.before,
                            limited(facts.before_said, longest_item));
    }
    return text;
}

std::string next_phase_prompt(const Task& task, const PromptFacts& facts, std::string_view words) {
    return fmt::format(
        "Go on with task {} ({}), in its next phase. The rules are as before; the task's file is {}\n{}",
        trimmed(task.id), limited(trimmed(task.title), longest_item), facts.task_file, words);
}

std::string go_on_prompt(const Task& task, const PromptFacts& facts, std::string_view why,
                         std::string_view phase, bool has_changed) {
    std::string text = fmt::format(
        "Go on with task {} ({}){}. You were interrupted: {}\nWhat you did is in the current folder; look at "
        "`git status` and `git log` before you go on. The rules are as before; the task's file is {}\n",
        trimmed(task.id), limited(trimmed(task.title), longest_item),
        phase.empty() ? std::string{} : fmt::format(", in the phase \"{}\"", phase),
        limited(why, longest_item), facts.task_file);
    if (has_changed) {
        text += "\nSomebody has changed the task meanwhile. This is what it says now:\n" + task_words(task);
    }
    return text;
}

std::string take_over_prompt(const Task& task, const PromptFacts& facts, std::string_view why) {
    return work_prompt(task, facts) +
           fmt::format(
               "\nThis task was begun before, in another conversation that cannot be continued: {}\nWhat was "
               "done is in the current folder. Look at `git status`, `git log` and the files first, keep "
               "what is good, and finish it.\n",
               limited(why, longest_item));
}

std::string remediation_prompt(const Task& task, const PromptFacts& facts, std::string_view reason,
                               std::string_view handoff, bool goes_on) {
    std::string text = goes_on ? fmt::format("About task {} ({}).\n", trimmed(task.id),
                                             limited(trimmed(task.title), longest_item))
                               : work_prompt(task, facts);
    text += fmt::format(
        "\nThe work of this task is done, but it could not be landed on {}: {}\nDo not do the task again. "
        "Make what is there land: resolve the conflict, or make the gate pass, in the current folder.\n",
        facts.target_branch, limited(reason, longest_item));
    if (!handoff.empty()) {
        text += fmt::format("What is known of it, with the output of the gate, is in {}\n", handoff);
    }
    return goes_on ? text + rules(facts) : text;
}

}  // namespace ralph::core
