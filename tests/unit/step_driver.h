// Drives core::step by hand: every call takes one event and returns the actions, one short line each.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/supervisor/step.h"
#include "core/supervisor/supervisor.h"

namespace ralph::test {

inline constexpr core::Instant step_start{std::chrono::seconds{1'771'545'600}};  // 2026-02-20T00:00:00Z

inline std::string name_of(const std::string& task_id, const core::Run& run) {
    return task_id + " " + core::run_directory_name(run);
}

// WakeAt is relative to `now`; notes are shown with their text, as they are part of what is promised.
struct ActionLine {
    core::Instant now;

    std::string operator()(const core::action::StartRun& start) const {
        const std::string attempt =
            start.integration == 0 ? "" : fmt::format(" integration={}", start.integration);
        const bool slotted =
            start.run.step == core::StepKind::prepare || start.run.step == core::StepKind::work;
        const std::string batch =
            start.batch.empty() ? "" : fmt::format(" with {}", fmt::join(start.batch, ","));
        return fmt::format("start {} attempt={}{}{}{}", name_of(start.task_id, start.run), start.run.attempt,
                           slotted ? fmt::format(" slot={}", start.slot) : "", attempt, batch);
    }
    std::string operator()(const core::action::ReadHistory& read) const {
        return "read " + read.task_id + (read.task ? " and keep " + read.task->title : "");
    }
    std::string operator()(const core::action::AdoptRun& adopt) const {
        return "adopt " + name_of(adopt.task_id, adopt.run);
    }
    std::string operator()(const core::action::EndRun& end) const {
        return "end " + name_of(end.task_id, end.run);
    }
    std::string operator()(const core::action::AcknowledgeRuns& settle) const {
        return fmt::format("settle {} {}", settle.task_id, settle.number);
    }
    std::string operator()(const core::action::NoteExpired& noted) const {
        std::vector<std::string> names;
        for (const auto& [name, since] : noted.notes) {
            names.push_back(name.substr(0, name.find(' ')));
        }
        return fmt::format("expired: {}", fmt::join(names, ","));
    }
    std::string operator()(const core::action::ForgetRuns& forget) const {
        return "forget the runs of " + forget.task_id;
    }
    std::string operator()(const core::action::ReadRetryHistory& read) const {
        return "read for a retry of " + read.task_id;
    }
    std::string operator()(const core::action::ForgetRetryRequest& forget) const {
        return "forget " + forget.task_id;
    }
    std::string operator()(const core::action::ForgetCancelRequest& forget) const {
        return "forget the cancel of " + forget.task_id;
    }
    std::string operator()(const core::action::LoadQueue&) const { return "load"; }
    std::string operator()(const core::action::MeasureHost&) const { return "measure"; }
    std::string operator()(const core::action::WakeAt& wake) const {
        return fmt::format("wake +{}ms{}",
                           std::chrono::duration_cast<core::Milliseconds>(wake.when - now).count(),
                           wake.is_wall_time ? " by the wall clock" : "");
    }
    std::string operator()(const core::action::Announce& announce) const {
        return fmt::format("announce {} {} -> {} attempt={}{}", announce.task_id,
                           announce.from ? to_string(*announce.from) : "new", to_string(announce.to),
                           announce.attempt, announce.detail.empty() ? "" : ": " + announce.detail);
    }
    std::string operator()(const core::action::Note& note) const {
        return fmt::format("{}{}{}: {}", note.warning ? "warn" : "note", note.task_id.empty() ? "" : " ",
                           note.task_id, note.text);
    }
    std::string operator()(const core::action::Finish& finish) const {
        return fmt::format("finish {}: {}", finish.exit_code, finish.reason);
    }
};

inline std::string lines(std::initializer_list<std::string> each) {
    std::string text;
    for (const std::string& line : each) {
        text += line + "\n";
    }
    return text;
}

inline core::ExitRecord exited(std::uint32_t status) {
    core::ExitRecord record;
    record.value = status;
    return record;
}

inline core::ExitRecord stopped() {
    core::ExitRecord record;
    record.kind = core::ExitRecord::Kind::signalled;
    record.value = 15;
    record.stopped = true;
    return record;
}

inline core::WorkerRecord record(std::string id, core::Lifecycle lifecycle) {
    core::WorkerRecord made;
    made.task_id = std::move(id);
    made.workspace_path = "/workspaces/" + made.task_id;
    made.lifecycle = lifecycle;
    made.started_at = "2026-02-19T23:00:00.000000000Z";
    return made;
}

inline core::WorkerRecord ended_record(std::string id, core::Lifecycle lifecycle, std::string completed_at) {
    core::WorkerRecord made = record(std::move(id), lifecycle);
    made.completed_at = std::move(completed_at);
    if (lifecycle != core::Lifecycle::completed) {
        made.last_error = "an error";
    }
    return made;
}

// The newest run as the run directories tell it.
inline core::RunHistory history(core::Run run, std::uint32_t slot, std::optional<core::RunEnd> end) {
    core::RunHistory made;
    made.last_number = run.number;
    // A work run counts when its worker has begun.
    const bool begun =
        run.step == core::StepKind::work && !(end && std::holds_alternative<core::StartFailed>(*end));
    made.work_attempts = run.step == core::StepKind::integrate || run.step == core::StepKind::discard || begun
                             ? run.attempt
                             : run.attempt - 1;
    made.workspace_exists = run.step != core::StepKind::prepare;
    made.newest = core::RunHistory::Newest{run, slot, false, std::move(end), std::nullopt, {}};
    return made;
}

class StepDriver {
  public:
    explicit StepDriver(core::SupervisorSettings settings = defaults())
        : StepDriver(std::move(settings), {}) {}
    StepDriver(core::SupervisorSettings settings, std::vector<core::WorkerRecord> records,
               std::set<std::string, std::less<>> attempted = {}) {
        core::ParallelState state;
        state.workers = std::move(records);
        supervisor = core::make_supervisor(std::move(settings), std::move(state), std::move(attempted));
    }

    static core::SupervisorSettings defaults() {
        core::SupervisorSettings settings;
        settings.workers = 1;
        settings.max_push_attempts = 3;
        settings.push_backoff = {core::Milliseconds{500}, core::Milliseconds{2000}};
        settings.workspace_root = "/workspaces";
        settings.kept_work_retention = std::chrono::hours{72};
        return settings;
    }

    // T1 is worked on in run 2, and T2 waits for its slot.
    static StepDriver with_a_worker(core::SupervisorSettings settings) {
        StepDriver driver(std::move(settings));
        driver.queue({"T1", "T2"});
        driver.run_first("T1", 1);
        driver.started("T1", 2);
        return driver;
    }

    std::string take(const core::Event& event) {
        std::string text;
        for (const core::Action& action :
             core::step(supervisor, event, core::Moment{now, now + wall_clock_error})) {
            text += std::visit(ActionLine{now}, action) + "\n";
        }
        return text;
    }
    // "T2<T1" is T2, which depends on T1.
    std::string queue(std::initializer_list<std::string> open, std::initializer_list<std::string> done = {},
                      bool requested = true) {
        auto snapshot = std::make_shared<core::QueueSnapshot>();
        for (const std::string& each : open) {
            snapshot->queue.tasks.push_back(task(each, core::TaskStatus::todo));
        }
        for (const std::string& each : done) {
            snapshot->done.tasks.push_back(task(each, core::TaskStatus::done));
        }
        return take(core::event::QueueLoaded{std::move(snapshot), requested});
    }
    // Of one task that was created then.
    std::string queue_created_at(const std::string& id, const std::string& time) {
        auto snapshot = std::make_shared<core::QueueSnapshot>();
        snapshot->queue.tasks.push_back(task(id, core::TaskStatus::todo));
        snapshot->queue.tasks.back().created_at = time;
        return take(core::event::QueueLoaded{std::move(snapshot), true});
    }
    std::string recovered(std::string id, core::RunHistory history = {}) {
        return take(core::event::TaskRecovered{std::move(id), std::move(history)});
    }
    std::string started(std::string id, std::uint32_t number) {
        return take(core::event::RunStarted{std::move(id), number});
    }
    std::string ended(std::string id, std::uint32_t number, core::RunEnd end,
                      std::optional<core::BlockMarker> marker = {}, core::Outcome outcome = {}) {
        return take(core::event::RunEnded{std::move(id), number, std::move(end), std::move(marker),
                                          std::move(outcome)});
    }
    std::string ended(std::string id, std::uint32_t number, std::uint32_t status) {
        return ended(std::move(id), number, exited(status));
    }
    std::string pass(core::Milliseconds time) {
        now += time;
        return take(core::event::TimePassed{});
    }
    // "running", ..., or "none".
    [[nodiscard]] std::string lifecycle(std::string_view id) const {
        const core::WorkerRecord* const found = supervisor.state.find(id);
        return found == nullptr ? "none" : std::string(to_string(found->lifecycle));
    }
    [[nodiscard]] std::string error(std::string_view id) const {
        return supervisor.state.find(id)->last_error.value_or("no error");
    }
    // From the selection to the end of run `number`, 2 being work and 3 integrate, all ending with 0.
    void run_first(const std::string& id, std::uint32_t number) {
        recovered(id);
        for (std::uint32_t each = 1; each <= number; ++each) {
            started(id, each);
            ended(id, each, 0);
        }
    }

    core::Supervisor supervisor;
    core::Instant now = step_start;
    core::Milliseconds wall_clock_error{0};

  private:
    static core::Task task(const std::string& text, core::TaskStatus status) {
        core::Task made;
        const auto depends = text.find('<');
        made.id = text.substr(0, depends);
        made.title = "Title of " + made.id;
        made.status = status;
        if (depends != std::string::npos) {
            made.depends_on.push_back(text.substr(depends + 1));
        }
        return made;
    }
};

}  // namespace ralph::test
