#include "tests/sim/shims.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "core/base/check.h"
#include "core/base/jsonc.h"

namespace ralph::sim {

using core::StepKind;
using Kind = core::ExitRecord::Kind;

namespace {

constexpr std::int64_t deaf_ms = 100'000;
constexpr std::size_t longest_step_ms = 20'000;

std::string workspace_of(const std::string& task_id) {
    return "/workspaces/" + task_id;
}

std::string exit_text(const core::ExitRecord& exit) {
    return fmt::format(
        R"({{"version":1,"kind":"{}","value":{},"core_dumped":false,"timed_out":{},"stopped":{},"out_of_memory":false,)"
        R"("started_at":"2026-02-20T00:00:00.000000000Z","ended_at":"2026-02-20T00:00:01.000000000Z",)"
        R"("user_cpu_microseconds":1,"system_cpu_microseconds":1,"peak_memory_kib":1}})",
        exit.kind == Kind::exited ? "exited" : "signalled", exit.value, exit.timed_out, exit.stopped);
}

std::string outcome_of(const FakeRun& run) {
    core::Outcome outcome;
    outcome.summary = "a batch";
    outcome.target_is_red = run.target_is_red;
    outcome.paused_account = run.waits_for_account() ? SimulatedAccount::name : "";
    if (run.says_landed_elsewhere) {
        outcome.landed_by = "commit 1a2b3c4d by A. Colleague";
    }
    for (const auto& [task_id, code] : run.batch) {
        if (code) {
            outcome.batch.push_back({task_id, *code, "as it would have ended alone", {}, {}});
        }
    }
    return core::outcome_text(outcome);
}

}  // namespace

void Shims::say(const Shim& shim, const std::string& what) const {
    if (trace) {
        trace(fmt::format("   {} run {} {}", shim.task_id, shim.number, what));
    }
}

std::string Shims::identity(int pid, const Shim& shim) const {
    return fmt::format(R"({{"version":1,"pid":{},"start_ticks":{},"boot_id":"{}"}})", pid, shim.start_ticks,
                       world_.boot_id);
}

FakeRun& Shims::run_of(const Shim& shim) {
    auto& runs = model_.task(shim.task_id).runs;
    const auto found = std::find_if(runs.begin(), runs.end(),
                                    [&](const FakeRun& run) { return run.run.number == shim.number; });
    CHECK(found != runs.end());
    return *found;
}

// --- what the supervisor asks for
// ---------------------------------------------------------------------------------

std::optional<int> Shims::start_shim(const daemon::ShimRequest& request) {
    const std::string* const text = world_.disk.content(request.run_directory + "/spec.json");
    if (text == nullptr || random_.chance(hazards.start_fails)) {
        return std::nullopt;
    }
    const auto document = core::JsonDocument::parse(*text, "spec.json");
    CHECK(document.has_value());
    const auto spec = core::read_run_spec(*document);
    CHECK(spec.has_value());
    // Numbers are used again soon, so that an identity that is only a number is found out; but not before the
    // supervisor has reaped what had it.
    while (shims_.count(next_pid_) != 0 || world_.links.count(next_pid_) != 0) {
        next_pid_ = 100 + (next_pid_ - 99) % 20;
    }
    Shim& shim = shims_[next_pid_];
    shim.start_ticks = next_ticks_++;
    shim.directory = request.run_directory;
    shim.task_id = spec->task_id;
    shim.run_id = spec->run_id;
    shim.number = spec->run.number;
    shim.due = world_.now_ms + (random_.chance(hazards.deaf) ? deaf_ms : random_.below(20));
    FakeRun run;
    run.run = spec->run;
    run.slot = spec->slot;
    for (const std::string& member : spec->batch) {
        run.batch.emplace_back(member, std::nullopt);
    }
    model_.task(spec->task_id).runs.push_back(std::move(run));
    say(shim, fmt::format("{} shim {} is started", core::to_string(spec->run.step), next_pid_));
    return next_pid_;
}

bool Shims::is_alive(const core::ProcessIdentity& identity) const {
    const auto found = shims_.find(identity.pid);
    return identity.boot_id == world_.boot_id && found != shims_.end() &&
           found->second.stage != Stage::orphaned && found->second.start_ticks == identity.start_ticks;
}

void Shims::let_go(int pid) {
    Shim& shim = shims_.at(pid);
    CHECK(shim.stage == Stage::ready);
    shim.stage = Stage::released;
    shim.due = world_.now_ms + random_.below(20);
}

void Shims::withdraw(int pid) {
    const auto found = shims_.find(pid);
    if (found != shims_.end()) {
        found->second.socket_open = false;
        if (found->second.stage == Stage::ready) {
            found->second.due = world_.now_ms;
        }
    }
}

void Shims::signal(int pid, int number) {
    const auto found = shims_.find(pid);
    if (found == shims_.end() || found->second.stage == Stage::orphaned) {
        return;
    }
    if (number == SIGUSR1) {
        return;  // limits are not simulated
    }
    if (number == SIGKILL) {
        kill_shim(pid, found->second);
    } else if (found->second.stage == Stage::working) {
        ask_to_end(found->second);
    } else if (found->second.stage == Stage::released) {
        found->second.told_to_end = true;
    } else {
        found->second.socket_open = false;  // told to end before anything began
        found->second.due = world_.now_ms;
    }
}

bool Shims::process_exists(int pid) const {
    const auto found = shims_.find(pid);
    return found != shims_.end() && found->second.stage != Stage::orphaned;
}

std::optional<std::size_t> Shims::end_orphaned_tree(const std::string& run_id) {
    std::size_t ended = 0;
    for (auto at = shims_.begin(); at != shims_.end();) {
        if (at->second.stage != Stage::orphaned || at->second.run_id != run_id) {
            ++at;
            continue;
        }
        if (random_.chance(hazards.stubborn)) {
            return std::nullopt;
        }
        say(at->second, "what is left of it is ended");
        run_of(at->second).orphaned = false;
        at = shims_.erase(at);
        ++ended;
    }
    return ended;
}

// --- what happens by itself
// ---------------------------------------------------------------------------------------

std::optional<std::int64_t> Shims::next_event() const {
    std::optional<std::int64_t> next;
    for (const auto& [pid, shim] : shims_) {
        if (shim.due && (!next || *shim.due < *next)) {
            next = shim.due;
        }
    }
    return next;
}

bool Shims::happen() {
    std::vector<int> due;
    for (const auto& [pid, shim] : shims_) {
        if (shim.due && *shim.due <= world_.now_ms) {
            due.push_back(pid);
        }
    }
    if (due.empty()) {
        return false;
    }
    const int pid = due[random_.below(due.size())];
    Shim& shim = shims_.at(pid);
    shim.due.reset();
    switch (shim.stage) {
        case Stage::starting:
            get_ready(pid, shim);
            break;
        case Stage::ready:  // told to go, or its socket was closed
            go(pid);
            break;
        case Stage::released:
            execute(pid, shim);
            break;
        case Stage::working:
            if (!go_on_landing(shim, run_of(shim))) {
                end_step(pid, shim);
            }
            break;
        case Stage::orphaned:
            if (!go_on_landing(shim, run_of(shim))) {
                end_orphan(pid, shim);
            }
            break;
    }
    return true;
}

void Shims::get_ready(int pid, Shim& shim) {
    const bool disk_refuses =
        world_.disk.before && world_.disk.fault(fake::Operation::create, shim.directory).error != 0;
    if (disk_refuses || !world_.disk.find(shim.directory) || world_.disk.find(shim.directory + "/lock")) {
        go(pid);
        return;
    }
    world_.disk.put(shim.directory + "/lock", "");
    shim.lock = world_.disk.find(shim.directory + "/lock");
    shim.lock->held_by_shim = true;
    world_.disk.put(shim.directory + "/shim.json", identity(pid, shim));
    if (!shim.socket_open) {
        go(pid);
        return;
    }
    shim.stage = Stage::ready;
    world_.answer(pid, true);
}

void Shims::execute(int pid, Shim& shim) {
    if (!world_.disk.find(shim.directory)) {
        go(pid);
        return;
    }
    world_.disk.put(shim.directory + "/worker.json", identity(pid, shim));
    FakeRun& run = run_of(shim);
    FakeTask& task = model_.task(shim.task_id);
    plan(run, task);
    plan_waiting(run, task);
    account.begin(run);
    about_to_execute(shim.task_id, run);
    task.told.reset();
    plan_batch(run);
    say(shim, "executes");
    run.status = FakeRun::Status::alive;
    if (run.run.step == StepKind::prepare || run.run.step == StepKind::discard) {
        task.finished = false;  // nobody builds on what it may leave
    }
    shim.stage = Stage::working;
    shim.due = world_.now_ms + random_.below(longest_step_ms);
    if (lands_batches && run.run.step == StepKind::integrate && run.exit.value != 69) {
        begin_landing(shim, run);
    }
    if (shim.told_to_end) {
        ask_to_end(shim);
    }
}

void Shims::begin_landing(Shim& shim, FakeRun& run) {
    std::vector<std::string> tasks{shim.task_id};
    for (auto& [task_id, code] : run.batch) {
        tasks.push_back(task_id);
        code.reset();
    }
    run.exit.kind = Kind::exited;
    run.exit.value = 75;
    run.will_land = false;
    run.target_is_red = false;
    if (landing_hazards.foreign_pushes ==
        0) {  // nothing goes wrong any more: what was broken has been repaired
        target.is_red = false;
    }
    shim.landing.emplace(target, model_, random_, landing_hazards, landed, tasks);
    shim.landing->land_elsewhere = landed_elsewhere;
}

bool Shims::go_on_landing(Shim& shim, FakeRun& run) {
    if (!shim.landing || run.exit.stopped || (run.will_be_lost && random_.chance(30))) {
        return false;
    }
    bool goes_on = false;
    try {
        goes_on = shim.landing->advance();
    } catch (const Violation& violation) {
        violated(violation);
    }
    // What has been decided on so far; it is told at the end.
    run.exit.value = shim.landing->code(shim.task_id).value_or(75);
    run.target_is_red = shim.landing->target_is_red();
    for (auto& [task_id, code] : run.batch) {
        code = shim.landing->code(task_id);
    }
    if (goes_on) {
        shim.due = world_.now_ms + random_.below(longest_step_ms / 4);
    }
    return goes_on;
}

void Shims::plan(FakeRun& run, const FakeTask& task) {
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
                run.exit.kind = Kind::signalled;
                run.exit.value = 9;
            }
            return;
        case StepKind::integrate:
            if (fails) {
                run.exit.value = random_.chance(50) ? 65 : 1;
                if (hazards.fixable != 0 && random_.chance(hazards.fixable)) {
                    run.exit.value = 66;
                }
            } else if (random_.chance(hazards.try_again)) {
                run.exit.value = 75;
            }
            run.will_land = run.exit.value == 0;
            return;
        case StepKind::remediate:
            run.exit.timed_out = random_.chance(5);
            return;
        case StepKind::discard:
            return;
    }
}

