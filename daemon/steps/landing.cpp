#include "daemon/steps/landing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/queue_edit.h"
#include "core/queue_validation.h"
#include "core/task_codec.h"
#include "core/transition.h"
#include "daemon/clock.h"
#include "daemon/steps/landing_details.h"
#include "daemon/steps/plain_git.h"
#include "daemon/steps/workspace.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

constexpr std::size_t subject_length = 100;
constexpr std::size_t named_paths = 5;

// On one line, at most 100 bytes, cut between characters.
std::string subject_line(const std::string& text) {
    std::string line;
    for (const char c : text) {
        const bool is_blank = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
        if (!is_blank) {
            line += c;
        } else if (!line.empty() && line.back() != ' ') {
            line += ' ';
        }
    }
    if (line.size() > subject_length) {
        std::size_t end = subject_length;
        while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
            --end;
        }
        line.erase(end);
    }
    while (!line.empty() && line.back() == ' ') {
        line.pop_back();
    }
    return line;
}

Result<Stop> commit(const StepContext& context, const Git& workspace, const std::string& subject) {
    auto end = workspace.run({"commit", "--quiet", "-m", subject});
    if (!end) {  // a hook of the workspace that hangs or kills: the task's own bad minute, and nobody else's
        return Stop{try_again(end.error().line())};
    }
    if (end->status != 0) {  // a hook of the repository, most likely
        return Stop{blocked(fmt::format("the commit \"{}\" was refused: {}; mend it in {}, {}", subject,
                                        last_words(end->errors.empty() ? end->output : end->errors),
                                        workspace.directory(), retry_command(context)))};
    }
    return Stop{};
}

Result<bool> has_staged_changes(const Git& workspace) {
    auto end = workspace.run({"diff", "--cached", "--quiet"});
    if (!end) {
        return end.error();
    }
    if (end->status > 1) {
        return Error{fmt::format("git diff in {}: {}", workspace.directory(), last_words(end->errors))};
    }
    return end->status == 1;
}

}  // namespace

Ending blocked(std::string summary) {
    return {static_cast<int>(core::exit_blocked), {std::move(summary), {}, {}, {}}};
}

Ending mendable(std::string summary) {
    return {static_cast<int>(core::exit_mendable), {std::move(summary), {}, {}, {}}};
}

Ending nothing_to_land(std::string summary) {
    return {static_cast<int>(core::exit_nothing_to_land), {std::move(summary), {}, {}, {}}};
}

Ending unavailable(std::string summary) {
    return {static_cast<int>(core::exit_unavailable), {std::move(summary), {}, {}, {}}};
}

Ending landed_elsewhere(const StepContext& context, const Git& git, const std::string& tip) {
    // The commit by which the id came into the file; who it was is for people, so that not knowing is no
    // reason to stop.
    const auto found = git.line({"--literal-pathspecs", "log", "-1", "--no-show-signature", "--format=%H %an",
                                 "-S" + fmt::format("\"{}\"", context.task_id), "--end-of-options", tip, "--",
                                 context.settings.done_relative});
    const std::string text = found ? *found : std::string{};
    const std::size_t space = std::min(text.find(' '), text.size());
    core::Outcome outcome;
    outcome.landed_sha = space == text.size() ? tip : text.substr(0, space);
    outcome.landed_by =
        space == text.size()
            ? fmt::format("somebody else, seen at commit {}", tip.substr(0, 12))
            : fmt::format("commit {} by {}", text.substr(0, 12), core::printable(text.substr(space + 1)));
    outcome.summary =
        fmt::format("{} is done on {} already, by {}", context.task_id, context.target(), outcome.landed_by);
    outcome.note = fmt::format(
        "{}: what was made here is not landed again, and is kept when its workspace is removed (`ralph kept "
        "list`)",
        outcome.summary);
    return {0, std::move(outcome)};
}

Ending try_again(std::string summary) {
    return {static_cast<int>(core::exit_try_again), {std::move(summary), {}, {}, {}}};
}

std::string bookkeeping_subject(const StepContext& context) {
    return subject_line(fmt::format("ralph: archive {} queue bookkeeping", context.task_id));
}

