#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "core/supervisor/explain.h"
#include "core/supervisor/state_codec.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/doctor/rebuild.h"
#include "daemon/os/clock.h"
#include "tests/sim/fake_service_manager.h"

namespace ralph::sim {

namespace {

constexpr std::uint32_t most_turns = 60'000;
constexpr std::uint32_t most_lives = 60;

std::optional<core::ParallelState> understand(const std::string& text) {
    const auto document = core::JsonDocument::parse(text, "state.json");
    if (!document) {
        return std::nullopt;
    }
    auto state = core::read_state(*document);
    return state ? std::optional(std::move(*state)) : std::nullopt;
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool keep_trace, bool batches)
    : random_(seed),
      service_random_(~seed),
      keep_trace_(keep_trace),
      oracle_(model_),
      shims_(world_, model_, random_, seed),
      host_(world_, seed),
      person_(world_, model_, settings_.paths, seed, [this](const std::string& line) { record(line); }) {
    is_service_ = service_random_.chance(30);
    limits_.stop_timeout = core::Milliseconds{service_random_.below(3) * 20'000LL};
    limits_.workers = 1 + random_.below(4);
    limits_.max_tasks = random_.chance(20) ? 1 + random_.below(4) : 0;
    limits_.continuous = random_.chance(20);
    limits_.max_restarts = random_.below(3);
    limits_.max_push_attempts = random_.chance(5) ? 0 : 1 + random_.below(3);
    for (std::uint32_t i = random_.below(3); i > 0; --i) {
        limits_.push_backoff.emplace_back(random_.below(5'000));
    }
    if (batches) {
        limits_.max_remediations = service_random_.below(3);
        shims_.hazards.fixable = 50;
        limits_.batch.max = 1 + service_random_.below(5);
        limits_.batch.min = service_random_.below(3);
        limits_.batch.wait = core::Milliseconds{service_random_.below(3) * 10'000LL};
        limits_.batch.gates = 1 + service_random_.below(3);
        shims_.lands_batches = service_random_.chance(50);
        shims_.hazards.unavailable = service_random_.chance(50) ? 3 + service_random_.below(60) : 0;
        shims_.hazards.in_use = service_random_.chance(30) ? 30 : 0;
        shims_.hazards.nothing = 5;
        shims_.landing_hazards.landings = service_random_.below(4);
        use_agents(seed);
    }
    limits_.workspace_root = "/workspaces";
    limits_.kept_work_retention = core::Milliseconds{random_.below(3) * 3'600'000LL};
    shims_.hazards.start_fails = random_.chance(30) ? 30 : 3;
    shims_.hazards.lost = random_.chance(30) ? 30 : 4;
    shims_.hazards.fails = random_.chance(50) ? 25 : 5;
    faults_left_ = random_.below(12);
    faults_.fault_in = random_.chance(40) ? 50 + random_.below(400) : 0;
    faults_.crash_in = random_.chance(60) ? 100 + random_.below(900) : 0;
    faults_.power_fails = random_.chance(25);
    faults_.state_rots = random_.chance(10);
    faults_.disk_fills = random_.chance(25);
    make_world();
}

void Simulation::record(const std::string& line) {
    if (keep_trace_) {
        fmt::print("{:>9} {}\n", world_.now_ms, line);  // at once, among the lines of the log
    }
}

void Simulation::judge(const std::function<void()>& check) {
    try {
        check();
    } catch (const Violation& violation) {
        // Not thrown on: this may be called from within a destructor of the supervisor's.
        if (report_.violation.empty()) {
            report_.violation = violation.what;
        }
        world_.dead = true;
    }
}

Report Simulation::run() {
    const fake::WorldScope inhabit(world_);
    while (report_.violation.empty()) {
        if (faults_left_ == 0 || report_.lives >= most_lives) {
            settle_down();
        }
        live();
        judge([this] { oracle_.check_model(); });
        if (is_quiet_) {
            break;
        }
        between_lives();
    }
    report_.batches = shims_.batches_told;
    return std::move(report_);
}

// From here on nothing goes wrong any more.
void Simulation::settle_down() {
    is_quiet_ = true;
    faults_ = FaultProfile{};
    disk_full_until_ms_ = 0;
    read_only_until_ms_ = 0;
    shims_.hazards = Hazards{0, 0, 0, 50, 0, 10, 10, 5, shims_.hazards.fixable};
    shims_.account.settle_down();
    host_.settle_down();
    person_.settle_down();
    shims_.landing_hazards = LandingHazards{0, 0, 0, 0, 0, 0, 0, 0};
    shims_.target.is_red = false;
    limits_.continuous = false;
    queue_is_valid_ = true;
    write_queue();
}

daemon::Supervision Simulation::supervision() {
    auto manager = is_service_ ? std::make_shared<FakeServiceManager>(service_random_) : nullptr;
    return {settings_,
            {"/bin/ralph", "/bin/ralph-shim"},
            "main",
            false,
            std::move(manager),
            [this](const daemon::Settings&) { return limits_; },
            {},
            false,
            [this](const core::Supervisor& supervisor) { explain_all(supervisor); }};
}

// Whoever asks why a task stands where it stands is told.
void Simulation::explain_all(const core::Supervisor& supervisor) {
    constexpr std::uint32_t asks_after = 4;  // decisions: asking costs more than deciding
    if (++decisions_ % asks_after != 0) {
        return;
    }
    const core::Moment now = daemon::present_moment();
    for (const FakeTask& task : model_.tasks()) {
        const auto why = core::explain(supervisor, task.id, now, true);
        const bool is_known = supervisor.state.has(task.id) ||
                              (supervisor.queue && (supervisor.queue->queue.find(task.id) != nullptr ||
                                                    supervisor.queue->done.find(task.id) != nullptr));
        if (is_known && (!why || why->reason.empty())) {
            judge([&task] { throw Violation{task.id + ": nobody can say why it stands where it stands"}; });
        }
    }
}

void Simulation::live() {
    ++report_.lives;
    if (random_.chance(10)) {
        limits_.workers = 1 + random_.below(4);
    }
    // A run that was let go by a supervisor with more workers may still begin under one with fewer.
    circumstances_.workers = std::max(circumstances_.workers, limits_.workers);
    circumstances_.max_push_attempts = limits_.max_push_attempts;
    circumstances_.max_restarts = limits_.max_restarts;
    circumstances_.max_remediations = limits_.max_remediations;
    circumstances_.stop_requested = false;
    world_.dead = false;
    world_.supervisor_pid = 2 + static_cast<int>(report_.lives % 90);
    for (const std::string& path : {settings_.paths.state(), settings_.paths.previous_state()}) {
        const std::string* const text = world_.disk.content(path);
        auto state = text == nullptr ? std::nullopt : understand(*text);
        if (text == nullptr || state) {
            last_state_ = state ? std::move(*state) : core::ParallelState{};
            break;
        }
    }
    record(fmt::format("START pid={} workers={}{}", world_.supervisor_pid, limits_.workers,
                       is_quiet_ ? " (calm)" : ""));
    const auto exit_code = daemon::supervise(supervision());
    if (!report_.violation.empty()) {
        return;
    }
    if (world_.dead) {
        record("CRASH");
        ++report_.crashes;
    } else if (!exit_code) {
        record("could not begin: " + exit_code.error().line());
        if (is_quiet_) {
            report_.violation = "could not begin: " + exit_code.error().line();
        }
    } else {
        record(fmt::format("END {}", *exit_code));
        if (is_quiet_) {
            judge([&] { oracle_.on_quiet_end(durable_state(), *exit_code, limits_.max_tasks != 0); });
            judge([&] {
                if (shims_.account.intrusions() != 0) {
                    throw Violation{"an agent begins although its account is paused"};
                }
            });
        }
    }
    world_.dead = true;
    world_.disk.supervisor_died();
    shims_.supervisor_died();
}

// Nobody supervises for a while.
void Simulation::between_lives() {
    if (faults_.power_fails && random_.chance(25)) {
        record("the power fails");
        world_.disk.lose_power(random_);
        shims_.lose_power();
        world_.boot_id += "+";
        for (FakeTask& task : model_.tasks()) {  // the mark that was being written may be gone again
            const std::string* const acknowledged =
                world_.disk.content(settings_.paths.acknowledged(task.id));
            task.acknowledged =
                acknowledged != nullptr ? static_cast<std::uint32_t>(std::stoul(*acknowledged)) : 0;
        }
    }
    if (faults_.state_rots && random_.chance(20)) {
        rot_state();
    }
    if (shims_.lands_batches && service_random_.chance(25)) {
        make_state_anew();
    }
    if (random_.chance(10)) {
        person_.request_retry(model_.tasks()[random_.below(model_.tasks().size())]);
    }
    const std::int64_t until = world_.now_ms + random_.below(random_.chance(70) ? 500 : 30'000);
    while (shims_.next_event() && *shims_.next_event() <= until && report_.violation.empty()) {
        world_.now_ms = std::max(world_.now_ms, *shims_.next_event());
        shims_.happen();
    }
    world_.now_ms = until;
}

// --- one thing after the other
// ------------------------------------------------------------------------------------

void Simulation::turn() {
    if (++report_.turns > most_turns) {
        judge([] { throw Violation{"the session does not end"}; });
        return;
    }
    fake::LoopState& loop = *world_.loop;
    if (!is_quiet_) {
        host_.turn();
    }
    person_.turn();
    circumstances_.workers = std::max(circumstances_.workers, person_.most_workers());
    if (!is_quiet_ && faults_left_ > 0 && random_.chance(3)) {
        --faults_left_;
        inject_fault();
        return;
    }
    const std::uint32_t choice = random_.below(100);
    if (choice < 50 && !loop.posted.empty()) {
        const auto work = std::move(loop.posted.front());
        loop.posted.pop_front();
        work();
    } else if (choice < 85 && !loop.helper.empty()) {
        const auto work = std::move(loop.helper.front());
        loop.helper.pop_front();
        work();
    } else if (choice < 92 ? !shims_.happen() : !loop.run_due_timer(world_.now_ms)) {
        if (loop.posted.empty() && loop.helper.empty()) {
            advance();
        }
    }
    judge([this] { oracle_.check_model(); });
}

// Time goes on to the next thing that happens by itself.
void Simulation::advance() {
    std::optional<std::int64_t> next = shims_.next_event();
    if (const auto timer = world_.loop->next_timer()) {
        next = std::min(*timer, next.value_or(*timer));
    }
    // In the end the host's clock is set right, since what waits for a time that was told waits no less.
    if (world_.clock_error_ms < 0 && !shims_.next_event() && service_random_.chance(2)) {
        record("the clock is set right");
        world_.clock_error_ms = 0;
    }
    // The queue's owner fixes it in the end.
    if (!queue_is_valid_ && (!next || random_.chance(2))) {
        queue_is_valid_ = true;
        write_queue();
    } else if (!next) {
        nothing_happens();
    } else {
        world_.now_ms = std::max(world_.now_ms, *next);
    }
}

void Simulation::nothing_happens() {
    if (person_.resume()) {
        return;
    }
    const bool waits_for_tasks = limits_.continuous && world_.loop->signal_arrived;
    if (!waits_for_tasks) {
        judge([] { throw Violation{"stuck: nothing is under way, and the supervisor waits"}; });
        return;
    }
    record("nothing happens any more: drain");
    const auto arrived = world_.loop->signal_arrived;
    arrived(SIGTERM);
}

// --- what goes wrong
// -----------------------------------------------------------------------------------------------

fake::Fault Simulation::before_call(fake::Operation operation) {
    ++report_.file_calls;
    if (faults_.crash_in != 0 && faults_left_ > 0 && random_.below(faults_.crash_in) == 0) {
        --faults_left_;
        record("dies at a call");
        world_.dead = true;
        return {EIO, false};
    }
    return disk_trouble(operation);
}

fake::Fault Simulation::disk_trouble(fake::Operation operation) {
    using fake::Operation;
    const bool changes = operation == Operation::create || operation == Operation::write ||
                         operation == Operation::make_directory || operation == Operation::link ||
                         operation == Operation::rename || operation == Operation::unlink;
    if (changes && world_.now_ms < read_only_until_ms_) {
        return {EROFS, false};
    }
    if (changes && world_.now_ms < disk_full_until_ms_ && operation != Operation::rename &&
        operation != Operation::unlink) {
        return {ENOSPC, false};
    }
    if (faults_.fault_in == 0 || random_.below(faults_.fault_in) != 0) {
        return {};
    }
    switch (operation) {
        case Operation::open:
        case Operation::create:
            return {random_.chance(50) ? EMFILE : EIO, false};
        case Operation::read:
            return {random_.chance(50) ? EINTR : EIO, false};
        case Operation::write:
            return random_.chance(40) ? fake::Fault{0, true}
                                      : fake::Fault{random_.chance(50) ? EINTR : EIO, false};
        case Operation::sync:
            return {random_.chance(30) ? EINTR : EIO, false};
        case Operation::make_directory:
        case Operation::link:
            return {ENOSPC, false};
        case Operation::rename:
        case Operation::unlink:
        case Operation::list:
            return {EIO, false};
        case Operation::lock:
            return {EINTR, false};
        case Operation::status:
            return {random_.chance(50) ? EIO : 0, false};
    }
    return {};
}

void Simulation::inject_fault() {
    const std::uint32_t kind = random_.below(100);
    if (kind < 30) {
        world_.dead = true;
    } else if (kind < 65) {
        disturb_supervisor(kind);
    } else {
        disturb_world(kind);
    }
}

void Simulation::disturb_supervisor(std::uint32_t kind) {
    if (kind < 38) {
        put_file(settings_.paths.stop_file(), "stop requested");
    } else if (kind < 46) {
        if (world_.loop->signal_arrived) {
            record("SIGTERM");
            circumstances_.stop_requested = true;  // the second one ends what runs
            const auto arrived = world_.loop->signal_arrived;
            arrived(SIGTERM);
        }
    } else if (kind < 54) {
        person_.request_retry(model_.tasks()[random_.below(model_.tasks().size())]);
    } else if (kind < 58) {
        start_second_supervisor();
    } else if (kind < 62) {
        // Frozen: the world goes on without it.
        const std::int64_t until = world_.now_ms + random_.below(30'000);
        record(fmt::format("stopped until {}", until));
        while (shims_.next_event() && *shims_.next_event() <= until) {
            world_.now_ms = std::max(world_.now_ms, *shims_.next_event());
            shims_.happen();
        }
        world_.now_ms = until;
    } else {
        archive_landed(100);
        write_queue();
    }
}

void Simulation::disturb_world(std::uint32_t kind) {
    if (kind < 75) {
        shims_.kill_some();
    } else if (kind < 80) {
        queue_is_valid_ = !queue_is_valid_;
        write_queue();
    } else if (kind < 86) {
        world_.clock_error_ms += (random_.chance(50) ? 1 : -1) * std::int64_t{random_.below(200'000'000)};
        record("the clock jumps");
    } else if (kind < 90) {
        add_task();
        write_queue();
    } else if (kind < 96 && faults_.disk_fills) {
        record("the disk is full for a while");
        (random_.chance(70) ? disk_full_until_ms_ : read_only_until_ms_) =
            world_.now_ms + random_.below(60'000);
    } else {
        archive_landed(30);
        world_.clock_error_ms += 90'000'000;
        record("a day passes");
    }
}

void Simulation::start_second_supervisor() {
    record("a second supervisor is started");
    const int pid = std::exchange(world_.supervisor_pid, 99);
    const auto refused = daemon::supervise(supervision());
    world_.supervisor_pid = pid;
    if (refused && !world_.dead) {
        judge([] { throw Violation{"two supervisors"}; });
    }
}

// As a torn sector would: the file is there, and not whole.
void Simulation::rot_state() {
    const std::string* const text = world_.disk.content(settings_.paths.state());
    const std::string* const previous = world_.disk.content(settings_.paths.previous_state());
    if (text != nullptr && previous != nullptr && !text->empty()) {
        record("the state is torn");
        world_.disk.put(settings_.paths.state(), text->substr(0, random_.below(text->size())));
        circumstances_.state_was_lost = true;
    }
}

// As `ralph doctor --fix` does, with a disk that is sound meanwhile.
void Simulation::make_state_anew() {
    const auto troubles = std::exchange(world_.disk.before, nullptr);
    world_.dead = false;
    const auto rebuilt = daemon::rebuild_state(settings_, "main", world_.wall_clock());
    world_.dead = true;
    world_.disk.before = troubles;
    if (!rebuilt) {
        judge([&rebuilt] { throw Violation{"the state cannot be made anew: " + rebuilt.error().line()}; });
        return;
    }
    record("the state is made anew from the run directories");
    judge([&] { oracle_.on_rebuilt(*rebuilt, circumstances_); });
    if (world_.disk.content(settings_.paths.state()) != nullptr) {
        world_.disk.put(settings_.paths.state(), core::state_text(*rebuilt));
        circumstances_.state_was_lost = true;
    }
}

// --- the world
// -----------------------------------------------------------------------------------------------------

void Simulation::add_task() {
    FakeTask added;
    added.id = fmt::format("RQ-{:04}", model_.tasks().size() + 1);
    core::Task task = core::make_task(added.id, "a task", world_.wall_clock());
    if (!model_.tasks().empty() && random_.chance(35)) {
        added.depends_on.push_back(model_.tasks()[random_.below(model_.tasks().size())].id);
        task.depends_on = added.depends_on;
    }
    if (shims_.lands_batches) {
        added.bad = service_random_.chance(20);
        if (!model_.tasks().empty() && service_random_.chance(20)) {
            added.conflicts.push_back(model_.tasks()[service_random_.below(model_.tasks().size())].id);
        }
        if (!model_.tasks().empty() && service_random_.chance(20)) {
            added.undoes.push_back(model_.tasks()[service_random_.below(model_.tasks().size())].id);
        }
    }
    queue_.tasks.push_back(std::move(task));
    model_.tasks().push_back(std::move(added));
}

void Simulation::put_file(const std::string& path, const std::string& content) {
    world_.disk.put(path, content);
    world_.tell_watchers(path);
}

void Simulation::write_queue() {
    put_file(settings_.done_file, core::task_file_text(done_));
    put_file(settings_.queue_file, queue_is_valid_ ? core::task_file_text(queue_) : "{ broken");
}

// The integrate step marks it done on the target branch; the local files may follow later.
void Simulation::land(FakeTask& task) {
    if (!task.landed) {
        task.landed = true;
        ++task.landings;
        archive_landed(60);
        write_queue();
    }
}

void Simulation::archive_landed(std::uint32_t percent) {
    for (FakeTask& task : model_.tasks()) {
        if (task.landed && !task.done_in_queue && random_.chance(percent)) {
            task.done_in_queue = true;
            static_cast<void>(core::archive_finished_task(queue_, done_, task.id, world_.wall_clock()));
        }
    }
}

// --- what the oracle is told
// ---------------------------------------------------------------------------------------

void Simulation::on_renamed(const std::string& path) {
    const std::string& runs = settings_.paths.runs();
    if (path == settings_.paths.state()) {
        on_state_written(*world_.disk.content(path));
    } else if (path.rfind(runs, 0) == 0 && path.size() > 8 && path.rfind("/settled") == path.size() - 8) {
        FakeTask& task = model_.task(path.substr(runs.size() + 1, path.size() - runs.size() - 9));
        const auto number = static_cast<std::uint32_t>(std::stoul(*world_.disk.content(path)));
        judge([&] { oracle_.on_acknowledged(task.id, number); });
        task.acknowledged = number;
    } else if (path.rfind(runs + "/.", 0) == 0) {  // put aside to be removed: ".RQ-0001.removed"
        FakeTask& task = model_.task(path.substr(runs.size() + 2, path.rfind('.') - runs.size() - 2));
        judge([&] { oracle_.on_runs_removed(task.id); });
        task.runs.clear();
        task.acknowledged = 0;
    }
}

void Simulation::on_state_written(const std::string& text) {
    judge([&] {
        auto state = understand(text);
        if (!state) {
            throw Violation{"state.json is not whole"};
        }
        if (keep_trace_) {
            std::string line = "   saved:";
            for (const core::WorkerRecord& record : state->workers) {
                line += fmt::format(" {}={}", record.task_id, core::to_string(record.lifecycle));
            }
            record(line);
        }
        person_.look(true);  // one that was forgotten comes back when the power fails
        oracle_.on_saved(last_state_, *state, circumstances_);
        last_state_ = std::move(*state);
    });
    person_.look(false);
}

// What a start after a loss of power would find. After a rot of our own making that is the previous
// generation.
core::ParallelState Simulation::durable_state() {
    for (const std::string& path : {settings_.paths.state(), settings_.paths.previous_state()}) {
        const std::string* const text = world_.disk.durable_content(path);
        auto state = text == nullptr ? std::nullopt : understand(*text);
        if (text != nullptr && !state && !circumstances_.state_was_lost) {
            throw Violation{"the durable state is not whole"};
        }
        if (text == nullptr || state) {
            return state ? std::move(*state) : core::ParallelState{};
        }
    }
    return {};
}

}  // namespace ralph::sim
