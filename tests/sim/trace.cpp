#include "tests/sim/trace.h"

#include <fmt/format.h>

namespace ralph::sim {
namespace {

using core::to_string;

std::string text_of_end(const core::RunEnd& end) {
    if (const auto* const exit = std::get_if<core::ExitRecord>(&end)) {
        return core::describe(*exit) + fmt::format(" ({})", exit->value);
    }
    return std::holds_alternative<core::LostRun>(end) ? "lost" : "unstarted";
}

std::string text_of_run(const std::string& task_id, const core::Run& run) {
    return fmt::format("{} {} attempt {}", task_id, core::run_directory_name(run), run.attempt);
}

std::string text_of_history(const core::RunHistory& history) {
    std::string text = fmt::format(
        "last={} works={} restarts={} integrations={}+{} settled={} workspace={}", history.last_number,
        history.work_attempts, history.restarts, history.settled_integrations, history.integrations,
        history.settled_step ? to_string(*history.settled_step) : "none", history.workspace_exists);
    if (history.newest) {
        text += fmt::format(" newest={} {}", core::run_directory_name(history.newest->run),
                            history.newest->end ? text_of_end(*history.newest->end) : "alive");
    }
    return text;
}

struct EventText {
    std::string operator()(const core::event::TaskRecovered& event) const {
        return fmt::format("TaskRecovered {} {}", event.task_id, text_of_history(event.history));
    }
    std::string operator()(const core::event::WorkspaceLeft& event) const {
        return fmt::format("WorkspaceLeft {} {}", event.task_id, text_of_history(event.history));
    }
    std::string operator()(const core::event::QueueLoaded& event) const {
        return fmt::format("QueueLoaded requested={}", event.requested);
    }
    std::string operator()(const core::event::QueueInvalid&) const { return "QueueInvalid"; }
    std::string operator()(const core::event::RunStarted& event) const {
        return fmt::format("RunStarted {} {}", event.task_id, event.number);
    }
    std::string operator()(const core::event::RunEnded& event) const {
        return fmt::format("RunEnded {} {} {}", event.task_id, event.number, text_of_end(event.end));
    }
    std::string operator()(const core::event::RetryRequested& event) const {
        return fmt::format("RetryRequested {} {}", event.task_id, text_of_history(event.history));
    }
    std::string operator()(const core::event::DrainRequested&) const { return "DrainRequested"; }
    std::string operator()(const core::event::StopRequested&) const { return "StopRequested"; }
    std::string operator()(const core::event::TimePassed&) const { return "TimePassed"; }
};

struct ActionText {
    std::string operator()(const core::action::StartRun& action) const {
        return fmt::format("StartRun {} slot {} integration {}", text_of_run(action.task_id, action.run),
                           action.slot, action.integration);
    }
    std::string operator()(const core::action::ReadHistory& action) const {
        return "ReadHistory " + action.task_id;
    }
    std::string operator()(const core::action::AdoptRun& action) const {
        return "AdoptRun " + text_of_run(action.task_id, action.run);
    }
    std::string operator()(const core::action::EndRun& action) const {
        return "EndRun " + text_of_run(action.task_id, action.run);
    }
    std::string operator()(const core::action::SettleRuns& action) const {
        return fmt::format("SettleRuns {} {}", action.task_id, action.number);
    }
    std::string operator()(const core::action::ForgetRetryRequest& action) const {
        return "ForgetRetryRequest " + action.task_id;
    }
    std::string operator()(const core::action::LoadQueue&) const { return "LoadQueue"; }
    std::string operator()(const core::action::WakeAt& action) const {
        return "WakeAt " + core::format_rfc3339(action.when);
    }
    std::string operator()(const core::action::Announce& action) const {
        return fmt::format("Announce {} {} -> {}: {}", action.task_id,
                           action.from ? to_string(*action.from) : "none", to_string(action.to),
                           action.detail);
    }
    std::string operator()(const core::action::Note& action) const {
        return fmt::format("Note {} {}", action.task_id, action.text);
    }
    std::string operator()(const core::action::Finish& action) const {
        return fmt::format("Finish {} {}", action.exit_code, action.reason);
    }
};

}  // namespace

std::string text_of(const core::Event& event) {
    return std::visit(EventText{}, event);
}

std::string text_of(const core::Action& action) {
    return std::visit(ActionText{}, action);
}

std::string text_of(const core::ParallelState& state) {
    std::string text;
    for (const core::WorkerRecord& record : state.workers) {
        text += fmt::format("{}={} ", record.task_id, to_string(record.lifecycle));
    }
    return text;
}

}  // namespace ralph::sim