std::string named(const std::vector<std::string>& paths) {
    const std::size_t shown = std::min(paths.size(), named_paths);
    std::string text =
        fmt::format("{}", fmt::join(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    if (shown < paths.size()) {
        text += fmt::format(" and {} more", paths.size() - shown);
    }
    return core::printable(text);
}

std::string retry_command(const StepContext& context) {
    return fmt::format("then run `ralph run parallel retry --task {}`", context.task_id);
}

bool are_bookkeeping_files(const StepContext& context, const std::vector<std::string>& paths) {
    return std::all_of(paths.begin(), paths.end(), [&context](const std::string& path) {
        return path == context.settings.queue_relative || path == context.settings.done_relative;
    });
}

Result<void> restore_bookkeeping_files(const StepContext& context, const Git& workspace,
                                       const std::string& commit) {
    for (const std::string* path : {&context.settings.queue_relative, &context.settings.done_relative}) {
        auto there = workspace.resolve(commit + ":" + *path);
        if (!there) {
            return there.error();
        }
        auto restored =
            *there ? workspace.expect({"--literal-pathspecs", "checkout", "--quiet", commit, "--", *path})
                   : workspace.expect({"--literal-pathspecs", "rm", "-r", "--quiet", "--force",
                                       "--ignore-unmatch", "--", *path});
        if (!restored) {
            return restored;
        }
    }
    return {};
}

Result<Stop> commit_work(const StepContext& context, const Git& workspace) {
    auto unmerged = workspace.unmerged_paths();
    if (!unmerged) {
        return unmerged.error();
    }
    if (!unmerged->empty()) {  // `add -A` would take the conflict markers for the solution
        return Stop{blocked(fmt::format("unresolved conflict in {}; resolve it in {}, {}", named(*unmerged),
                                        context.workspace, retry_command(context)))};
    }
    // Queue and done are ours: whatever the worker wrote there is not its work.
    for (const std::string* path : {&context.settings.queue_relative, &context.settings.done_relative}) {
        auto tracked = workspace.resolve("HEAD:" + *path);
        if (!tracked) {
            return tracked.error();
        }
        auto restored =
            *tracked ? workspace.expect({"--literal-pathspecs", "checkout", "--quiet", "HEAD", "--", *path})
                     : Result<void>{};
        if (!restored) {
            return restored.error();
        }
    }
    auto added = check_files(workspace);  // git leaves out in silence what it cannot read
    added = added ? look_at_all_files(workspace) : added;
    added = added ? workspace.expect({"add", "--all"}) : added;
    if (!added && !added.error().is_passing()) {
        return Stop{blocked(fmt::format("what the worker left cannot be added: {}; mend it in {}, {}",
                                        added.error().line(), context.workspace, retry_command(context)))};
    }
    if (!added) {
        return added.error();
    }
    auto changed = has_staged_changes(workspace);
    if (!changed) {
        return changed.error();
    }
    return *changed ? commit(context, workspace.for_hooks(),
                             subject_line(context.task_id + ": " + context.task_title))
                    : Result<Stop>{Stop{}};
}

Result<Stop> commit_bookkeeping(const StepContext& context, const Git& git, Bookkeeping bookkeeping,
                                const std::string& below) {
    const Settings& settings = context.settings;
    const auto stop = [&context](const Error& error) {
        return Stop{blocked(fmt::format("bookkeeping: {}; {}", error.line(), retry_command(context)))};
    };
    if (bookkeeping.tracked) {
        if (auto restored = restore_bookkeeping_files(context, git, below); !restored) {
            return restored.error();
        }
    }
    const std::string queue_before = core::task_file_text(bookkeeping.queue);
    const std::string done_before = core::task_file_text(bookkeeping.done);
    auto archived =
        core::archive_finished_task(bookkeeping.queue, bookkeeping.done, context.task_id, wall_clock());
    if (archived) {
        archived =
            add_followups(settings, context.workspace, context.task_id, bookkeeping.queue, bookkeeping.done);
    }
    if (!archived) {
        return stop(archived.error());
    }
    if (auto valid = core::validate_queue(bookkeeping.queue, bookkeeping.done, settings.queue_rules());
        !valid) {
        return stop(valid.error());
    }
    const bool is_changed = core::task_file_text(bookkeeping.queue) != queue_before ||
                            core::task_file_text(bookkeeping.done) != done_before;
    if (bookkeeping.tracked && is_changed) {
        auto queue_path = path_inside(git.directory(), settings.queue_relative);
        auto done_path = path_inside(git.directory(), settings.done_relative);
        if (!queue_path || !done_path) {
            return stop(queue_path ? done_path.error() : queue_path.error());
        }
        if (auto saved = save_bookkeeping(*queue_path, bookkeeping.queue, *done_path, bookkeeping.done, "");
            !saved) {
            return saved.error();
        }
        auto added = git.expect(
            {"--literal-pathspecs", "add", "--force", "--", settings.queue_relative, settings.done_relative});
        if (!added) {
            return added.error();
        }
    }
    auto staged = has_staged_changes(git);
    if (!staged) {
        return staged.error();
    }
    return *staged ? commit(context, git, bookkeeping_subject(context)) : Result<Stop>{Stop{}};
}

}  // namespace ralph::daemon
