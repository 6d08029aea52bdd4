// kept list, show, restore, prune: work that was kept when its workspace was reused or removed.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/queue/queue_validation.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/store/state_store.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/quarantine.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Error;
using core::Result;

constexpr const char* nothing_kept =
    "nothing is kept\n"
    "What the workspace of a task holds and origin does not have is kept here before the workspace is used\n"
    "again or removed, and the next attempt at the task goes on from it.\n";

constexpr const char* nothing_old = "nothing is old enough to be removed; see `ralph kept list`\n";

// "2026-02-20 12:30"
std::string day_and_minute(core::Instant instant) {
    std::string text = core::format_rfc3339(instant).substr(0, 16);
    text[10] = ' ';
    return text;
}

struct Described {
    KeptRef ref;
    KeptSummary summary;
    core::Instant until;
};

Result<Described> describe(const Settings& settings, const Git& repository, KeptRef ref) {
    TRY_ASSIGN(auto summary, summarize_kept(repository, ref));
    const core::Instant until = kept_until(settings, ref);
    return Described{std::move(ref), std::move(summary), until};
}

std::string commits_text(const KeptSummary& summary) {
    return fmt::format("{}{}", summary.commits, summary.has_uncommitted ? " + changes" : "");
}

json::object document_of(const Described& kept, core::Instant now) {
    json::object object;
    object["task_id"] = kept.ref.task_id;
    object["number"] = kept.ref.number;
    object["ref"] = kept.ref.name;
    object["object"] = kept.ref.object;
    object["kept_at"] = core::format_rfc3339(kept.ref.kept_at());
    object["age_seconds"] =
        std::chrono::duration_cast<std::chrono::seconds>(now - kept.ref.kept_at()).count();
    object["prune_after"] = core::format_rfc3339(kept.until);
    object["base"] = kept.summary.base;
    object["commits"] = kept.summary.commits;
    object["uncommitted"] = kept.summary.has_uncommitted;
    object["files"] = kept.summary.files;
    object["side"] = kept.ref.is_side;
    object["landed"] = kept.ref.is_landed;
    return object;
}

std::string note_on(const KeptRef& ref) {
    return ref.is_landed ? "landed since" : ref.is_side ? "side branch or stash" : "";
}

// Work that lies where it was done, and was not saved as a ref yet: that of failed and blocked tasks.
struct KeptWorkspace {
    std::string task_id;
    std::string lifecycle;
    std::string path;
};

Result<std::vector<KeptWorkspace>> kept_workspaces(const Settings& settings) {
    std::vector<KeptWorkspace> found;
    TRY_ASSIGN(const auto state, read_state_file(settings.paths.state()));
    for (const core::WorkerRecord& record : state ? state->workers : std::vector<core::WorkerRecord>{}) {
        const bool is_kept =
            record.lifecycle == core::Lifecycle::failed || record.lifecycle == core::Lifecycle::blocked_push;
        if (is_kept && core::is_safe_task_id(record.task_id) &&
            is_directory(settings.workspace(record.task_id))) {
            found.push_back({record.task_id, std::string(to_string(record.lifecycle)),
                             settings.workspace(record.task_id)});
        }
    }
    return found;
}

std::string workspaces_text(const std::vector<KeptWorkspace>& workspaces) {
    std::string text;
    for (const KeptWorkspace& each : workspaces) {
        text += fmt::format("  {} ({}): {}\n", each.task_id, each.lifecycle, core::printable(each.path));
    }
    return text.empty() ? text : "\nWorkspaces that are kept, with what is in them:\n" + text;
}

std::string list_text(const std::vector<Described>& all, const std::vector<KeptWorkspace>& workspaces,
                      core::Instant now) {
    if (all.empty()) {
        return workspaces.empty() ? std::string(nothing_kept)
                                  : "no refs are saved\n" + workspaces_text(workspaces);
    }
    std::vector<std::vector<std::string>> rows{
        {"KEPT", "WHEN (UTC)", "AGE", "COMMITS", "FILES", "PRUNED AFTER", "NOTE"}};
    for (const Described& kept : all) {
        rows.push_back({fmt::format("{}/{}", kept.ref.task_id, kept.ref.number),
                        day_and_minute(kept.ref.kept_at()), rough_age(now - kept.ref.kept_at()),
                        commits_text(kept.summary), std::to_string(kept.summary.files),
                        day_and_minute(kept.until), note_on(kept.ref)});
    }
    return text_table(rows) + "\nLook at one with `ralph kept show TASK/N`.\n" + workspaces_text(workspaces);
}

