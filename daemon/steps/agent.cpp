#include "daemon/steps/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "config/agent_choice.h"
#include "core/agents/session_plan.h"
#include "daemon/steps/agent_phase.h"
#include "daemon/store/agent_records.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

// The newest run said that it was done, and was killed before its exit status was recorded.
Result<bool> has_ended_well(const StepContext& context, const AgentRun& newest, core::StepKind step) {
    if (newest.step != step || newest.record.verdict != core::Verdict::ok) {
        return false;
    }
    const core::Run run{newest.step, newest.number, 1};
    TRY_ASSIGN(const auto view, view_run(context.settings.paths.run(context.task_id, run), run));
    return !view.exit || (view.exit->kind == core::ExitRecord::Kind::signalled && !view.exit->stopped &&
                          !view.exit->timed_out);
}

// As it would have ended without a handler: the shim knows whether it asked for that. If it was somebody
// else, the run counts as lost and goes on.
void die_of_the_signal() {
    static_cast<void>(std::signal(SIGTERM, SIG_DFL));
    static_cast<void>(::raise(SIGTERM));
    sigset_t none;
    ::sigemptyset(&none);
    static_cast<void>(::sigprocmask(SIG_SETMASK, &none, nullptr));
}

Result<Ending> work_in_phases(AgentPhase::Run& run, const std::vector<config::AgentChoice>& phases,
                              std::size_t first) {
    for (std::size_t i = first; i < phases.size(); ++i) {
        AgentPhase phase(run, phases[i]);
        auto ending = phase.work();
        if (phase.was_stopped()) {
            die_of_the_signal();
        }
        if (!ending || ending->code != 0) {
            return ending;
        }
        run.finished.push_back(phase.record());
    }
    return Ending{0, {}};
}

Result<Ending> run_agents(const StepContext& context) {
    const std::size_t slash = context.run_directory.rfind('/');
    const auto name = core::parse_run_directory_name(
        std::string_view(context.run_directory).substr(slash == std::string::npos ? 0 : slash + 1));
    if (!name) {
        return Error{fmt::format("{} is no run directory", context.run_directory),
                     "steps are started by the supervisor, not by hand"};
    }
    TRY_ASSIGN(const auto task, read_kept_task(context.settings.paths, context.task_id));
    TRY_ASSIGN(const auto phases, config::choose_agents(context.settings.supervisor, task,
                                                        name->step == core::StepKind::remediate));
    if (phases.empty()) {
        return Error{fmt::format("no agent is set for {}", context.task_id), "see worker.agent"};
    }
    AgentPhase::Run run{context, *name, task, {}, {}};
    TRY_ASSIGN(auto runs, agent_runs(context.settings.paths, context.task_id));
    std::erase_if(runs, [&](const AgentRun& other) { return other.number == name->number; });
    for (const AgentRun& other : runs) {
        run.earlier.push_back(other.record);
    }
    std::vector<std::string> names;
    for (const config::AgentChoice& phase : phases) {
        names.push_back(phase.phase);
    }
    std::size_t first = core::next_phase(names, run.earlier);
    if (first == phases.size()) {
        TRY_ASSIGN(const auto ended_well, has_ended_well(context, runs.back(), name->step));
        if (ended_well) {
            core::AgentRecord record = run.earlier.back();
            record.usage = {};  // it is counted there
            TRY(write_agent_record(context.run_directory, record));
            std::printf("ralph: the agent had ended well, and only that was not recorded\n");
            return Ending{0, {}};
        }
        first = 0;
    }
    return work_in_phases(run, phases, first);
}

}  // namespace

int run_agent_step(const StepContext& context) {
    auto ending = run_agents(context);
    return finish_step(context, ending ? *ending : Ending{1, {ending.error().line(), {}, {}, {}}});
}

}  // namespace ralph::daemon
