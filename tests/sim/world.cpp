#include "tests/sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ralph::sim {

using core::StepKind;

bool FakeRun::exited_with(std::uint32_t status_code) const {
    return status == Status::exited && exit.kind == core::ExitRecord::Kind::exited &&
           exit.value == status_code;
}

const FakeRun* FakeTask::last_executed() const {
    const auto found = std::find_if(runs.rbegin(), runs.rend(), [](const FakeRun& run) {
        return run.executed() && run.run.step != StepKind::discard;
    });
    return found == runs.rend() ? nullptr : &*found;
}

const FakeRun* FakeTask::live() const {
    const auto found = std::find_if(runs.begin(), runs.end(), [](const FakeRun& run) { return run.alive(); });
    return found == runs.end() ? nullptr : &*found;
}

World::World(Random& random, std::uint32_t task_count) : random_(random) {
    for (std::uint32_t i = 0; i < task_count; ++i) {
        add_task();
    }
}

void World::add_task() {
    FakeTask added;
    added.id = fmt::format("T{}", tasks_.size() + 1);
    if (!tasks_.empty() && random_.chance(35)) {
        added.depends_on.push_back(tasks_[random_.below(tasks_.size())].id);
    }
    tasks_.push_back(std::move(added));
}

FakeTask& World::task(std::string_view id) {
    return *std::find_if(tasks_.begin(), tasks_.end(), [id](const FakeTask& each) { return each.id == id; });
}

const FakeTask& World::task(std::string_view id) const {
    return *std::find_if(tasks_.begin(), tasks_.end(), [id](const FakeTask& each) { return each.id == id; });
}

FakeRun& World::make_run(const core::action::StartRun& start, bool with_spec) {
    FakeRun made;
    made.run = start.run;
    made.slot = start.slot;
    made.has_spec = with_spec;
    FakeTask& owner = task(start.task_id);
    if (start.run.step == StepKind::discard) {
        owner.finished = false;  // whatever becomes of the run, nobody builds on what it may have left
    }
    owner.runs.push_back(std::move(made));
    return owner.runs.back();
}