// Every line printable, the lines kept.
std::string printable_lines(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        out += core::printable(text.substr(0, end)) + "\n";
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return out;
}

Result<std::string> show_text(const Settings& settings, const std::string& name, bool patch) {
    const Git repository(settings.paths.root);
    TRY_ASSIGN(auto ref, find_kept(repository, name));
    auto kept = describe(settings, repository, std::move(ref));
    if (!kept) {
        return kept.error();
    }
    const std::string& base = kept->summary.base;
    auto log = repository.output({"log", "--no-show-signature", "--no-color", "--date=iso-strict",
                                  "--format=%h %ad %an: %s", fmt::format("{}..{}^", base, kept->ref.object)});
    auto stat = repository.output({"diff", "--no-color", "--no-ext-diff", "--stat", base, kept->ref.object});
    if (!log || !stat) {
        return log ? stat.error() : log.error();
    }
    std::string text = fmt::format("{}\n  kept     {} UTC, until {} UTC\n  base     {}\n", kept->ref.name,
                                   day_and_minute(kept->ref.kept_at()), day_and_minute(kept->until), base);
    if (const std::string note = note_on(kept->ref); !note.empty()) {
        text += fmt::format("  note     {}\n", note);
    }
    text += "\n" + printable_lines(kept->ref.message);
    text += fmt::format("\nCommits of the task: {}\n{}", kept->summary.commits, printable_lines(*log));
    text += kept->summary.has_uncommitted
                ? fmt::format("Beside them there are changes that were not committed: git show {}\n",
                              kept->ref.name)
                : "";
    text += fmt::format("\nFiles: {}\n{}", kept->summary.files, printable_lines(*stat));
    if (patch) {
        TRY_ASSIGN(auto whole,
                   repository.output({"diff", "--no-color", "--no-ext-diff", base, kept->ref.object}));
        return text + "\n" + whole;
    }
    return text + fmt::format("\nGet it back as a branch with `ralph kept restore {}/{}`.\n",
                              kept->ref.task_id, kept->ref.number);
}

Result<std::string> restore(const Settings& settings, const std::string& name, std::string branch) {
    const Git repository(settings.paths.root);
    const auto ref = find_kept(repository, name);
    if (!ref) {
        return ref.error();
    }
    if (branch.empty()) {
        branch = fmt::format("kept/{}/{}", ref->task_id, ref->number);
    }
    const std::string full = "refs/heads/" + branch;
    TRY_ASSIGN(const auto well_formed, repository.run({"check-ref-format", "--branch", branch}));
    if (well_formed.status != 0 || well_formed.output != branch + "\n") {
        return Error{fmt::format("\"{}\" is no name for a branch", branch),
                     "choose another one with --branch"};
    }
    TRY_ASSIGN(const auto there, repository.ref_exists(full));
    // Created only if it does not exist, also if somebody makes it at this moment.
    const std::string nothing(ref->object.size(), '0');
    const auto made = there ? Result<void>{Error{"it exists"}}
                            : repository.expect({"update-ref", full, ref->object, nothing});
    if (!made) {
        return Error{there ? fmt::format("branch {} exists already and is left alone", branch)
                           : fmt::format("branch {} cannot be made: {}", branch, made.error().message),
                     "choose another name with --branch"};
    }
    return fmt::format("branch {} holds {}; nothing else was changed\nnext: git switch {}\n", branch,
                       ref->name, branch);
}

bool may_go(const Settings& settings, const KeptRef& ref, const KeptPruneArguments& arguments,
            std::optional<core::Milliseconds> older_than, core::Instant now) {
    if (arguments.all) {
        return true;
    }
    return older_than ? ref.kept_at() < now - *older_than : kept_until(settings, ref) < now;
}

std::string removal(const KeptRef& ref, const char* did, core::Instant now) {
    return fmt::format("{} {} (kept {} ago, object {})\n", did, ref.name, rough_age(now - ref.kept_at()),
                       ref.object);
}

