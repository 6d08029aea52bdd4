// What a task's runs mean is the same for whoever saw them end and for whoever finds them.
#include "core/supervisor/history.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;

namespace {

RunFacts run_of(StepKind step, std::uint32_t number, std::optional<ExitRecord> exit) {
    RunFacts run;
    run.step = step;
    run.number = number;
    run.began = true;
    run.exit = std::move(exit);
    return run;
}

ExitRecord killed() {
    ExitRecord record;
    record.kind = ExitRecord::Kind::signalled;
    record.value = 9;
    return record;
}

// As the store tells it (daemon/store/run_directory.h, end_of).
RunEnd end_of(const RunFacts& run) {
    if (run.never_executed || (!run.exit && !run.began)) {
        return StartFailed{"x"};
    }
    return run.is_lost() ? RunEnd{LostRun{"x"}} : RunEnd{*run.exit};
}

// A run of the step that a task stands at, with an end that it may have.
RunFacts any_run(StepKind step, std::uint32_t number, std::mt19937& random) {
    const auto any_of = [&random](std::initializer_list<std::uint32_t> statuses) {
        return *(statuses.begin() +
                 std::uniform_int_distribution<std::size_t>{0, statuses.size() - 1}(random));
    };
    RunFacts run = run_of(step, number, {});
    switch (any_of({0, 1, 2, 3, 4, 5, 6, 7})) {
        case 0:
            return run;  // its shim is gone
        case 1:
            run.began = false;
            return run;
        case 2:
            run.exit = killed();
            return run;
        case 3:
            run.exit = exited(127);
            run.never_executed = true;
            return run;
        default:
            break;
    }
    switch (step) {
        case StepKind::prepare:
            run.exit = exited(any_of({0, 0, 0, 1, 69, 71}));  // 75 is waited for so often in each life
            break;
        case StepKind::work:
            run.exit = exited(any_of({0, 0, 0, 1}));
            break;
        case StepKind::integrate:
            run.exit = exited(any_of({0, 65, 66, 66, 67, 69, 75, 75, 75}));
            run.target_is_red = run.exit->value == 75 && any_of({0, 1}) == 1;
            break;
        case StepKind::remediate:
            run.exit = exited(any_of({0, 0, 1}));
            break;
        case StepKind::discard:
            run.exit = exited(0);
            break;
    }
    return run;
}

SupervisorSettings settings() {
    SupervisorSettings settings = StepDriver::defaults();
    settings.continuous = true;
    settings.max_restarts = 3;
    settings.max_push_attempts = 4;
    settings.max_remediations = 2;
    return settings;
}

}  // namespace

TEST_CASE("history: an integration that was lost is no attempt, for whoever counts") {
    const std::vector<RunFacts> runs{
        run_of(StepKind::prepare, 1, exited(0)), run_of(StepKind::work, 2, exited(0)),
        run_of(StepKind::integrate, 3, killed()), run_of(StepKind::integrate, 4, exited(65))};
    CHECK(push_attempts(runs) == 1);
    CHECK(fold(runs, 4).acknowledged_integrations == 1);
    RunHistory found = fold(runs, 0);
    CHECK(found.counts.integrations == 0);
    CHECK(found.counts.worked);
    found.newest = RunHistory::Newest{Run{StepKind::integrate, 4, 1}, 0, false, exited(65), {}, {}};
    CHECK(acknowledged(found).acknowledged_integrations == 1);
    CHECK(acknowledged(found).acknowledged_step == StepKind::integrate);
}

TEST_CASE("history: numbers go on from what was acknowledged, though its runs are gone") {
    CHECK(fold({}, 5).last_number == 5);
    CHECK(fold({run_of(StepKind::prepare, 3, exited(0))}, 5).last_number == 5);
    CHECK(fold({run_of(StepKind::prepare, 6, exited(0))}, 5).last_number == 6);
}

TEST_CASE("history: restarts are the lost runs of one step in a row") {
    const RunFacts lost = run_of(StepKind::integrate, 3, {});
    RunFacts start_failed = run_of(StepKind::integrate, 4, {});
    start_failed.began = false;
    const RunFacts next = run_of(StepKind::integrate, 5, {});
    const std::vector<RunFacts> before{run_of(StepKind::prepare, 1, {}),
                                       run_of(StepKind::work, 2, exited(0))};
    const auto restarts = [&before](std::vector<RunFacts> last) {
        std::vector<RunFacts> runs = before;
        runs.insert(runs.end(), last.begin(), last.end());
        return fold(runs, 0).counts.restarts;
    };
    CHECK(restarts({lost}) == 0);  // the newest is its reader's
    CHECK(restarts({lost, next}) == 1);
    CHECK(restarts({lost, start_failed, next}) == 1);
    CHECK(restarts({lost, run_of(StepKind::integrate, 4, exited(75)), next}) == 0);
    CHECK(restarts({lost, run_of(StepKind::integrate, 4, exited(66)), run_of(StepKind::remediate, 5, {})}) ==
          0);
}