bool World::launch(FakeRun& run, FakeTask& task) {
    if (random_.chance(hazards.start_fails)) {
        return false;
    }
    run.status = FakeRun::Status::alive;
    run.ends_at = now_ + random_.below(20'000);
    plan(run, task);
    if (run.run.step == StepKind::prepare) {
        task.finished = false;
    }
    return true;
}

void World::plan(FakeRun& run, const FakeTask& task) {
    run.will_be_lost = random_.chance(hazards.lost);
    const bool fails = random_.chance(hazards.fails);
    run.exit.value = fails ? 1 + random_.below(3) : 0;
    switch (run.run.step) {
        case StepKind::prepare:
            run.exit.value = task.landed ? 10 : run.exit.value;
            return;
        case StepKind::work:
            run.leaves_marker = fails && random_.chance(30);
            run.exit.timed_out = random_.chance(3);
            if (random_.chance(3)) {
                run.exit.kind = core::ExitRecord::Kind::signalled;
                run.exit.value = 9;
            }
            return;
        case StepKind::integrate:
            if (fails) {
                run.exit.value = random_.chance(50) ? 65 : 1;
            } else if (random_.chance(hazards.try_again)) {
                run.exit.value = 75;
            }
            run.will_land = run.exit.value == 0 && (!run.will_be_lost || random_.chance(50));
            return;
        case StepKind::discard:
            return;
    }
}

// The shim obeys; what the step makes of its SIGTERM is the step's affair.
void World::ask_to_end(FakeRun& run) {
    if (!run.alive() || run.exit.stopped) {
        return;
    }
    run.ends_at = std::min(run.ends_at, now_ + random_.below(2'000));
    if (random_.chance(70)) {
        run.exit.stopped = true;
        run.exit.kind =
            random_.chance(50) ? core::ExitRecord::Kind::signalled : core::ExitRecord::Kind::exited;
        run.exit.value = run.exit.kind == core::ExitRecord::Kind::signalled ? 15 : random_.below(2);
        run.will_land = run.run.step == StepKind::integrate && run.exit.value == 0;
    }
}

std::optional<std::int64_t> World::next_end() const {
    std::optional<std::int64_t> next;
    for (const FakeTask& each : tasks_) {
        for (const FakeRun& run : each.runs) {
            if (run.alive() && (!next || run.ends_at < *next)) {
                next = run.ends_at;
            }
        }
    }
    return next;
}

std::vector<FakeTask*> World::end_due_runs() {
    std::vector<FakeTask*> ended;
    for (FakeTask& each : tasks_) {
        for (FakeRun& run : each.runs) {
            if (run.alive() && run.ends_at <= now_) {
                end_run(each, run);
                ended.push_back(&each);
            }
        }
    }
    return ended;
}

void World::end_run(FakeTask& task, FakeRun& run) {
    if (run.will_land && !task.landed) {
        task.landed = true;
        ++task.landings;
    }
    if (run.will_be_lost) {
        run.status = FakeRun::Status::lost;
        return;
    }
    run.status = FakeRun::Status::exited;
    const bool success = run.exited_with(0) && !run.exit.stopped && !run.exit.timed_out;
    switch (run.run.step) {
        case StepKind::prepare:
            task.workspace = task.workspace || success;
            return;
        case StepKind::work:
            task.finished = success;
            return;
        case StepKind::integrate:
            return;
        case StepKind::discard:
            if (success) {
                task.workspace = false;
                task.finished = false;
            }
            return;
    }
}

core::RunEnd World::end_of(const FakeRun& run) {
    switch (run.status) {
        case FakeRun::Status::exited:
            return run.exit;
        case FakeRun::Status::made:
            return core::UnstartedRun{"the start was not finished"};
        case FakeRun::Status::alive:
        case FakeRun::Status::lost:
            break;
    }
    return core::LostRun{"the shim is gone"};
}

std::optional<core::BlockMarker> World::marker_of(const FakeTask& task, const FakeRun& run) {
    if (run.status != FakeRun::Status::exited || !run.leaves_marker || run.run.step != StepKind::work) {
        return std::nullopt;
    }
    return core::BlockMarker{task.id, "blocked by the worker", 1, 1, ""};
}

// What reading the run directories gives; counts as daemon/store/run_directory.cpp does.
core::RunHistory World::history(const FakeTask& task) const {
    core::RunHistory history;
    history.workspace_exists = task.workspace;
    for (const FakeRun& run : task.runs) {
        const bool newest = &run == &task.runs.back();
        const bool integrates = run.run.step == StepKind::integrate;
        history.last_number = run.run.number;
        history.work_attempts += run.run.step == StepKind::work ? 1 : 0;
        if (run.run.number <= task.settled) {
            history.settled_step = run.run.step;
            history.settled_integrations += integrates ? 1 : 0;
        } else if (!newest) {
            const bool same_step = run.run.step == task.runs.back().run.step;
            const bool lost = run.status == FakeRun::Status::lost;
            if (!same_step || run.status == FakeRun::Status::exited) {
                history.restarts = 0;
            } else {
                history.restarts += lost ? 1 : 0;
            }
            history.integrations +=
                integrates && run.status == FakeRun::Status::exited && !run.exit.stopped ? 1 : 0;
        } else {
            core::RunHistory::Newest found;
            found.run = run.has_spec ? run.run : core::Run{run.run.step, run.run.number, 1};
            found.slot = run.has_spec ? run.slot : 0;
            if (!run.alive()) {
                found.end = end_of(run);
                found.marker = marker_of(task, run);
            }
            history.newest = std::move(found);
        }
    }
    return history;
}

std::shared_ptr<const core::QueueSnapshot> World::snapshot() {
    auto made = std::make_shared<core::QueueSnapshot>();
    for (FakeTask& each : tasks_) {
        // The integrate step marks it done on the target branch; the local files follow later.
        each.done_in_queue = each.done_in_queue || (each.landed && random_.chance(60));
        core::Task task;
        task.id = each.id;
        task.title = "title";
        task.depends_on = each.depends_on;
        task.status = each.done_in_queue ? core::TaskStatus::done : core::TaskStatus::todo;
        (each.done_in_queue ? made->done : made->queue).tasks.push_back(std::move(task));
    }
    return made;
}

}  // namespace ralph::sim
