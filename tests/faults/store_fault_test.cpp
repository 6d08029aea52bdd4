// The store on a disk that fails: every operation in turn, once and for ever, with every error; and on a
// machine that loses its power at every operation, and again at every operation of the recovery.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cerrno>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "core/queue/task_codec.h"
#include "core/supervisor/state_codec.h"
#include "daemon/os/files.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/paths.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "tests/fake_world/fake_world.h"
#include "tests/sim/random.h"

using namespace ralph;
using namespace ralph::daemon;
using fake::Fault;
using fake::Operation;

namespace {

constexpr std::size_t once = 1;
constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
constexpr std::uint64_t losses_of_power = 12;  // each with another choice of what survives
constexpr const char* now = "2026-02-01T00:00:00.000000000Z";

struct Trouble {
    std::size_t at = 0;  // the number of the operation, from 1; 0: no trouble
    Fault fault;
    std::size_t times = 1;  // in a row
    bool dies = false;
};

// A machine with a repository, whose supervisor may meet trouble.
class Machine {
  public:
    Machine() {
        world_.disk.put_directory(paths.git());
        world_.disk.put_directory(paths.parallel());
        world_.disk.put_directory(paths.runs());
        world_.disk.before = [this](Operation, const std::string&) {
            ++operations;
            const bool hit =
                trouble_.at != 0 && operations >= trouble_.at && operations - trouble_.at < trouble_.times;
            world_.dead = world_.dead || (hit && trouble_.dies);
            return hit ? (trouble_.dies ? Fault{EIO, false} : trouble_.fault) : Fault{};
        };
    }

    void expect(const Trouble& trouble) {
        trouble_ = trouble;
        operations = 0;
    }
    void calm() { expect(Trouble{}); }
    [[nodiscard]] bool died() const { return world_.dead; }
    void lose_power(std::uint64_t seed) {
        sim::Random random(seed);
        world_.disk.lose_power(random);
        start_again();
    }
    // Only the process dies: what it has written is still there.
    void start_again() {
        world_.disk.supervisor_died();
        world_.dead = false;
        ++world_.supervisor_pid;
        calm();
    }
    [[nodiscard]] bool has(const std::string& path) const { return world_.disk.find(path) != nullptr; }

    Paths paths{"/repo"};
    std::size_t operations = 0;

  private:
    fake::World world_;
    fake::WorldScope inhabit_{world_};
    Trouble trouble_;
};

std::string state_text_of(const std::string& branch) {
    core::ParallelState state;
    state.started_at = now;
    state.target_branch = branch;
    return core::state_text(state);
}

// The branch in the state stands for the whole of it.
std::string loaded(const Paths& paths) {
    const auto state = load_state(paths);
    return !state ? "error: " + state.error().line() : !state->state ? "none" : state->state->target_branch;
}

std::vector<Fault> all_faults() {
    std::vector<Fault> faults{{0, true}};
    for (const int error : {ENOSPC, EIO, EROFS, EMFILE, EINTR}) {
        faults.push_back({error, false});
    }
    return faults;
}

// How many operations something takes when nothing is wrong.
std::size_t operations_of(const std::function<void(Machine&)>& what) {
    Machine machine;
    machine.calm();
    what(machine);
    return machine.operations;
}

void save_twice(Machine& machine) {
    REQUIRE(save_state(machine.paths, state_text_of("one")).has_value());
    REQUIRE(save_state(machine.paths, state_text_of("two")).has_value());
}

}  // namespace

TEST_CASE("the state: every operation fails, once and for ever, with every error") {
    const std::size_t operations = operations_of([](Machine& machine) { save_twice(machine); }) / 2 + 2;
    for (const Fault& fault : all_faults()) {
        for (const bool for_ever : {false, true}) {
            for (std::size_t at = 1; at <= operations; ++at) {
                CAPTURE(fault.error);
                CAPTURE(at);
                CAPTURE(for_ever);
                Machine machine;
                save_twice(machine);
                // An interrupted call that is interrupted for ever never ends: that is no disk.
                machine.expect({at, fault, for_ever && fault.error != EINTR ? endless : once, false});
                const bool saved = save_state(machine.paths, state_text_of("three")).has_value();
                machine.calm();
                const std::string found = loaded(machine.paths);
                CHECK((found == "three" || (found == "two" && !saved)));
                // When space returns the next save succeeds, and leaves nothing of the failed one.
                REQUIRE(save_state(machine.paths, state_text_of("four")).has_value());
                CHECK(!machine.has(machine.paths.state() + ".new"));
                CHECK(!machine.has(machine.paths.previous_state() + ".new"));
                machine.lose_power(at);
                CHECK(loaded(machine.paths) == "four");
            }
        }
    }
}

