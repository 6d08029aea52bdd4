#include "daemon/workspace/step_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/queue/queue_validation.h"
#include "daemon/git/trust.h"
#include "daemon/os/files.h"
#include "daemon/os/program.h"
#include "daemon/store/ralph_folder.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/settings_snapshot.h"

namespace ralph::daemon {
namespace {

constexpr const char* remedy = "steps are started by the supervisor, not by hand";

Result<std::uint32_t> number(const char* name) {
    const std::string text = our_variable(name);
    if (text.empty()) {
        return 1U;
    }
    std::uint32_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size()) {
        return Error{fmt::format("{} is \"{}\", not a number", name, core::printable(text)), remedy};
    }
    return value;
}

// Those that the supervisor decided with. A supervisor of before such a snapshot leaves none. Trust that has
// been taken back since is lost at once.
Result<Settings> settings_of_run(const std::string& root, const std::string& run_directory) {
    TRY_ASSIGN(const auto spec, read_spec(run_directory));
    if (!spec || !spec->settings) {
        return load_settings(root);
    }
    TRY_ASSIGN(const auto paths, paths_of(root));
    TRY(check_ralph_folder(paths));
    TRY_ASSIGN(auto settings, settings_of(paths, *spec->settings));
    if (settings.trusted) {
        TRY_ASSIGN(const auto trust, trust_of(paths));
        if (!trust.is_given) {
            return Error{trust.refusal.empty()
                             ? fmt::format("{}: this repository is not trusted any more", paths.trust())
                             : trust.refusal,
                         "run `ralph init --trust` if you trust its commands"};
        }
    }
    return settings;
}

}  // namespace

Result<StepContext> read_step_context() {
    for (const char* name :
         {"RALPH_ROOT", "RALPH_TASK_ID", "RALPH_WORKSPACE", "RALPH_TARGET_BRANCH", "RALPH_RUN_DIR"}) {
        if (our_variable(name).empty()) {
            return Error{fmt::format("{} is not set", name), remedy};
        }
    }
    TRY_ASSIGN(auto settings, settings_of_run(our_variable("RALPH_ROOT"), our_variable("RALPH_RUN_DIR")));
    const std::string batch = our_variable("RALPH_BATCH");
    auto attempt = number("RALPH_ATTEMPT");
    auto integration = number("RALPH_INTEGRATION");
    auto most = number("RALPH_MAX_INTEGRATIONS");
    for (const auto* value : {&attempt, &integration, &most}) {
        if (!*value) {
            return value->error();
        }
    }
    StepContext context{std::move(settings),
                        our_variable("RALPH_TASK_ID"),
                        our_variable("RALPH_TASK_TITLE"),
                        our_variable("RALPH_WORKSPACE"),
                        our_variable("RALPH_TARGET_BRANCH"),
                        our_variable("RALPH_RUN_DIR"),
                        *attempt,
                        *integration,
                        *most};
    // Steps remove and rewrite the workspace, so it must be the one that belongs to the task.
    if (!core::is_safe_task_id(context.task_id)) {
        return Error{
            fmt::format("RALPH_TASK_ID {} cannot be part of a path", core::printable(context.task_id)),
            remedy};
    }
    if (context.workspace != context.settings.workspace(context.task_id)) {
        return Error{fmt::format("RALPH_WORKSPACE is {}, but the workspace of {} is {}", context.workspace,
                                 context.task_id, context.settings.workspace(context.task_id)),
                     "restart the supervisor if parallel.workspace_root was changed"};
    }
    context.batch = split_task_ids(batch);
    for (const std::string& task_id : context.batch) {
        if (!core::is_safe_task_id(task_id)) {
            return Error{fmt::format("RALPH_BATCH {} cannot be part of a path", core::printable(task_id)),
                         remedy};
        }
    }
    return context;
}

std::vector<std::string> split_task_ids(std::string_view text) {
    std::vector<std::string> task_ids;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        task_ids.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return task_ids;
}

StepContext context_of(const StepContext& run, const std::string& task_id) {
    StepContext context = run;
    if (task_id != run.task_id) {
        const auto task = read_kept_task(run.settings.paths, task_id);
        context.task_id = task_id;
        context.task_title = task ? std::string(core::trimmed(task->title)) : std::string{};
        context.workspace = run.settings.workspace(task_id);
    }
    return context;
}

Result<void> write_outcome(const StepContext& context, const core::Outcome& outcome) {
    return write_file_durably(context.run_directory + "/outcome.json", core::outcome_text(outcome));
}

int finish_step(const StepContext& context, const Ending& ending) {
    for (const std::string* text : {&ending.outcome.summary, &ending.outcome.note}) {
        if (!text->empty()) {
            static_cast<void>(
                std::fprintf(stderr, "ralph: %s: %s\n", context.task_id.c_str(), text->c_str()));
        }
    }
    if (auto written = write_outcome(context, ending.outcome); !written) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", written.error().line().c_str()));
    }
    return ending.code;
}

void add_note(core::Outcome& outcome, const std::string& sentence) {
    if (!sentence.empty()) {
        outcome.note += (outcome.note.empty() ? "" : "; ") + sentence;
    }
}

std::string retry_command(const StepContext& context) {
    return fmt::format("then run `ralph run parallel retry --task {}`", context.task_id);
}

}  // namespace ralph::daemon