// Nothing of what these say counts.
void Shims::plan_waiting(FakeRun& run, const FakeTask& task) {
    const bool needs_host = run.run.step == StepKind::prepare || run.run.step == StepKind::integrate;
    if (needs_host && hazards.unavailable != 0 && waits_random_.chance(hazards.unavailable)) {
        run.exit.value = 69;
    } else if (run.run.step == StepKind::prepare && hazards.in_use != 0 &&
               waits_random_.chance(hazards.in_use)) {
        run.exit.value = 71;
    } else if (run.run.step == StepKind::prepare && hazards.unpushed != 0 && !task.landed &&
               waits_random_.chance(hazards.unpushed)) {
        run.exit.value = 75;
    } else if (run.run.step == StepKind::integrate && task.landed) {
        run.exit.value = 0;
    } else if (run.run.step == StepKind::integrate && task.nothing) {
        run.exit.value = 67;
    }
    run.will_land = run.will_land && run.exit.value == 0;
}

// The others of a batch: each as it would end alone, or not decided on.
void Shims::plan_batch(FakeRun& run) {
    if (run.batch.empty()) {
        return;
    }
    run.target_is_red =
        run.run.step == StepKind::integrate && run.exit.value == 75 && random_.chance(hazards.target_is_red);
    for (auto& [task_id, code] : run.batch) {
        if (run.target_is_red) {
            code = 75;
        } else if (run.exit.value == 69) {
            code = waits_random_.chance(50) ? std::optional<std::uint32_t>(69) : std::nullopt;
        } else if (model_.task(task_id).landed) {
            code = 0;
        } else if (model_.task(task_id).nothing) {
            code = 67;
        } else if (random_.chance(hazards.fails)) {
            code = random_.chance(hazards.fixable) ? 66 : random_.chance(50) ? 65 : 1;
        } else if (random_.chance(hazards.try_again)) {
            code = random_.chance(50) ? std::optional<std::uint32_t>(75) : std::nullopt;
        } else {
            code = 0;
        }
    }
}