TEST_CASE("the state: what was saved is there after a loss of power, whatever failed before") {
    const std::size_t operations = operations_of([](Machine& machine) { save_twice(machine); });
    for (const Fault& fault : all_faults()) {
        for (std::size_t at = 1; at <= operations; ++at) {
            for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
                CAPTURE(fault.error);
                CAPTURE(at);
                CAPTURE(seed);
                Machine machine;
                save_twice(machine);
                machine.expect({at, fault, once, false});
                const bool saved = save_state(machine.paths, state_text_of("three")).has_value();
                machine.lose_power(seed);
                const std::string found = loaded(machine.paths);
                CHECK((found == "three" || (found == "two" && !saved)));
            }
        }
    }
}

// Every pair of operations: of the save, and of the start that follows it.
TEST_CASE("the state: power is lost at every operation, and again at every operation of the recovery") {
    const std::size_t operations = operations_of([](Machine& machine) { save_twice(machine); }) / 2 + 2;
    std::size_t pairs = 0;
    for (std::size_t first = 1; first <= operations; ++first) {
        for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
            for (std::size_t second = 1;; ++second) {
                CAPTURE(first);
                CAPTURE(second);
                CAPTURE(seed);
                Machine machine;
                save_twice(machine);
                machine.expect({first, {}, once, true});
                const bool saved = save_state(machine.paths, state_text_of("three")).has_value();
                machine.lose_power(seed);
                machine.expect({second, {}, once, true});
                const std::string begun = loaded(machine.paths);
                const bool saved_again =
                    !machine.died() && save_state(machine.paths, state_text_of("four")).has_value();
                const bool cut_off = machine.died();
                machine.lose_power(seed + 100);
                const std::string found = loaded(machine.paths);
                CHECK((found == "four" || !saved_again));
                CHECK((found == "four" || found == "three" || (found == "two" && !saved)));
                ++pairs;
                if (!cut_off) {
                    CHECK((begun == "three" || (begun == "two" && !saved)));
                    break;
                }
            }
        }
    }
    CHECK(pairs > operations * losses_of_power * 10);
}

TEST_CASE("a torn state and its recovery: power is lost at every operation") {
    for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
        for (std::size_t at = 1;; ++at) {
            CAPTURE(seed);
            CAPTURE(at);
            Machine machine;
            save_twice(machine);
            fake::world().disk.put(machine.paths.state(), state_text_of("two").substr(0, 20));
            machine.expect({at, {}, once, true});
            const std::string first = loaded(machine.paths);
            const bool cut_off = machine.died();
            machine.lose_power(seed);
            CHECK(loaded(machine.paths) == "one");
            // The torn bytes are still there for a person to look at.
            CHECK(machine.has(machine.paths.state() + ".quarantine-1"));
            if (!cut_off) {
                CHECK(first == "one");
                break;
            }
        }
    }
}

TEST_CASE("a read that fails is no corruption: nothing is quarantined, and nothing is begun") {
    const std::size_t operations = operations_of([](Machine& machine) {
        save_twice(machine);
        machine.calm();
        static_cast<void>(load_state(machine.paths));
    });
    for (const int error : {EIO, EMFILE}) {
        for (const std::size_t times : {once, once + 1, once + 2}) {
            for (std::size_t at = 1; at <= operations; ++at) {
                CAPTURE(at);
                CAPTURE(times);
                Machine machine;
                save_twice(machine);
                machine.expect({at, {error, false}, times, false});
                const std::string found = loaded(machine.paths);
                machine.calm();
                CHECK((found == "two" || found.rfind("error", 0) == 0));
                CHECK(!machine.has(machine.paths.state() + ".quarantine-1"));
                CHECK(!machine.has(machine.paths.previous_state() + ".quarantine-1"));
                CHECK(loaded(machine.paths) == "two");
            }
        }
    }
}

TEST_CASE("the locks: a supervisor that dies at any operation is in nobody's way" *
          doctest::test_suite("as-built")) {
    const auto hold_and_let_go = [](Machine& machine) {
        const auto lock = SupervisorLock::acquire(machine.paths, now);
        if (lock) {
            const auto queue_lock = QueueLock::acquire(machine.paths, "run loop", now, lock->predecessor());
            static_cast<void>(lock->end_session());
        }
    };
    const std::size_t operations = operations_of(hold_and_let_go);
    for (std::size_t first = 1; first <= operations; ++first) {
        for (std::size_t second = 0; second <= operations + 20; ++second) {
            for (std::uint64_t seed = 0; seed <= 3; ++seed) {
                CAPTURE(first);
                CAPTURE(second);
                CAPTURE(seed);
                Machine machine;
                for (const std::size_t at : {first, second}) {
                    machine.expect({at, {}, once, true});
                    hold_and_let_go(machine);
                    if (seed == 0) {
                        machine.start_again();
                    } else {
                        machine.lose_power(seed);
                    }
                }
                const auto lock = SupervisorLock::acquire(machine.paths, now);
                REQUIRE_MESSAGE(lock.has_value(), lock.error().line());
                const auto queue_lock =
                    QueueLock::acquire(machine.paths, "run loop", now, lock->predecessor());
                REQUIRE_MESSAGE(queue_lock.has_value(), queue_lock.error().line());
            }
        }
    }
}