TEST_CASE("history: one that is acknowledged is that of runs which were dealt with") {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        std::vector<RunFacts> runs;
        for (std::uint32_t number = 1; number <= 6; ++number) {
            const StepKind step = std::array{StepKind::prepare, StepKind::work, StepKind::integrate,
                                             StepKind::remediate}[random() % 4];
            runs.push_back(any_run(step, number, random));
        }
        RunHistory found = fold(runs, 2);
        const RunFacts& last = runs.back();
        Outcome outcome;
        outcome.target_is_red = last.target_is_red;
        found.newest =
            RunHistory::Newest{Run{last.step, last.number, 1}, 0, false, end_of(last), {}, outcome};
        const RunHistory dealt_with = acknowledged(found);
        const RunHistory read = fold(runs, 6);
        CHECK(dealt_with.acknowledged_integrations == read.acknowledged_integrations);
        CHECK(dealt_with.acknowledged_step == read.acknowledged_step);
        CHECK(dealt_with.last_number == read.last_number);
        CHECK(dealt_with.work_attempts == read.work_attempts);
        CHECK(read.acknowledged_integrations == push_attempts(runs));
        CHECK_FALSE(dealt_with.newest.has_value());
    }
}

TEST_CASE("history: a supervisor that saw the runs end and one that finds them stand at the same point") {
    std::mt19937 random(7);
    std::size_t compared = 0;
    for (int round = 0; round < 400; ++round) {
        CAPTURE(round);
        StepDriver driver(settings());
        driver.queue({"T1"});
        driver.recovered("T1");
        std::vector<RunFacts> runs;
        for (std::uint32_t number = 1; number <= 14 && !driver.supervisor.active.empty(); ++number) {
            driver.pass(std::chrono::hours{2});
            REQUIRE(driver.supervisor.active.size() == 1);
            const ActiveTask& task = driver.supervisor.active.front();
            REQUIRE(task.phase == Phase::starting);
            REQUIRE(task.run.number == number);
            const Run run = task.run;
            const ParallelState before = driver.supervisor.state;
            runs.push_back(any_run(run.step, number, random));
            const RunFacts& newest = runs.back();
            CAPTURE(to_string(run.step));
            Outcome outcome;
            outcome.target_is_red = newest.target_is_red;
            RunHistory found = fold(runs, 0);
            found.workspace_exists = true;
            found.newest = RunHistory::Newest{run, 0, false, end_of(newest), {}, outcome};
            driver.started("T1", number);
            driver.ended("T1", number, end_of(newest), {}, outcome);

            StepDriver next(settings(), before.workers);
            next.now = driver.now;
            next.recovered("T1", found);
            const auto* const lived = driver.supervisor.state.find("T1");
            const auto* const read = next.supervisor.state.find("T1");
            REQUIRE((lived != nullptr && read != nullptr));
            std::string told;
            for (const RunFacts& each : runs) {
                told += fmt::format(
                    "{}{} ", to_string(each.step),
                    each.exit    ? fmt::format(":{}{}", each.exit->value,
                                            each.never_executed                              ? "never"
                                               : each.exit->kind == ExitRecord::Kind::signalled ? "killed"
                                                                                                : "")
                    : each.began ? ":lost"
                                 : ":start_failed");
            }
            CAPTURE(told);
            CAPTURE(lived->last_error.value_or("-"));
            CAPTURE(read->last_error.value_or("-"));
            CHECK(lived->lifecycle == read->lifecycle);
            CHECK(lived->push_attempts == read->push_attempts);
            // Why it waits is told anew by who finds it.
            CHECK((!lived->is_terminal() || lived->last_error == read->last_error));
            CHECK(lived->push_attempts == push_attempts(runs));
            REQUIRE(driver.supervisor.active.size() == next.supervisor.active.size());
            if (!driver.supervisor.active.empty()) {
                const ActiveTask& here = driver.supervisor.active.front();
                const ActiveTask& there = next.supervisor.active.front();
                CHECK(here.run.step == there.run.step);
                CHECK(here.run.attempt == there.run.attempt);
                CHECK(here.counts.integrations == there.counts.integrations);
                CHECK(here.counts.remediations == there.counts.remediations);
                CHECK(here.counts.restarts == there.counts.restarts);
                CHECK(here.counts.worked == there.counts.worked);
            }
            ++compared;
        }
    }
    CHECK(compared > 2000);
}
