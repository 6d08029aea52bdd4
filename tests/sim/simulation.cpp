#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/sim/trace.h"

namespace ralph::sim {

namespace {

constexpr std::int64_t epoch_ms = 1'771'545'600'000;  // 2026-02-20T00:00:00Z
constexpr std::uint32_t most_steps = 20'000;
constexpr std::uint32_t most_sessions = 40;

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool keep_trace)
    : random_(seed), keep_trace_(keep_trace), world_(random_, 1 + random_.below(7)), oracle_(world_) {
    settings_.workers = 1 + random_.below(4);
    settings_.max_tasks = random_.chance(20) ? 1 + random_.below(4) : 0;
    settings_.continuous = random_.chance(20);
    settings_.max_restarts = random_.below(3);
    settings_.max_push_attempts = random_.chance(5) ? 0 : 1 + random_.below(3);
    for (std::uint32_t i = random_.below(3); i > 0; --i) {
        settings_.push_backoff.emplace_back(random_.below(5'000));
    }
    settings_.workspace_root = "/workspaces";
    settings_.kept_work_retention = core::Milliseconds{random_.below(3) * 3'600'000LL};
    world_.hazards.start_fails = random_.chance(30) ? 30 : 3;
    world_.hazards.lost = random_.chance(30) ? 30 : 4;
    world_.hazards.fails = random_.chance(50) ? 25 : 5;
    misfortunes_left_ = random_.below(25);
    state_fallback_ = random_.chance(10);
}

core::Instant Simulation::wall_clock() const {
    return core::Instant{core::Milliseconds{epoch_ms + world_.now() + clock_error_ms_}};
}

void Simulation::record(std::string line) {
    if (keep_trace_) {
        report_.trace.push_back(fmt::format("{:>9} {}", world_.now(), line));
    }
}

Report Simulation::run() {
    try {
        std::uint32_t sessions = 0;
        while (!calm_) {
            calm_ = misfortunes_left_ == 0 || ++sessions >= most_sessions;
            run_session();
        }
        const bool limited = settings_.max_tasks != 0;
        oracle_.on_calm_end(durable_, *finished_, limited);
    } catch (const Violation& violation) {
        report_.violation = violation.what;
    }
    return std::move(report_);
}

// From a start by the operator to the end on request or for want of tasks, crashes included.
void Simulation::run_session() {
    if (calm_) {
        world_.hazards = Hazards{0, 0, 10, 10};
        settings_.continuous = false;
        queue_is_valid_ = true;
    }
    start_supervisor(std::none_of(durable_.workers.begin(), durable_.workers.end(), is_active));
    while (!finished_) {
        try {
            turn();
        } catch (const Crash&) {
            crash();
        }
        oracle_.check_world();
    }
}

void Simulation::crash() {
    record("CRASH");
    ++report_.crashes;
    if (state_fallback_ && random_.chance(20) && !(durable_ == previous_)) {
        record("the state is lost, its previous generation is used");
        durable_ = previous_;
        circumstances_.state_was_lost = true;
    }
    start_supervisor(false);
}

void Simulation::post(std::string task_id, core::Event event) {
    messages_.push_back(Message{std::move(task_id), std::move(event)});
}

void Simulation::post_queue(bool requested) {
    if (queue_is_valid_) {
        post("", core::event::QueueLoaded{world_.snapshot(), requested});
    } else {
        post("", core::event::QueueInvalid{"broken", requested});
    }
}

void Simulation::turn() {
    if (++report_.steps > most_steps) {
        throw Violation{"the session does not end"};
    }
    if (!calm_ && misfortunes_left_ > 0 && random_.chance(8)) {
        --misfortunes_left_;
        misfortune();
    } else if (!messages_.empty() && random_.chance(80)) {
        deliver(take_message());
    } else {
        advance();
    }
}

// Time goes on to the next thing that happens by itself.
void Simulation::advance() {
    std::optional<std::int64_t> next = world_.next_end();
    if (wake_) {
        const auto wall = std::chrono::ceil<core::Milliseconds>(*wake_ - wall_clock()).count();
        const std::int64_t due = world_.now() + std::max<std::int64_t>(0, wall);
        next = std::min(due, next.value_or(due));
    }
    if (!next) {
        if (messages_.empty() && settings_.continuous) {
            record("nothing happens any more: drain");
            deliver(core::event::DrainRequested{0, "the simulation ends"});
        } else if (messages_.empty() && !queue_is_valid_) {
            queue_is_valid_ = true;
            post_queue(false);
        } else if (messages_.empty()) {
            throw Violation{"stuck: nothing is under way, and the supervisor waits"};
        }
        return;
    }
    world_.advance_to(*next);
    deliver_ends();
    if (wake_ && *wake_ <= wall_clock()) {
        wake_.reset();
        deliver(core::event::TimePassed{});
    }
}

void Simulation::deliver_ends() {
    for (FakeTask* const task : world_.end_due_runs()) {
        FakeRun& run = task->runs.back();
        record(fmt::format("{} {} ends{}", task->id, core::run_directory_name(run.run),
                           run.watched ? "" : " unwatched"));
        if (run.watched) {
            post_end(*task, run);
        }
    }
}

void Simulation::post_end(const FakeTask& task, FakeRun& run) {
    run.watched = false;
    post(task.id, core::event::RunEnded{task.id, run.run.number, World::end_of(run),
                                        World::marker_of(task, run), core::Outcome{}});
}

void Simulation::misfortune() {
    const std::uint32_t kind = random_.below(100);
    if (kind < 40) {
        throw Crash{};
    }
    if (kind < 70) {
        disturb_supervisor(kind);
    } else {
        disturb_world(kind);
    }
}

void Simulation::disturb_supervisor(std::uint32_t kind) {
    if (kind < 45) {
        deliver(core::event::DrainRequested{random_.chance(50) ? 15 : 0, "asked for"});
    } else if (kind < 52) {
        circumstances_.stop_requested = true;
        deliver(core::event::StopRequested{15});
    } else if (kind < 62) {
        FakeTask& task = world_.tasks()[random_.below(world_.tasks().size())];
        if (task.retry_request) {
            return;  // there is one already
        }
        record(task.id + " retry is requested");
        task.retry_request = true;
        post(task.id, core::event::RetryRequested{task.id, world_.history(task)});
    } else {
        post_queue(false);
    }
}

void Simulation::disturb_world(std::uint32_t kind) {
    if (kind < 80) {
        for (FakeTask& task : world_.tasks()) {
            if (!task.runs.empty() && task.runs.back().alive() && random_.chance(50)) {
                record(task.id + " its shim is killed");
                world_.kill_shim(task.runs.back());
            }
        }
    } else if (kind < 86) {
        queue_is_valid_ = !queue_is_valid_;
        post_queue(false);
    } else if (kind < 92) {
        clock_error_ms_ += (random_.chance(50) ? 1 : -1) * std::int64_t{random_.below(200'000'000)};
        record("the clock jumps");
    } else if (kind < 96) {
        world_.add_task();
        post_queue(false);
    } else {
        for (FakeTask& task : world_.tasks()) {
            if (random_.chance(30)) {
                task.done_in_queue = task.done_in_queue || task.landed;
            }
        }
        clock_error_ms_ += 90'000'000;
        record("a day passes");
    }
}

void Simulation::maybe_crash(std::uint32_t per_thousand) {
    if (!calm_ && misfortunes_left_ > 0 && random_.below(1000) < per_thousand) {
        --misfortunes_left_;
        throw Crash{};
    }
}

core::Event Simulation::take_message() {
    const std::string task_id = messages_[random_.below(messages_.size())].task_id;
    const auto first = std::find_if(messages_.begin(), messages_.end(),
                                    [&](const Message& message) { return message.task_id == task_id; });
    core::Event event = std::move(first->event);
    messages_.erase(first);
    return event;
}

// decide -> make durable -> act; one save for all that came meanwhile
void Simulation::deliver(const core::Event& event) {
    record("<- " + text_of(event));
    std::vector<core::Action> actions = core::step(supervisor_, event, wall_clock());
    while (!messages_.empty() && random_.chance(20)) {
        const core::Event another = take_message();
        record("<+ " + text_of(another));
        for (core::Action& action : core::step(supervisor_, another, wall_clock())) {
            actions.push_back(std::move(action));
        }
    }
    maybe_crash(10);
    if (!(supervisor_.state == durable_)) {
        oracle_.on_saved(durable_, supervisor_.state, circumstances_);
        previous_ = std::exchange(durable_, supervisor_.state);
        record("   saved: " + text_of(durable_));
        maybe_crash(20);
    }
    if (std::any_of(actions.begin(), actions.end(), [](const core::Action& action) {
            return std::holds_alternative<core::action::WakeAt>(action);
        })) {
        wake_.reset();
    }
    for (const core::Action& action : actions) {
        record("   -> " + text_of(action));
        perform(action);
        maybe_crash(10);
    }
}

void Simulation::perform(const core::Action& action) {
    namespace act = core::action;
    if (const auto* const start = std::get_if<act::StartRun>(&action)) {
        perform_start(*start);
    } else if (const auto* const read = std::get_if<act::ReadHistory>(&action)) {
        post(read->task_id,
             core::event::TaskRecovered{read->task_id, world_.history(world_.task(read->task_id))});
    } else if (const auto* const adopted = std::get_if<act::AdoptRun>(&action)) {
        adopt(adopted->task_id, adopted->run);
    } else if (const auto* const end = std::get_if<act::EndRun>(&action)) {
        for (FakeRun& run : world_.task(end->task_id).runs) {
            if (run.run.number == end->run.number) {
                world_.ask_to_end(run);
            }
        }
    } else if (const auto* const settle = std::get_if<act::SettleRuns>(&action)) {
        oracle_.on_settled(*settle);
        world_.task(settle->task_id).settled = settle->number;
    } else if (const auto* const forget = std::get_if<act::ForgetRetryRequest>(&action)) {
        world_.task(forget->task_id).retry_request = false;
    } else if (std::holds_alternative<act::LoadQueue>(action)) {
        post_queue(true);
    } else if (const auto* const wake = std::get_if<act::WakeAt>(&action)) {
        wake_ = std::min(wake->when, wake_.value_or(wake->when));
    } else if (const auto* const finish = std::get_if<act::Finish>(&action)) {
        finished_ = finish->exit_code;
    }
}

void Simulation::perform_start(const core::action::StartRun& start) {
    oracle_.on_start(start, durable_, circumstances_);
    FakeTask& task = world_.task(start.task_id);
    if (!calm_ && misfortunes_left_ > 0 && random_.below(1000) < 10) {
        --misfortunes_left_;
        world_.make_run(start, random_.chance(50));
        throw Crash{};
    }
    FakeRun& run = world_.make_run(start, true);
    if (!world_.launch(run, task)) {
        post(task.id, core::event::RunEnded{task.id, run.run.number, core::UnstartedRun{"no space"}, {}, {}});
        return;
    }
    maybe_crash(5);
    run.watched = true;
    post(task.id, core::event::RunStarted{task.id, run.run.number});
}

void Simulation::adopt(const std::string& task_id, const core::Run& adopted) {
    for (FakeRun& run : world_.task(task_id).runs) {
        if (run.run.number != adopted.number) {
            continue;
        }
        if (run.alive()) {
            run.watched = true;
        } else {
            post_end(world_.task(task_id), run);
        }
        return;
    }
    throw Violation{task_id + ": a run is adopted that does not exist"};
}

}  // namespace ralph::sim
