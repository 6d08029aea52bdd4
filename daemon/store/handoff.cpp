#include "daemon/store/handoff.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>

#include "core/base/canonical_json.h"
#include "core/base/check.h"
#include "core/base/jsonc.h"
#include "core/queue/queue_validation.h"
#include "daemon/os/folder.h"

#include "daemon/store/paths.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

constexpr std::string_view prefix = "attempt_";
constexpr std::string_view suffix = ".json";

// Relative to the workspace.
std::string folder_of(const Paths& workspace, const std::string& task_id) {
    CHECK(core::is_safe_task_id(task_id));
    return workspace.relative(workspace.handoffs(task_id));
}

// 0 if it is no packet's name.
std::uint32_t number_in(const std::string& name) {
    if (name.size() <= prefix.size() + suffix.size() || name.rfind(prefix, 0) != 0 ||
        !name.ends_with(suffix)) {
        return 0;
    }
    std::uint32_t number = 0;
    const char* const end = name.data() + name.size() - suffix.size();
    const auto [rest, problem] = std::from_chars(name.data() + prefix.size(), end, number);
    return problem == std::errc{} && rest == end ? number : 0;
}

Result<std::uint32_t> newest_number(const Folder& folder) {
    TRY_ASSIGN(const auto entries, folder.entries());
    std::uint32_t newest = 0;
    for (const Folder::Entry& entry : entries) {
        newest = std::max(newest, number_in(entry.name));
    }
    return newest;
}

std::string name_of(std::uint32_t number) {
    return fmt::format("{}{}{}", prefix, number, suffix);
}

std::string text_of(const Handoff& handoff) {
    json::object root;
    root["task_id"] = handoff.task_id;
    root["task_title"] = handoff.task_title;
    root["target_branch"] = handoff.target_branch;
    root["attempt"] = handoff.attempt;
    root["max_attempts"] = handoff.max_attempts;
    json::array files;
    for (const std::string& file : handoff.conflict_files) {
        files.emplace_back(file);
    }
    root["conflict_files"] = std::move(files);
    root["git_status"] = handoff.git_status;
    root["phase_summary"] = handoff.phase_summary;
    root["task_intent"] = handoff.task_intent;
    if (handoff.ci_context) {
        json::object context;
        context["command"] = handoff.ci_context->command;
        context["last_output"] = handoff.ci_context->last_output;
        context["exit_code"] = 1;
        root["ci_context"] = std::move(context);
    }
    root["generated_at"] = handoff.generated_at;
    json::array rules;
    rules.emplace_back(
        "Leave the queue and done files alone: ralph archives the task itself, in a commit of its own.");
    rules.emplace_back(
        fmt::format("Commit everything; end with 0 only when no conflict is left. Do not push: ralph "
                    "puts the work on {} itself.",
                    handoff.target_branch));
    rules.emplace_back(fmt::format(
        "To resolve a conflict, rebase on or merge origin/{}, which is up to date.", handoff.target_branch));
    json::object queue_rules;
    queue_rules["rules"] = std::move(rules);
    root["queue_done_rules"] = std::move(queue_rules);
    return core::canonical_json(root);
}

}  // namespace

Result<void> write_handoff(const Paths& workspace, const Handoff& handoff) {
    const auto opened = Folder::open(workspace.root);
    auto folder = opened && *opened ? (*opened)->make_below(folder_of(workspace, handoff.task_id))
                                    : Result<Folder>{opened ? Error{} : opened.error()};
    if (!folder) {
        return folder.error().is_passing()
                   ? folder.error()
                   : Error{
                         fmt::format("{}: no folder for a handoff can be made there, and no link is followed",
                                     workspace.root)};
    }
    const auto newest = newest_number(*folder);
    return newest ? folder->write(name_of(*newest + 1), text_of(handoff)) : Result<void>{newest.error()};
}

Result<std::string> newest_handoff(const Paths& workspace, const std::string& task_id) {
    const auto opened = Folder::open(workspace.root);
    const auto folder = opened && *opened ? (*opened)->below(folder_of(workspace, task_id))
                                          : Result<std::optional<Folder>>{opened ? Error{} : opened.error()};
    const auto newest = folder && *folder ? newest_number(**folder)
                        : folder          ? Result<std::uint32_t>{0U}
                                          : folder.error();
    if (!newest) {
        return newest.error().is_passing() ? Result<std::string>{newest.error()} : std::string{};
    }
    return *newest == 0 ? std::string{} : (*folder)->path() + "/" + name_of(*newest);
}

}  // namespace ralph::daemon
