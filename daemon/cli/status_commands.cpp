// run parallel status, run parallel retry.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <vector>

#include "core/base/canonical_json.h"
#include "core/supervisor/admission.h"
#include "core/supervisor/transition.h"
#include "daemon/cli/common.h"
#include "daemon/cli/status_document.h"
#include "daemon/os/clock.h"
#include "daemon/os/host.h"
#include "daemon/store/accounts.h"
#include "daemon/store/agent_records.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/holds.h"
#include "daemon/store/spending.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "daemon/store/task_requests.h"
#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/watcher.h"

namespace ralph::daemon {
namespace {

constexpr int exit_needs_person = 4;  // as of the doctor

std::string marker_text(const Paths& workspace) {
    if (!path_exists(workspace.block_marker())) {
        return "missing";
    }
    const auto marker = read_marker(workspace);
    return marker && *marker ? fmt::format("{}/{}", (*marker)->attempt, (*marker)->max_attempts)
                             : "unreadable";
}

// What cannot be read now is left out: it is for people only.
void gather_agents(const Settings& settings, StatusFacts& facts) {
    if (facts.living_supervisor) {
        facts.pressure = core::pressure_of(measure_host(settings.workspace_root), settings.host_limits());
    }
    if (auto pauses = read_pauses(settings.accounts_folder)) {
        std::erase_if(*pauses, [now = wall_clock()](const core::AccountPause& pause) {
            return !core::holds(pause, now);  // its time has come: the next task tries
        });
        facts.paused_accounts = std::move(*pauses);
    }
    const auto spending = read_spending(settings.paths);
    const core::Instant now = wall_clock();
    auto spent = budget_pause(settings.supervisor.budgets, spending, now);
    // The next run has a budget of its own.
    if (spent && (facts.living_supervisor || !spending || spent->account != core::budget_of_run)) {
        facts.paused_accounts.push_back(std::move(*spent));
    }
    if (spending) {
        facts.used_in_run = spending->in_run;
        facts.used_today = core::used_on(*spending, core::local_day(now, utc_offset_minutes(now)));
    }
    for (const core::WorkerRecord& record : facts.state->workers) {
        const auto runs = core::is_safe_task_id(record.task_id) ? agent_runs(settings.paths, record.task_id)
                                                                : Result<std::vector<AgentRun>>{Error{}};
        if (!runs || runs->empty()) {
            continue;
        }
        AgentSummary summary;
        summary.task_id = record.task_id;
        summary.last = runs->back().record;
        std::set<std::uint32_t> numbers;
        for (const AgentRun& run : *runs) {
            numbers.insert(run.number);
            summary.usage.add(run.record.usage);
        }
        summary.runs = static_cast<std::uint32_t>(numbers.size());
        facts.agents.push_back(std::move(summary));
    }
}

StatusFacts gather(const Settings& settings, std::optional<core::ParallelState> state) {
    StatusFacts facts;
    if (const auto owner = living_supervisor(settings.paths)) {
        facts.living_supervisor = fmt::format("pid {} since {}", owner->pid, owner->started_at);
    }
    facts.now = wall_clock();
    facts.paths = settings.paths;
    facts.live = facts.living_supervisor ? read_live_view(settings.paths) : std::nullopt;
    if (facts.live) {
        facts.holds = facts.live->holds;
    }
    const auto seen = holds_beside(settings.paths, facts.live, facts.now);
    facts.holds.insert(facts.holds.end(), seen.begin(), seen.end());
    if (auto lock = hold_of_lock(settings.paths)) {
        facts.holds.push_back(std::move(*lock));
    }
    const auto rewritten = read_file(settings.paths.rewritten_target(), 1U << 16U);
    if (rewritten && *rewritten) {
        facts.drift.push_back(
            fmt::format("{} (run `ralph doctor --fix` once you have seen it)", core::trimmed(**rewritten)));
    }
    if (auto retries = requested_tasks(settings.paths.retry_requests())) {
        facts.retries = std::move(*retries);
    }
    facts.state = std::move(state);
    if (!facts.state) {
        return facts;
    }
    gather_agents(settings, facts);
    std::vector<std::string> integrating;
    for (const core::WorkerRecord* const record : facts.state->by_lifecycle(core::Lifecycle::integrating)) {
        if (core::is_safe_task_id(record->task_id)) {
            integrating.push_back(record->task_id);
        }
    }
    facts.lane = view_landing(settings.paths, integrating);
    for (const core::WorkerRecord& record : facts.state->workers) {
        if (!core::is_safe_task_id(record.task_id)) {
            continue;
        }
        const std::string workspace = settings.workspace(record.task_id);
        const bool there = is_directory(workspace);
        switch (record.lifecycle) {
            case core::Lifecycle::running:
            case core::Lifecycle::integrating:
                break;
            case core::Lifecycle::completed:
                if (there && !facts.living_supervisor) {
                    facts.drift.push_back(
                        fmt::format("{} is completed and its workspace is still there", record.task_id));
                }
                break;
            case core::Lifecycle::blocked_push:
                if (!there) {
                    facts.drift.push_back(
                        fmt::format("{} is blocked and its workspace is missing", record.task_id));
                }
                [[fallthrough]];
            case core::Lifecycle::failed:
                if (there) {
                    facts.retained.push_back(
                        {record.task_id, workspace, marker_text(settings.paths.in(workspace))});
                }
                break;
        }
    }
    return facts;
}

Result<void> check_retryable(const Settings& settings, const std::string& task_id) {
    const auto state = read_state_file(settings.paths.state());
    if (!state) {
        return Error{state.error().message, "run `ralph doctor`"};
    }
    const core::WorkerRecord* const record = *state ? (*state)->find(task_id) : nullptr;
    if (record == nullptr || !core::is_safe_task_id(task_id)) {
        return Error{fmt::format("there is no record of {}", task_id), "see `ralph run parallel status`"};
    }
    if (!core::transition(record->lifecycle, core::TaskEvent::retry_requested)) {
        return Error{fmt::format("{} is {}; only a failed or blocked task can be retried", task_id,
                                 to_string(record->lifecycle)),
                     "see `ralph run parallel status`"};
    }
    return {};
}

}  // namespace

namespace {

Result<StatusFacts> look(const CommonArguments& common) {
    TRY_ASSIGN(const auto settings, open_repository(common));
    auto state = read_state_file(settings.paths.state());
    if (!state) {
        return Error{state.error().message, "run `ralph doctor`"};
    }
    return gather(settings, std::move(*state));
}

// Something that a person is to do.
bool needs_person(const StatusFacts& facts) {
    const bool is_held = std::any_of(facts.holds.begin(), facts.holds.end(),
                                     [](const core::Hold& hold) { return !hold.next.empty(); });
    return is_held ||
           (facts.state && facts.state->count(core::Lifecycle::failed) + facts.state->blocked_count() > 0);
}

// Shows it again whenever something has happened, and as time passes.
class StatusWatch {
  public:
    StatusWatch(const CommonArguments& common, Paths paths) : common_(common), paths_(std::move(paths)) {}

