// Workspaces and records that do not go together, what was set aside, and what is kept for too long.
#include <fmt/format.h>

#include "core/queue/queue_validation.h"
#include "daemon/doctor/examination.h"
#include "daemon/os/clock.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/set_aside.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

void examine_stray(Examination& examination, const Settings& settings) {
    if (!examination.state_is_readable) {
        return;
    }
    const auto names = list_directory(settings.workspace_root);
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const core::WorkerRecord* const record = examination.state ? examination.state->find(name) : nullptr;
        const std::string path = settings.workspace(name);
        if (!core::is_safe_task_id(name) || !is_directory(path) || record != nullptr) {
            continue;
        }
        examination.add(
            {"workspace_without_record", Severity::notice, "There is a workspace without a record", path,
             "Should a task of that name run, it goes on in it. Otherwise nobody ever removes it.",
             "look what is in it; remove it if you do not need it", "", nullptr});
    }
}

void examine_missing(Examination& examination, const Settings& settings) {
    if (!examination.state) {
        return;
    }
    const Git repository(settings.paths.root);
    for (const core::WorkerRecord& record : examination.state->workers) {
        if (record.lifecycle != core::Lifecycle::blocked_push || !core::is_safe_task_id(record.task_id) ||
            is_directory(settings.workspace(record.task_id))) {
            continue;
        }
        const auto kept =
            kept_to_go_on_from(repository, record.task_id, owner_now(settings, record.task_id).task_created);
        const bool is_kept = kept && *kept;
        examination.add(
            {"workspace_missing", is_kept ? Severity::notice : Severity::wrong,
             "The workspace of a blocked task is gone", settings.workspace(record.task_id),
             is_kept ? fmt::format("Its work is kept as {}, and a retry goes on from it.", (*kept)->name)
                     : "Its work was finished but had not landed, and nothing of it is kept. A retry does it "
                       "again.",
             fmt::format("run `ralph run parallel retry --task {}`", record.task_id), "", nullptr});
    }
}

// Said of what was noted.
constexpr const char* goes_later = ": removed if still too old a day from now, since a clock may be wrong";

void examine_users(Examination& examination, const Settings& settings) {
    const auto names = list_directory(settings.workspace_root);
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const std::string path = settings.workspace(name);
        const auto user = core::is_safe_task_id(name) ? user_of_workspace(path)
                                                      : Result<std::optional<WorkspaceUser>>{std::nullopt};
        if (user && *user) {
            examination.add({"workspace_in_use", Severity::notice, "Another tool works in a workspace", path,
                             fmt::format("Process {} ({}) says so by the lock {}/.ralph/lock. A task of that "
                                         "name waits until it has ended.",
                                         (*user)->pid, (*user)->command, path),
                             "wait for it to end, or end it", "", nullptr});
        }
    }
}

void examine_set_aside(Examination& examination, const Settings& settings) {
    const auto all = list_set_aside(settings);
    std::vector<std::string> waiting;
    std::vector<std::string> expired;
    for (const SetAside& each : all ? *all : std::vector<SetAside>{}) {
        if (each.kind == SetAside::Kind::broken || each.until < examination.now) {
            (each.until < examination.now ? expired : waiting).push_back(each.name);
        }
    }
    if (!waiting.empty()) {
        examination.add(
            {"set_aside", Severity::notice, "Workspaces that could not be used were set aside",
             fmt::format("{}: {}", settings.workspace_root, fmt::join(waiting, ", ")),
             fmt::format("They may hold the only copy of somebody's work. They are removed {} after "
                         "they were set aside.",
                         core::format_duration(settings.supervisor.kept_work_retention)),
             "look whether you need what is in them", "", nullptr});
    }
    if (!expired.empty()) {
        examination.add({"set_aside_old", Severity::notice, "What was set aside is old enough to be removed",
                         fmt::format("{}: {}", settings.workspace_root, fmt::join(expired, ", ")),
                         "Its retention has ended. The landings to come remove it, at the second look that "
                         "finds it too old, after keeping what can be kept. Nothing "
                         "is run in it before.",
                         "nothing, or `ralph kept prune`", "", nullptr});
    }
}

void examine_kept(Examination& examination, const Settings& settings) {
    const auto refs = list_kept(Git(settings.paths.root), "");
    std::vector<std::string> expired;
    for (const KeptRef& ref : refs ? *refs : std::vector<KeptRef>{}) {
        if (kept_until(settings, ref) < examination.now) {
            expired.push_back(ref.name);
        }
    }
    if (!expired.empty()) {
        examination.add({"kept_old", Severity::notice, "Kept work is old enough to be removed",
                         fmt::format("{}: {}", settings.paths.root, fmt::join(expired, ", ")),
                         "Its retention has ended. The landings to come remove it, at the second look that "
                         "finds it too old.",
                         "nothing; look at it with `ralph kept list` while it is there",
                         "notes it, and a day later removes it", [settings]() -> Result<std::string> {
                             TRY_ASSIGN(const auto pruned, prune_kept_work(settings, present_moment()));
                             return fmt::format(
                                 "{} removed{}", pruned.removed.size(),
                                 pruned.noted.empty()
                                     ? std::string{}
                                     : fmt::format(", {} noted{}", pruned.noted.size(), goes_later));
                         }});
    }
}

}  // namespace

void examine_workspaces(Examination& examination) {
    if (!examination.settings) {
        return;
    }
    const Settings settings = *examination.settings;
    examine_stray(examination, settings);
    examine_users(examination, settings);
    examine_missing(examination, settings);
    examine_set_aside(examination, settings);
    examine_kept(examination, settings);
}

}  // namespace ralph::daemon
