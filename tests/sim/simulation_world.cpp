// What the world of a simulation is made of at its beginning.
#include "daemon/store/paths.h"
#include "tests/sim/simulation.h"

namespace ralph::sim {

// In some worlds. Of dice of its own, so that the other seeds mean what they meant.
void Simulation::use_agents(std::uint64_t seed) {
    Random dice(seed ^ 0x2545f491ULL);
    shims_.hazards.unpushed = Random(seed ^ 0x71c3ULL).chance(25) ? 40 : 0;
    if (!dice.chance(40)) {
        return;
    }
    settings_.accounts_folder = "/state/accounts";
    limits_.agent = SimulatedAccount::name;
    limits_.accounts.emplace(limits_.agent, SimulatedAccount::name);
    shims_.account.use(settings_.accounts_folder, 5 + dice.below(40));
    if (dice.chance(70)) {
        limits_.host.memory = SimulatedHost::must_stay_free << 20U;
        host_.use();
    }
}

void Simulation::make_world() {
    settings_.paths.root = "/repo";
    settings_.trusted = true;
    settings_.supervisor.worker.command = {"agent"};
    if (shims_.account.is_used()) {
        settings_.supervisor.worker.command.clear();
        settings_.supervisor.worker.agent = SimulatedAccount::name;
    }
    settings_.supervisor.worker.kill_grace = core::Milliseconds{1'000};
    settings_.queue_relative = ".ralph/queue.jsonc";
    settings_.done_relative = ".ralph/done.jsonc";
    settings_.queue_file = settings_.paths.ralph() + "/queue.jsonc";
    settings_.done_file = settings_.paths.ralph() + "/done.jsonc";
    settings_.workspace_root = "/workspaces";
    world_.host = &shims_;
    world_.turn = [this] { turn(); };
    world_.disk.put_directory(settings_.paths.ralph());
    world_.disk.put_directory(settings_.paths.git());
    world_.disk.put_directory(settings_.workspace_root);
    for (std::uint32_t i = 1 + random_.below(6); i > 0; --i) {
        add_task();
    }
    write_queue();
    world_.disk.before = [this](fake::Operation operation, const std::string& path) {
        const fake::Fault fault = before_call(operation);
        if (fault.error != 0 && path.ends_with("/outcome.json")) {
            circumstances_.outcome_unread = true;
        }
        return fault;
    };
    world_.disk.renamed = [this](const std::string& path) { on_renamed(path); };
    shims_.about_to_execute = [this](const std::string& task_id, const FakeRun& run) {
        judge([&] { oracle_.on_start(task_id, run, durable_state(), circumstances_); });
    };
    shims_.landed = [this](FakeTask& task) { land(task); };
    shims_.landed_elsewhere = [this](FakeTask& task) {
        record(task.id + " is landed by somebody else");
        task.landed_elsewhere = !task.landed;
        land(task);
    };
    shims_.violated = [this](const Violation& violation) { judge([&violation] { throw violation; }); };
    if (keep_trace_) {
        shims_.trace = [this](const std::string& line) { record(line); };
    }
}

}  // namespace ralph::sim