TEST_CASE("the locks: what fails is told, and the next try succeeds") {
    const auto hold = [](Machine& machine) {
        const auto lock = SupervisorLock::acquire(machine.paths, now);
        const auto queue_lock =
            lock ? std::optional(QueueLock::acquire(machine.paths, "run loop", now, lock->predecessor()))
                 : std::nullopt;
        return queue_lock && queue_lock->has_value();
    };
    const std::size_t operations = operations_of([&](Machine& machine) { CHECK(hold(machine)); });
    for (const Fault& fault : all_faults()) {
        for (std::size_t at = 1; at <= operations; ++at) {
            CAPTURE(fault.error);
            CAPTURE(at);
            Machine machine;
            machine.expect({at, fault, fault.error != EINTR && fault.error != 0, false});
            static_cast<void>(hold(machine));
            machine.start_again();
            CHECK(hold(machine));
        }
    }
}

TEST_CASE(
    "a run directory: once made it is there after a loss of power, and its number is never used again") {
    core::RunSpec spec;
    spec.task_id = "RQ-0001";
    spec.run = core::Run{core::StepKind::work, 7, 2};
    spec.run_id = "0123456789abcdef0123456789abcdef";
    spec.command = {"true"};
    spec.working_directory = "/";
    spec.created_at = now;
    const auto make = [&](Machine& machine) { return make_run_directory(machine.paths, spec).has_value(); };
    const std::size_t operations = operations_of([&](Machine& machine) { CHECK(make(machine)); });
    for (const Fault& fault : all_faults()) {
        for (std::size_t at = 0; at <= operations; ++at) {
            for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
                CAPTURE(fault.error);
                CAPTURE(at);
                CAPTURE(seed);
                Machine machine;
                machine.expect({at, fault, once, false});
                const bool made = make(machine);
                machine.calm();
                const bool made_again = make(machine);
                CHECK((made || made_again));
                machine.lose_power(seed);
                const auto history =
                    read_history(machine.paths, "RQ-0001", "/workspaces/RQ-0001", OrphanPolicy::keep);
                REQUIRE_MESSAGE(history.has_value(), history.error().line());
                CHECK(history->last_number == 7);
                REQUIRE(history->newest.has_value());
                CHECK(history->newest->run.attempt == 2);
            }
        }
    }
}

TEST_CASE("runs that are dealt with: the number survives, or the old one does") {
    const auto settle = [](Machine& machine, std::uint32_t number) {
        return acknowledge_runs(machine.paths, "RQ-0001", number).has_value();
    };
    const auto last_number = [](Machine& machine) {
        const auto history =
            read_history(machine.paths, "RQ-0001", "/workspaces/RQ-0001", OrphanPolicy::keep);
        REQUIRE_MESSAGE(history.has_value(), history.error().line());
        return history->last_number;
    };
    const auto first_acknowledged = [&](Machine& machine) {
        fake::world().disk.put_directory(machine.paths.runs_of("RQ-0001"));
        REQUIRE(settle(machine, 3));
    };
    const std::size_t operations = operations_of(first_acknowledged);
    for (std::size_t at = 1; at <= operations; ++at) {
        for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
            CAPTURE(at);
            CAPTURE(seed);
            Machine machine;
            first_acknowledged(machine);
            machine.expect({at, {}, once, true});
            const bool acknowledged = settle(machine, 5);
            machine.lose_power(seed);
            const std::uint32_t found = last_number(machine);
            CHECK((found == 5 || (found == 3 && !acknowledged)));
        }
    }
}