// What only the clock says is old enough goes at the second look that says so.
Result<std::string> prune_by_retention(const Settings& settings) {
    const core::Moment moment = present_moment();
    const core::Instant now = moment.wall;
    const auto kept = prune_kept_work(settings, moment);
    if (!kept) {
        return kept.error();
    }
    TRY_ASSIGN(const auto aside, prune_quarantined(settings, moment));
    std::string text;
    for (const KeptRef& ref : kept->removed) {
        text += removal(ref, "removed", now);
    }
    for (const std::string& path : aside.removed) {
        text += fmt::format("removed {}\n", path);
    }
    for (const std::string& name : aside.made) {
        text += fmt::format("kept what was in it as {}\n", name);
    }
    for (const std::string& why : aside.stayed) {
        text += fmt::format("not removed: {}\n", core::printable(why));
    }
    for (const KeptRef& ref : kept->noted) {
        text += fmt::format("noted {}, kept {} ago\n", ref.name, rough_age(now - ref.kept_at()));
    }
    for (const std::string& path : aside.noted) {
        text += fmt::format("noted {}\n", path);
    }
    if (!kept->noted.empty() || !aside.noted.empty()) {
        text +=
            "What is noted is removed if it is still too old a day from now, since a clock may be wrong; "
            "`ralph kept prune --older-than` and `--all` wait for nothing.\n";
    }
    return text.empty() ? std::string(nothing_old) : text;
}

Result<std::string> prune(const Settings& settings, const KeptPruneArguments& arguments) {
    std::optional<core::Milliseconds> older_than;
    if (!arguments.older_than.empty()) {
        auto parsed = core::parse_duration(arguments.older_than);
        if (!parsed) {
            return Error{"--older-than: " + parsed.error().message, parsed.error().remedy};
        }
        older_than = *parsed;
    }
    const Git repository(settings.paths.root);
    if (!arguments.task_id.empty()) {
        if (!core::is_safe_task_id(arguments.task_id)) {
            return Error{fmt::format("\"{}\" is no task id", arguments.task_id), "see `ralph kept list`"};
        }
        TRY(find_kept(repository, arguments.task_id));
    }
    TRY_ASSIGN(const auto refs, list_kept(repository, arguments.task_id));
    const bool by_retention = !arguments.all && !older_than;
    if (by_retention && arguments.task_id.empty() && !arguments.dry_run) {
        return prune_by_retention(settings);
    }
    const core::Instant now = wall_clock();
    const char* const did = arguments.dry_run ? "would remove" : "removed";
    std::string text;
    for (const KeptRef& ref : refs) {
        if (!may_go(settings, ref, arguments, older_than, now)) {
            continue;
        }
        TRY(arguments.dry_run ? Result<void>{} : delete_kept(repository, ref));
        text += removal(ref, did, now);
    }
    return text.empty() ? std::string(nothing_old) : text;
}

// The command's answer, or its error.
int answer(const Result<std::string>& text) {
    return text ? print(*text) : report_error(text.error());
}

}  // namespace

int kept_list(const CommonArguments& common, bool as_json) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const Git repository(settings->paths.root);
    auto refs = list_kept(repository, "");
    if (!refs) {
        return report_error(refs.error());
    }
    std::vector<Described> all;
    for (KeptRef& ref : *refs) {
        auto described = describe(*settings, repository, std::move(ref));
        if (!described) {
            return report_error(described.error());
        }
        all.push_back(std::move(*described));
    }
    const auto workspaces = kept_workspaces(*settings);
    if (!workspaces) {
        return report_error(workspaces.error());
    }
    const core::Instant now = wall_clock();
    if (!as_json) {
        return print(list_text(all, *workspaces, now));
    }
    json::array kept;
    for (const Described& each : all) {
        kept.push_back(document_of(each, now));
    }
    json::object document;
    document["version"] = 1;
    document["kept"] = std::move(kept);
    json::array& places = document["workspaces"].emplace_array();
    for (const KeptWorkspace& each : *workspaces) {
        places.push_back({{"task_id", each.task_id}, {"lifecycle", each.lifecycle}, {"path", each.path}});
    }
    return print(core::canonical_json(document) + "\n");
}

int kept_show(const CommonArguments& common, const std::string& name, bool patch) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto text = show_text(*settings, name, patch);
    // A patch is for programs; only a terminal is kept from obeying what stands in it.
    return text && patch && ::isatty(STDOUT_FILENO) == 0 ? print_unchanged(*text) : answer(text);
}

int kept_restore(const CommonArguments& common, const std::string& name, const std::string& branch) {
    const auto settings = open_repository(common);
    return settings ? answer(restore(*settings, name, branch)) : report_error(settings.error());
}

int kept_prune(const CommonArguments& common, const KeptPruneArguments& arguments) {
    const auto settings = open_repository(common);
    return settings ? answer(prune(*settings, arguments)) : report_error(settings.error());
}

}  // namespace ralph::daemon
