#include "daemon/landing/completeness.h"

#include <fmt/format.h>

#include "core/base/shown_text.h"
#include "daemon/git/plain_git.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

using core::Result;

constexpr std::string_view gitlink_mode = "160000";

// Local branches with commits that are neither in HEAD nor on origin.
Result<std::vector<std::string>> stray_branches(const Git& workspace) {
    auto any =
        workspace.output({"rev-list", "--max-count=1", "--branches", "--not", "HEAD", "--remotes=origin"});
    if (!any || any->empty()) {
        return any ? Result<std::vector<std::string>>{std::vector<std::string>{}} : any.error();
    }
    auto refs = workspace.refs({"refs/heads"});
    if (!refs) {
        return refs.error();
    }
    std::vector<std::string> stray;
    for (const std::string& ref : *refs) {
        auto missing =
            workspace.output({"rev-list", "--max-count=1", ref, "--not", "HEAD", "--remotes=origin"});
        if (!missing) {
            return missing.error();
        }
        if (!missing->empty()) {
            stray.push_back(ref.substr(std::string_view("refs/heads/").size()));
        }
    }
    return stray;
}

std::vector<std::string> split_at_blank(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        words.emplace_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return words;
}

// Why a repository within the workspace would lose something with it; empty if it would not.
Result<std::string> loss_of_nested(const std::string& workspace, const std::string& path,
                                   const std::string& commit) {
    if (!path_exists(workspace + "/" + path + "/.git")) {
        return std::string{};  // a pointer only, as it came with the check-out
    }
    auto opened = open_plain_within(workspace, path);
    if (!opened) {
        return opened.error().is_passing() ? Result<std::string>{opened.error()}
                                           : Result<std::string>{"is not plain: " + opened.error().message};
    }
    const Git& nested = *opened;
    TRY_ASSIGN(auto dirty, nested.dirty_paths(Git::Untracked::yes));
    if (!dirty.empty()) {
        return std::string("has uncommitted changes");
    }
    TRY_ASSIGN(auto published,
               nested.output({"for-each-ref", "--count=1", "--contains", commit, "refs/remotes"}));
    return published.empty()
               ? fmt::format("has commit {} that is on no remote of its own", commit.substr(0, 12))
               : std::string{};
}

}  // namespace

Result<Stop> check_completeness(const StepContext& context, const Git& workspace, const Git& integration,
                                const std::string& work) {
    TRY_ASSIGN(auto stray, stray_branches(workspace));
    if (!stray.empty()) {
        return Stop{blocked(fmt::format(
            "commits on branch {} are not in HEAD and would not land; merge or remove it in {}, {}",
            core::named(stray), context.workspace, retry_command(context)))};
    }
    // ":<old mode> <new mode> <old object> <new object> <status>" NUL path NUL
    TRY_ASSIGN(auto changes,
               integration.output({"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev",
                                   "--merge-base", origin_ref(context.target_branch), work}));
    const auto fields = split_at_nul(changes);
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const std::vector<std::string> change = split_at_blank(fields[i]);
        if (change.size() < 5 || change[1] != gitlink_mode || !is_object_name(change[3])) {
            continue;
        }
        TRY_ASSIGN(auto loss, loss_of_nested(context.workspace, fields[i + 1], change[3]));
        if (!loss.empty()) {
            return Stop{blocked(fmt::format(
                "{} is a git repository of its own and {}; push it there, or remove its .git folder "
                "so that its files land, in {}, {}",
                core::printable(fields[i + 1]), loss, context.workspace, retry_command(context)))};
        }
    }
    return Stop{};
}

}  // namespace ralph::daemon