TEST_CASE("run directories that are removed: whole or gone after a loss of power, never half") {
    core::RunSpec spec;
    spec.task_id = "RQ-0001";
    spec.run_id = "0123456789abcdef0123456789abcdef";
    spec.command = {"true"};
    spec.working_directory = "/";
    spec.created_at = now;
    const auto make = [&](Machine& machine) {
        for (const std::uint32_t number : {1U, 2U, 3U}) {
            spec.run = core::Run{core::StepKind::work, number, number};
            REQUIRE(make_run_directory(machine.paths, spec).has_value());
        }
        REQUIRE(acknowledge_runs(machine.paths, "RQ-0001", 3).has_value());
    };
    const std::size_t operations = operations_of([&](Machine& machine) {
        make(machine);
        machine.calm();
        REQUIRE(remove_runs(machine.paths, "RQ-0001").has_value());
    });
    for (std::size_t at = 1; at <= operations; ++at) {
        for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
            CAPTURE(at);
            CAPTURE(seed);
            Machine machine;
            make(machine);
            machine.expect({at, {}, once, true});
            static_cast<void>(remove_runs(machine.paths, "RQ-0001"));
            machine.lose_power(seed);
            REQUIRE(finish_removing_runs(machine.paths).has_value());
            CHECK_FALSE(machine.has(machine.paths.runs() + "/.RQ-0001.removed"));
            if (machine.has(machine.paths.runs_of("RQ-0001"))) {
                CHECK(machine.has(machine.paths.acknowledged("RQ-0001")));
                for (const std::uint32_t number : {1U, 2U, 3U}) {
                    spec.run = core::Run{core::StepKind::work, number, number};
                    CHECK(machine.has(machine.paths.run("RQ-0001", spec.run) + "/spec.json"));
                }
            }
        }
    }
}

TEST_CASE("a run directory that was made is there after a loss of power, whatever failed at the first try") {
    core::RunSpec spec;
    spec.task_id = "RQ-0001";
    spec.run = core::Run{core::StepKind::work, 1, 1};
    spec.run_id = "0123";
    const auto make = [&](Machine& machine) { return make_run_directory(machine.paths, spec).has_value(); };
    const std::size_t operations = operations_of([&](Machine& machine) { REQUIRE(make(machine)); });
    for (const Fault& fault : all_faults()) {
        for (std::size_t at = 1; at <= operations; ++at) {
            for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
                CAPTURE(at);
                CAPTURE(seed);
                Machine machine;
                machine.expect({at, fault, once, false});
                static_cast<void>(make(machine));
                machine.calm();
                REQUIRE(make(machine));
                machine.lose_power(seed);
                CHECK(machine.has(machine.paths.run("RQ-0001", spec.run) + "/spec.json"));
            }
        }
    }
}

TEST_CASE("what was renamed is there after a loss of power, under its new name alone") {
    for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
        CAPTURE(seed);
        Machine machine;
        const std::string from = machine.paths.parallel() + "/from";
        const std::string to = machine.paths.parallel() + "/to";
        REQUIRE(write_file_durably(from, "text").has_value());
        REQUIRE(rename_durably(from, to).has_value());
        machine.lose_power(seed);
        CHECK_FALSE(machine.has(from));
        const auto text = read_file(to, 100);
        REQUIRE((text.has_value() && text->has_value()));
        CHECK(**text == "text");
    }
}

TEST_CASE("a marker that was removed does not come back with a loss of power, though the first sync failed") {
    const std::string folder = "/workspaces/RQ-0001/.ralph/cache/parallel";
    for (const bool sync_fails : {false, true}) {
        for (std::uint64_t seed = 1; seed <= losses_of_power; ++seed) {
            CAPTURE(sync_fails);
            CAPTURE(seed);
            Machine machine;
            fake::world().disk.put_directory(folder);
            fake::world().disk.put(folder + "/blocked_push.json", "text");
            if (sync_fails) {
                const auto begins = [&](std::size_t at) {
                    machine.expect({at, Fault{EIO, false}, once, false});
                    return remove_marker(Paths{"/workspaces/RQ-0001"}).has_value();
                };
                std::size_t at = 1;
                while (machine.has(folder + "/blocked_push.json")) {
                    REQUIRE(!begins(at++));
                }
                machine.calm();
            }
            REQUIRE(remove_marker(Paths{"/workspaces/RQ-0001"}).has_value());
            machine.lose_power(seed);
            CHECK_FALSE(machine.has(folder + "/blocked_push.json"));
        }
    }
}

TEST_CASE("what is quarantined never takes the place of what was quarantined before") {
    const auto prepare = [](Machine& machine) {
        fake::world().disk.put(machine.paths.state(), "broken");
        fake::world().disk.put(machine.paths.state() + ".quarantine-1", "older");
    };
    const std::size_t operations = operations_of([&](Machine& machine) {
        prepare(machine);
        REQUIRE(quarantine(machine.paths.state()).has_value());
    });
    for (const Fault& fault : all_faults()) {
        for (std::size_t at = 1; at <= operations; ++at) {
            CAPTURE(fault.error);
            CAPTURE(at);
            Machine machine;
            prepare(machine);
            machine.expect({at, fault, once, false});
            static_cast<void>(quarantine(machine.paths.state()));
            CHECK(*fake::world().disk.content(machine.paths.state() + ".quarantine-1") == "older");
        }
    }
}