void Shims::land_batch(const FakeRun& run) {
    for (const auto& [task_id, code] : run.batch) {
        if (code == 0U) {
            landed(model_.task(task_id));
        }
    }
}

void Shims::tell_batch(const FakeRun& run) {
    for (const auto& [task_id, code] : run.batch) {
        FakeTask& task = model_.task(task_id);
        if (code) {
            task.told_after = task.runs.empty() ? 0 : task.runs.back().run.number;
        }
        if (code && *code != 69) {  // that decides nothing
            task.told = code;
            task.deferred += (*code == 75 && !run.target_is_red) || *code == 66 ? 1 : 0;
        }
    }
}

// The shim obeys; what the step makes of its SIGTERM is the step's affair.
void Shims::ask_to_end(Shim& shim) {
    FakeRun& run = run_of(shim);
    if (run.exit.stopped) {
        return;
    }
    shim.due = std::min(*shim.due, world_.now_ms + random_.below(2'000));
    if (shim.landing) {  // it dies as any program does, and says nothing
        run.exit = core::ExitRecord{};
        run.exit.stopped = true;
        run.exit.kind = Kind::signalled;
        run.exit.value = 15;
        run.target_is_red = false;
        return;
    }
    if (random_.chance(70)) {
        run.exit.stopped = true;
        run.target_is_red = false;
        run.exit.kind = random_.chance(50) ? Kind::signalled : Kind::exited;
        run.exit.value = run.exit.kind == Kind::signalled ? 15 : random_.below(2);
        run.will_land = run.run.step == StepKind::integrate && run.exit.value == 0;
    }
}

void Shims::end_step(int pid, Shim& shim) {
    FakeRun& run = run_of(shim);
    if (run.will_be_lost) {
        leave_marker(run, shim.task_id);  // as far as it came
        kill_shim(pid, shim);
        return;
    }
    run.status = FakeRun::Status::exited;
    account.end(run);
    take_effect(model_.task(shim.task_id), run);
    const FakeTask& task = model_.task(shim.task_id);
    run.says_landed_elsewhere = task.landed_elsewhere && (run.exited_with(0) || run.exited_with(10));
    if ((run.batch.empty() && !shim.landing && run.says_landed_elsewhere) || run.waits_for_account()) {
        world_.disk.put(shim.directory + "/outcome.json", outcome_of(run));
    }
    if (!run.batch.empty() || shim.landing) {
        land_batch(run);
        // Of a step that was stopped, some have landed and nobody is told.
        if (!run.exit.stopped || (!shim.landing && random_.chance(50))) {
            tell_batch(run);
            ++batches_told;
            world_.disk.put(shim.directory + "/outcome.json", outcome_of(run));
        }
    }
    say(shim, fmt::format("ends: {}", core::describe(run.exit)));
    world_.disk.put(shim.directory + "/exit.json", exit_text(run.exit));
    go(pid);
}

// As the work of the step would have gone on, without anybody who could record it.
void Shims::end_orphan(int pid, const Shim& shim) {
    FakeRun& run = run_of(shim);
    say(shim, "ends, and nobody knows");
    run.orphaned = false;
    if (run.will_land) {
        landed(model_.task(shim.task_id));
    }
    land_batch(run);
    shims_.erase(pid);
}

void Shims::leave_marker(const FakeRun& run, const std::string& task_id) {
    if (run.leaves_marker) {
        world_.disk.put(workspace_of(task_id) + "/.ralph/cache/parallel/blocked_push.json",
                        core::block_marker_text({task_id, "blocked by the worker", 1, 1, ""}));
    }
}

void Shims::take_effect(FakeTask& task, FakeRun& run) {
    const std::string workspace = workspace_of(task.id);
    const bool success = run.exited_with(0) && !run.exit.stopped && !run.exit.timed_out;
    if (run.will_land) {
        landed(task);
    }
    switch (run.run.step) {
        case StepKind::prepare:
            if (success) {
                task.workspace = true;
                world_.disk.put_directory(workspace + "/.ralph/cache/parallel");
                world_.disk.remove(workspace + "/.ralph/cache/parallel/blocked_push.json");
            }
            return;
        case StepKind::work:
            task.finished = success;
            task.nothing = success && hazards.nothing != 0 && waits_random_.chance(hazards.nothing);
            leave_marker(run, task.id);
            return;
        case StepKind::integrate:
            return;
        case StepKind::remediate:
            if (success && lands_batches && random_.chance(70)) {
                task.bad = false;
                task.conflicts.clear();
                task.undoes.clear();
                for (FakeTask& other : model_.tasks()) {
                    other.conflicts.erase(
                        std::remove(other.conflicts.begin(), other.conflicts.end(), task.id),
                        other.conflicts.end());
                }
            }
            return;
        case StepKind::discard:
            if (success) {
                task.workspace = false;
                task.finished = false;
                world_.disk.remove(workspace);
            }
            return;
    }
}

void Shims::kill_shim(int pid, Shim& shim) {
    const bool worked = shim.stage == Stage::working;
    if (worked) {
        FakeRun& run = run_of(shim);
        run.status = FakeRun::Status::lost;
        say(shim, "its shim is killed");
        if (random_.chance(hazards.orphans)) {
            run.orphaned = true;
            // A number of its own: the shim's is free again.
            int child = 1000;
            while (shims_.count(child) != 0) {
                ++child;
            }
            Shim& orphan = shims_[child];
            orphan = shim;
            orphan.stage = Stage::orphaned;
            orphan.lock = nullptr;
            orphan.due = world_.now_ms + random_.below(longest_step_ms);
        }
    }
    go(pid);
}

// The process is gone, and its lock with it.
void Shims::go(int pid) {
    const auto found = shims_.find(pid);
    if (found->second.lock) {
        found->second.lock->held_by_shim = false;
    }
    shims_.erase(found);
    world_.end(pid);
}

void Shims::kill_some() {
    std::vector<int> victims;
    for (const auto& [pid, shim] : shims_) {
        if (shim.stage != Stage::orphaned && random_.chance(50)) {
            victims.push_back(pid);
        }
    }
    for (const int pid : victims) {
        kill_shim(pid, shims_.at(pid));
    }
}

void Shims::supervisor_died() {
    for (auto& [pid, shim] : shims_) {
        shim.socket_open = false;
        if (shim.stage == Stage::ready) {
            shim.due = world_.now_ms + random_.below(20);
        }
    }
}

void Shims::lose_power() {
    for (const auto& [pid, shim] : shims_) {
        if (shim.stage == Stage::working) {
            run_of(shim).status = FakeRun::Status::lost;
        } else if (shim.stage == Stage::orphaned) {
            run_of(shim).orphaned = false;
        }
        if (shim.lock) {
            shim.lock->held_by_shim = false;
        }
    }
    shims_.clear();
}

}  // namespace ralph::sim