    int run() {
        loop_.watch_signals({SIGINT, SIGTERM}, [this](int signal) { end(128 + signal); });
        watcher_.start({paths_.parallel()}, [this](const std::string&, std::string_view) {
            if (!std::exchange(is_due_, true)) {
                soon_.arm(settling, [this] { show(); });
            }
        });
        show();
        loop_.run();
        return exit_code_;
    }

  private:
    static constexpr std::chrono::milliseconds settling{200};
    static constexpr std::chrono::seconds ages_change{5};

    void show() {
        is_due_ = false;
        const auto facts = look(common_);
        if (!facts) {
            end(report_error(facts.error()));
            return;
        }
        const std::string text = status_text(*facts);
        if (text != shown_) {
            shown_ = text;
            const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
            const int printed = print_unchanged(is_terminal ? "\033[H\033[2J" : "");
            if (const int told = printed != 0 ? printed : print(text + (is_terminal ? "" : "\n"));
                told != 0) {
                end(told);
                return;
            }
        }
        later_.arm(ages_change, [this] { show(); });
    }

    void end(int exit_code) {
        exit_code_ = exit_code;
        loop_.stop();
    }

    const CommonArguments& common_;
    Paths paths_;
    std::string shown_;
    bool is_due_ = false;
    Loop loop_;
    Timer soon_{loop_};
    Timer later_{loop_};
    Watcher watcher_{loop_};
    int exit_code_ = 0;
};

}  // namespace

int show_status(const CommonArguments& common, const StatusArguments& arguments) {
    const auto facts = look(common);
    if (!facts) {
        return report_error(facts.error());
    }
    if (arguments.watch) {
        const auto settings = open_repository(common);
        return settings ? StatusWatch(common, settings->paths).run() : report_error(settings.error());
    }
    const int told =
        print(arguments.json ? core::canonical_json(status_document(*facts)) + "\n" : status_text(*facts));
    return told != 0 ? told : arguments.exit_code && needs_person(*facts) ? exit_needs_person : 0;
}

int retry_tasks(const CommonArguments& common, const RetryArguments& arguments) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    std::vector<std::string> wanted = arguments.task_ids;
    if (arguments.failed || arguments.blocked) {
        const auto state = read_state_file(settings->paths.state());
        if (!state) {
            return report_error(Error{state.error().message, "run `ralph doctor`"});
        }
        for (const core::WorkerRecord& record :
             *state ? (*state)->workers : std::vector<core::WorkerRecord>{}) {
            if ((arguments.failed && record.lifecycle == core::Lifecycle::failed) ||
                (arguments.blocked && record.lifecycle == core::Lifecycle::blocked_push)) {
                wanted.push_back(record.task_id);
            }
        }
        if (wanted.empty()) {
            return print("there is no such task\n");
        }
    }
    if (wanted.empty()) {
        return report_error(Error{"no task is named", "name one, or use --failed or --blocked"});
    }
    for (const std::string& task_id : wanted) {  // all of them, or none
        if (auto retryable = check_retryable(*settings, task_id); !retryable) {
            return report_error(retryable.error());
        }
    }
    for (const std::string& task_id : wanted) {
        // The supervisor owns the state; it sees the request, now or at its next start, and answers in its
        // log.
        if (auto requested = make_request(settings->paths.retry_requests(), task_id); !requested) {
            return report_error(requested.error());
        }
    }
    const std::string names = fmt::format("{}", fmt::join(wanted, ", "));
    return print(living_supervisor(settings->paths)
                     ? fmt::format("the running supervisor was asked to run {} again\n", names)
                     : fmt::format("{} will run again with the next `ralph run --parallel`\n", names));
}

}  // namespace ralph::daemon
