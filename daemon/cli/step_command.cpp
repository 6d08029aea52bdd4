// ralph step: the built-in steps, run by the supervisor under a shim.
#include <fmt/format.h>

#include <cstdlib>

#include "core/supervisor/run_record.h"
#include "core/supervisor/transition.h"
#include "daemon/cli/common.h"
#include "daemon/landing/integrate.h"
#include "daemon/landing/speculation.h"
#include "daemon/steps/agent.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/look.h"
#include "daemon/steps/prepare.h"
#include "daemon/workspace/step_context.h"

namespace ralph::daemon {
namespace {

// Stands in for a worker that must not or cannot be started, so that it ends like any worker that failed.
int refuse(const StepContext& context) {
    const char* const reason = std::getenv("RALPH_REFUSAL");
    core::Outcome outcome;
    outcome.summary = reason == nullptr ? "the worker was refused" : reason;
    static_cast<void>(std::fprintf(stderr, "%s\n", outcome.summary.c_str()));
    const auto written = write_outcome(context, outcome);
    return written ? 1 : report_error(written.error());
}

}  // namespace

int look(const CommonArguments& common, const std::string& branch) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto code = look_at_remote(*settings, branch);
    return code ? *code : report_error(code.error());
}

int run_step(const std::string& step) {
    const auto context = read_step_context();
    if (!context) {
        StepContext unread;
        unread.run_directory = our_variable("RALPH_RUN_DIR");
        core::Outcome outcome;
        outcome.summary = context.error().line();
        const auto written =
            unread.run_directory.empty() ? core::Result<void>{} : write_outcome(unread, outcome);
        if (!written) {
            static_cast<void>(report_error(written.error()));
        }
        const int code = report_error(context.error());
        return context.error().is_passing() ? static_cast<int>(core::exit_unavailable) : code;
    }
    if (step == "refuse") {
        return refuse(*context);
    }
    if (step == "agent") {
        return run_agent_step(*context);
    }
    if (step == "gate") {
        return run_gate_step(*context);
    }
    const auto kind = core::parse_step_kind(step);
    if (!kind) {
        return report_error(core::Error{fmt::format("there is no step \"{}\"", step)});
    }
    switch (*kind) {
        case core::StepKind::prepare:
            return run_prepare_step(*context);
        case core::StepKind::integrate:
            return run_integrate_step(*context);
        case core::StepKind::discard:
            return run_discard_step(*context);
        case core::StepKind::work:
        case core::StepKind::remediate:
            break;
    }
    return report_error(core::Error{"this step is the worker's own command"});
}

}  // namespace ralph::daemon
