// Agents' accounts that are paused: nobody of them starts, no attempt is spent, one tries first.
#include <doctest/doctest.h>

#include "core/supervisor/accounts.h"
#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

SupervisorSettings agents(std::uint32_t workers) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = workers;
    settings.accounts = {{"robot", "team"}, {"other", "other"}};
    settings.agent = "robot";
    settings.tasks_choose_agent = true;
    return settings;
}

AccountPause pause(Milliseconds from_start, Milliseconds until, bool needs_person = false) {
    AccountPause made;
    made.account = "team";
    made.reason = "limit";
    made.needs_person = needs_person;
    made.since = step_start + from_start;
    made.until = step_start + until;
    return made;
}

Outcome paused() {
    Outcome outcome;
    outcome.summary = "team is at its limit";
    outcome.paused_account = "team";
    return outcome;
}

RunHistory fresh() {
    RunHistory history;
    history.runner = "";
    return history;
}

void to_work(StepDriver& driver, const std::string& id) {
    driver.recovered(id, fresh());
    driver.started(id, 1);
    driver.ended(id, 1, 0);
    driver.started(id, 2);
}

// T1 for the usual agent, T2 for another one, T3 with a command of its own.
std::shared_ptr<const QueueSnapshot> three_kinds() {
    auto snapshot = std::make_shared<QueueSnapshot>();
    for (const char* id : {"T1", "T2", "T3"}) {
        snapshot->queue.tasks.emplace_back();
        snapshot->queue.tasks.back().id = id;
    }
    snapshot->queue.tasks[1].agent = boost::json::value{{"runner", "other"}};
    snapshot->queue.tasks[2].custom_fields.emplace_back("run", "true");
    return snapshot;
}

}  // namespace

