// Workspaces and records that do not go together, what was quarantined, and what is kept for too long.
#include <fmt/format.h>

#include "core/queue/queue_validation.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/os/clock.h"
#include "daemon/workspace/kept_refs.h"
#include "daemon/workspace/quarantine.h"
#include "daemon/workspace/workspace_owner.h"

namespace ralph::daemon {
namespace {

void check_stray(Diagnosis& diagnosis, const Settings& settings) {
    if (!diagnosis.state_is_readable) {
        return;
    }
    const auto names = list_directory(settings.workspace_root);
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const core::WorkerRecord* const record = diagnosis.state ? diagnosis.state->find(name) : nullptr;
        const std::string path = settings.workspace(name);
        if (!core::is_safe_task_id(name) || !is_directory(path) || record != nullptr) {
            continue;
        }
        diagnosis.add({"workspace_without_record", Severity::notice, "There is a workspace without a record",
                       path,
                       "Should a task of that name run, it goes on in it. Otherwise nobody ever removes it.",
                       "look what is in it; remove it if you do not need it", "", nullptr});
    }
}

void check_missing(Diagnosis& diagnosis, const Settings& settings) {
    if (!diagnosis.state) {
        return;
    }
    const Git repository(settings.paths.root);
    for (const core::WorkerRecord& record : diagnosis.state->workers) {
        if (record.lifecycle != core::Lifecycle::blocked_push || !core::is_safe_task_id(record.task_id) ||
            is_directory(settings.workspace(record.task_id))) {
            continue;
        }
        const auto kept =
            kept_to_go_on_from(repository, record.task_id, owner_now(settings, record.task_id).task_created);
        const bool is_kept = kept && *kept;
        diagnosis.add(
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

void check_users(Diagnosis& diagnosis, const Settings& settings) {
    const auto names = list_directory(settings.workspace_root);
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const std::string path = settings.workspace(name);
        const auto user = core::is_safe_task_id(name) ? user_of_workspace(path)
                                                      : Result<std::optional<WorkspaceUser>>{std::nullopt};
        if (user && *user) {
            diagnosis.add({"workspace_in_use", Severity::notice, "Another tool works in a workspace", path,
                           fmt::format("Process {} ({}) says so by the lock {}. A task of that "
                                       "name waits until it has ended.",
                                       (*user)->pid, (*user)->command, settings.paths.in(path).queue_lock()),
                           "wait for it to end, or end it", "", nullptr});
        }
    }
}

void check_quarantined_workspaces(Diagnosis& diagnosis, const Settings& settings) {
    const auto all = list_quarantined(settings);
    std::vector<std::string> waiting;
    std::vector<std::string> expired;
    for (const QuarantinedWorkspace& each : all ? *all : std::vector<QuarantinedWorkspace>{}) {
        if (each.kind == QuarantinedWorkspace::Kind::broken || each.until < diagnosis.now) {
            (each.until < diagnosis.now ? expired : waiting).push_back(each.name);
        }
    }
    if (!waiting.empty()) {
        diagnosis.add(
            {"set_aside", Severity::notice, "Workspaces that could not be used were quarantined",
             fmt::format("{}: {}", settings.workspace_root, fmt::join(waiting, ", ")),
             fmt::format("They may hold the only copy of somebody's work. They are removed {} after "
                         "they were quarantined.",
                         core::format_duration(settings.supervisor.kept_work_retention)),
             "look whether you need what is in them", "", nullptr});
    }
    if (!expired.empty()) {
        diagnosis.add({"set_aside_old", Severity::notice, "What was quarantined is old enough to be removed",
                       fmt::format("{}: {}", settings.workspace_root, fmt::join(expired, ", ")),
                       "Its retention has ended. The landings to come remove it, at the second look that "
                       "finds it too old, after keeping what can be kept. Nothing "
                       "is run in it before.",
                       "nothing, or `ralph kept prune`", "", nullptr});
    }
}

void check_kept(Diagnosis& diagnosis, const Settings& settings) {
    const auto refs = list_kept(Git(settings.paths.root), "");
    std::vector<std::string> expired;
    for (const KeptRef& ref : refs ? *refs : std::vector<KeptRef>{}) {
        if (kept_until(settings, ref) < diagnosis.now) {
            expired.push_back(ref.name);
        }
    }
    if (!expired.empty()) {
        diagnosis.add({"kept_old", Severity::notice, "Kept work is old enough to be removed",
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

void check_workspaces(Diagnosis& diagnosis) {
    if (!diagnosis.settings) {
        return;
    }
    const Settings settings = *diagnosis.settings;
    check_stray(diagnosis, settings);
    check_users(diagnosis, settings);
    check_missing(diagnosis, settings);
    check_quarantined_workspaces(diagnosis, settings);
    check_kept(diagnosis, settings);
}

}  // namespace ralph::daemon