TEST_CASE("accounts: who meets the limit waits without a slot, and no attempt is spent") {
    StepDriver driver(agents(2));
    driver.queue({"T1", "T2", "T3"});
    to_work(driver, "T1");
    to_work(driver, "T2");
    driver.take(event::AccountsRead{{pause(0ms, 60'000ms)}});
    const std::string said = driver.ended("T1", 2, exited(72), {}, paused());
    CHECK(said.find("read T1 ") == std::string::npos);
    CHECK(said.find("start") == std::string::npos);  // neither T1 again, nor T3, whose account is the same
    CHECK(driver.lifecycle("T1") == "running");
    CHECK(driver.error("T1") == "waits: team is at its limit");
    CHECK_FALSE(driver.supervisor.active[0].slot.has_value());
    CHECK(driver.supervisor.active[0].run.attempt == 1);
    // Who is at work is left alone.
    CHECK(driver.supervisor.active[1].phase == Phase::running);
    CHECK(driver.ended("T2", 2, 0).find("start T2 3-integrate") != std::string::npos);

    CHECK(driver.pass(59'000ms).find("start") == std::string::npos);
    // Its time has come: one tries, and nobody else.
    const std::string due = driver.pass(1'000ms);
    CHECK(due.find("start T1 3-work attempt=1") != std::string::npos);
    CHECK(due.find("T3") == std::string::npos);
    CHECK(driver.pass(10'000ms).find("T3") == std::string::npos);
    // It gets an answer, so that the pause goes.
    CHECK(driver.take(event::AccountsRead{}).find("read T3 and keep") != std::string::npos);
    driver.started("T1", 3);
    CHECK(driver.ended("T1", 3, 0).find("announce T1 running -> integrating attempt=1") != std::string::npos);
    CHECK(driver.error("T1") == "no error");
}

TEST_CASE("accounts: a try that meets the limit again leaves the account paused") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    driver.take(event::AccountsRead{{pause(0ms, 10'000ms)}});
    driver.ended("T1", 2, exited(72), {}, paused());
    CHECK(driver.pass(10'000ms).find("start T1 3-work") != std::string::npos);
    driver.started("T1", 3);
    driver.take(event::AccountsRead{{pause(10'000ms, 40'000ms)}});
    CHECK(driver.ended("T1", 3, exited(72), {}, paused()).find("start") == std::string::npos);
    CHECK(driver.pass(29'000ms).find("start") == std::string::npos);
    CHECK(driver.pass(1'000ms).find("start T1 4-work attempt=1") != std::string::npos);
}

TEST_CASE("accounts: a try that ends otherwise lets the next one try") {
    StepDriver driver(agents(2));
    driver.queue({"T1", "T2"});
    to_work(driver, "T1");
    to_work(driver, "T2");
    driver.take(event::AccountsRead{{pause(0ms, 10'000ms)}});
    driver.ended("T1", 2, exited(72), {}, paused());
    driver.ended("T2", 2, exited(72), {}, paused());
    const std::string due = driver.pass(10'000ms);
    CHECK(due.find("start T1 3-work") != std::string::npos);
    CHECK(due.find("start T2") == std::string::npos);
    driver.started("T1", 3);
    CHECK(driver.ended("T1", 3, 1).find("start T2 3-work") != std::string::npos);
}

TEST_CASE("accounts: refused waits for a person, and a run with nothing else to do does not end") {
    StepDriver driver(agents(1));
    driver.take(event::AccountsRead{{pause(0ms, 0ms, true)}});
    CHECK(driver.queue({"T1"}).find("finish") == std::string::npos);
    CHECK(driver.pass(std::chrono::hours{100}).find("announce") == std::string::npos);
    CHECK(driver.take(event::AccountsRead{}).find("read T1 and keep") != std::string::npos);
}

TEST_CASE("accounts: a task that asks for another agent is not held up, nor is one with its own command") {
    StepDriver driver(agents(1));
    driver.take(event::AccountsRead{{pause(0ms, 0ms, true)}});
    const auto snapshot = three_kinds();
    CHECK(driver.take(event::QueueLoaded{snapshot, true}).find("read T2 and keep") != std::string::npos);
    RunHistory history;
    history.runner = "other";
    driver.recovered("T2", history);
    CHECK(driver.supervisor.active[0].account == "other");
    for (std::uint32_t run = 1; run <= 3; ++run) {
        driver.started("T2", run);
        driver.ended("T2", run, 0);
    }
    CHECK(driver.lifecycle("T3") == "running");
    CHECK(driver.lifecycle("T1") == "none");
}

TEST_CASE("accounts: a drain leaves who waits for an account to the next start, which knows it") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    driver.take(event::AccountsRead{{pause(0ms, 3'600'000ms)}});
    driver.ended("T1", 2, exited(72), {}, paused());
    CHECK(driver.take(event::DrainRequested{15, "signal"}).find("finish 143") != std::string::npos);

    StepDriver next(agents(1), {record("T1", Lifecycle::running)}, {"T1"});
    next.take(event::AccountsRead{{pause(0ms, 3'600'000ms)}});
    RunHistory history = ralph::test::history(Run{StepKind::work, 2, 1}, 0, RunEnd{exited(72)});
    history.newest->outcome = paused();
    history.runner = "";
    history.work_attempts = 0;
    CHECK(next.recovered("T1", history).find("start") == std::string::npos);
    next.queue({"T1"});
    CHECK(next.take(event::AccountsRead{}).find("start T1 3-work attempt=1") != std::string::npos);
}

TEST_CASE("accounts: where nobody here knows of the pause, it is tried again, and more and more seldom") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    std::uint32_t number = 2;
    for (const int seconds : {5, 10, 20, 40, 60, 60}) {
        CAPTURE(seconds);
        driver.ended("T1", number, exited(72), {}, paused());
        CHECK(driver.pass(seconds * 1000ms - 1ms).find("start") == std::string::npos);
        CHECK(driver.pass(1ms).find("start T1") != std::string::npos);
        driver.started("T1", ++number);
    }
}

TEST_CASE("accounts: who tries is known after a restart, too") {
    StepDriver next(agents(2), {record("T1", Lifecycle::running), record("T2", Lifecycle::running)},
                    {"T1", "T2"});
    next.take(event::AccountsRead{{pause(-20'000ms, -10'000ms)}});
    RunHistory alive = ralph::test::history(Run{StepKind::work, 3, 1}, 0, std::nullopt);
    alive.runner = "";
    CHECK(next.recovered("T1", alive).find("adopt T1 3-work") != std::string::npos);
    RunHistory waits = ralph::test::history(Run{StepKind::work, 2, 1}, 1, RunEnd{exited(72)});
    waits.newest->outcome = paused();
    waits.runner = "";
    CHECK(next.recovered("T2", waits).find("start T2") == std::string::npos);
    CHECK(next.pass(60'000ms).find("start T2") == std::string::npos);
    CHECK(next.ended("T1", 3, 1).find("start T2 3-work") != std::string::npos);
}

TEST_CASE("accounts: a remediation that waits for an account still knows why the work did not land") {
    SupervisorSettings settings = agents(1);
    settings.max_remediations = 1;
    StepDriver driver(settings);
    driver.queue({"T1"});
    to_work(driver, "T1");
    driver.ended("T1", 2, 0);
    driver.started("T1", 3);
    Outcome conflict;
    conflict.summary = "conflict in a.c";
    driver.ended("T1", 3, exited(66), {}, conflict);
    driver.started("T1", 4);
    driver.take(event::AccountsRead{{pause(0ms, 60'000ms)}});
    driver.ended("T1", 4, exited(72), {}, paused());
    CHECK(driver.error("T1") == "conflict in a.c");
    std::string reason;
    driver.now += 60'000ms;
    for (const Action& action :
         step(driver.supervisor, event::AccountsRead{}, Moment{driver.now, driver.now})) {
        if (const auto* const start = std::get_if<action::StartRun>(&action)) {
            reason = start->reason;
        }
    }
    CHECK(reason == "conflict in a.c");
    driver.started("T1", 5);
    CHECK(driver.ended("T1", 5, 1).find("before that: conflict in a.c") != std::string::npos);
}

TEST_CASE("accounts: settings that name a command let go of who waited for an agent's account") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    driver.take(event::AccountsRead{{pause(0ms, 0ms, true)}});
    driver.ended("T1", 2, exited(72), {}, paused());
    CHECK(driver.pass(100'000ms).find("start") == std::string::npos);
    SupervisorSettings command = agents(1);
    command.agent.clear();
    command.tasks_choose_agent = false;
    CHECK(driver.take(event::SettingsChanged{command}).find("start T1 3-work") != std::string::npos);
}

TEST_CASE("accounts: exit 72 of a plain command is a failure like any other") {
    StepDriver driver;
    driver.queue({"T1"});
    driver.run_first("T1", 1);
    driver.started("T1", 2);
    driver.ended("T1", 2, 72);
    CHECK(driver.lifecycle("T1") == "failed");
}

TEST_CASE("accounts: a run that only waited counts as no attempt, live or read again") {
    RunFacts waited;
    waited.step = StepKind::work;
    waited.number = 2;
    waited.began = true;
    waited.exit = exited(72);
    waited.by_agent = true;
    waited.account_paused = true;
    RunFacts prepared;
    prepared.number = 1;
    prepared.began = true;
    prepared.exit = exited(0);
    const RunHistory history = fold({prepared, waited}, 0);
    CHECK(history.work_attempts == 0);
    CHECK_FALSE(history.counts.worked);
    waited.account_paused = false;
    CHECK(fold({prepared, waited}, 0).work_attempts == 1);
}

TEST_CASE(
    "accounts: an agent that is killed is lost, and goes on, while a command that is killed has failed") {
    ExitRecord killed;
    killed.kind = ExitRecord::Kind::signalled;
    killed.value = 9;
    CHECK(counts_as_lost(StepKind::work, killed, false, true));
    CHECK(counts_as_lost(StepKind::remediate, killed, false, true));
    CHECK_FALSE(counts_as_lost(StepKind::work, killed, false, false));
    killed.out_of_memory = true;
    CHECK_FALSE(counts_as_lost(StepKind::work, killed, false, true));
}

TEST_CASE("accounts: an agent that was stopped with the supervisor goes on in its workspace") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    driver.take(event::StopRequested{15, true});
    driver.ended("T1", 2, stopped());
    StepDriver next(agents(1), {record("T1", Lifecycle::running)}, {"T1"});
    RunHistory history = ralph::test::history(Run{StepKind::work, 2, 1}, 0, RunEnd{stopped()});
    history.runner = "";
    CHECK(next.recovered("T1", history).find("start T1 3-work attempt=2") != std::string::npos);
}

TEST_CASE(
    "accounts: a budget of the day that is spent holds back every agent until the day ends, and no command") {
    StepDriver driver(agents(3));
    AccountPause day;
    day.account = budget_of_day;
    day.until = step_start + 60'000ms;
    const auto snapshot = three_kinds();
    CHECK(driver.take(event::AccountsRead{{day}}).find("no agent starts") != std::string::npos);
    const std::string said = driver.take(event::QueueLoaded{snapshot, false});
    CHECK(said.find("read T1 ") == std::string::npos);
    CHECK(said.find("read T2 ") == std::string::npos);
    CHECK(said.find("read T3 ") != std::string::npos);
    RunHistory of_command;
    driver.recovered("T3", of_command);
    driver.started("T3", 1);
    // It is told once, whatever its numbers are meanwhile.
    day.reason = "more";
    CHECK(driver.take(event::AccountsRead{{day}}).find("no agent starts") == std::string::npos);
    CHECK(driver.pass(59'000ms).find("announce") == std::string::npos);
    const std::string due = driver.pass(1'000ms);
    CHECK(due.find("read T1 ") != std::string::npos);
    CHECK(due.find("read T2 ") != std::string::npos);
}

TEST_CASE("accounts: who is ended by the day's budget waits, and goes on when there is more") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    AccountPause day;
    day.account = budget_of_day;
    day.until = step_start + std::chrono::hours{10};
    driver.take(event::AccountsRead{{day}});
    Outcome spent;
    spent.summary = "the budget of the day is spent";
    spent.paused_account = budget_of_day;
    CHECK(driver.ended("T1", 2, exited(72), {}, spent).find("start") == std::string::npos);
    CHECK(driver.error("T1") == "waits: the budget of the day is spent");
    CHECK(driver.pass(std::chrono::hours{5}).find("start") == std::string::npos);
    // Somebody has raised it.
    CHECK(driver.take(event::AccountsRead{}).find("start T1 3-work attempt=1") != std::string::npos);
}

TEST_CASE("accounts: a run whose budget is spent drains, and a service waits for somebody") {
    AccountPause run;
    run.account = budget_of_run;
    run.needs_person = true;
    run.reason = "limits.run is spent: 9 turns";
    StepDriver driver(agents(1));
    driver.queue({"T1", "T2"});
    to_work(driver, "T1");
    CHECK(driver.take(event::AccountsRead{{run}}).find("limits.run") != std::string::npos);
    CHECK(driver.supervisor.mode == Mode::draining);
    Outcome spent;
    spent.paused_account = budget_of_run;
    CHECK(driver.ended("T1", 2, exited(72), {}, spent).find("finish 3") != std::string::npos);

    SupervisorSettings continuous = agents(1);
    continuous.continuous = true;
    StepDriver service(continuous);
    service.take(event::AccountsRead{{run}});
    CHECK(service.queue({"T1"}).find("announce") == std::string::npos);
    CHECK(service.supervisor.mode == Mode::running);
    CHECK(service.take(event::AccountsRead{}).find("read T1 ") != std::string::npos);
}

TEST_CASE("accounts: a phase whose agent has another account waits for that one") {
    StepDriver driver(agents(1));
    driver.queue({"T1"});
    to_work(driver, "T1");
    AccountPause other = pause(0ms, 60'000ms);
    other.account = "other";
    driver.take(event::AccountsRead{{other}});
    Outcome waits = paused();
    waits.paused_account = "other";
    CHECK(driver.ended("T1", 2, exited(72), {}, waits).find("start") == std::string::npos);
    CHECK(driver.pass(59'000ms).find("start") == std::string::npos);
    CHECK(driver.pass(1'000ms).find("start T1 3-work attempt=1") != std::string::npos);
}

TEST_CASE(
    "accounts: a task that was recovered before its text was kept has the account that the queue tells") {
    StepDriver driver(agents(1), {record("T1", Lifecycle::running)});
    driver.queue({"T1"});
    driver.recovered("T1", RunHistory{});  // nothing of it is on disk
    driver.started("T1", 1);
    driver.take(event::AccountsRead{{pause(0ms, 60'000ms)}});
    CHECK(driver.ended("T1", 1, 0).find("start T1 2-work") == std::string::npos);
    CHECK(driver.pass(60'000ms).find("start T1 2-work") != std::string::npos);
}
