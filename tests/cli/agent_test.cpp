// Agents as workers, with a stand-in that does what a list says: its sessions, its limits, its faults.
// What the real programs do is seen by tests/agents/run_agents.py.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <csignal>
#include <filesystem>
#include <sstream>

#include "core/agents/agent_record.h"
#include "core/base/jsonc.h"
#include "daemon/os/clock.h"
#include "daemon/store/agent_records.h"
#include "tests/support/project.h"
#include "tests/support/robots.h"

using ralph::core::Lifecycle;
using ralph::core::Verdict;
using ralph::tests::Project;
using ralph::tests::Robots;
namespace fs = std::filesystem;

TEST_CASE("an agent works, lands, and says what it used") {
    Robots robots("work");
    robots.add();
    const auto end = robots.project.ralph({"run", "--parallel"});
    INFO(end.errors);
    CHECK(end.status == 0);
    CHECK(robots.calls() == "RQ-0001 work first\n");
    const auto records = robots.records();
    REQUIRE(records.size() == 1);
    CHECK(records[0].verdict == Verdict::ok);
    CHECK(records[0].message == "Done.");
    CHECK(records[0].usage.input_tokens == 100);
    CHECK(records[0].usage.cost_usd == 0.5);
    CHECK_FALSE(records[0].session.empty());
    CHECK(robots.prompt(1).find("Task RQ-0001: A task") == 0);
    CHECK(robots.log().find("  I work.\n") != std::string::npos);
    CHECK(Project::read(robots.project.paths().runs_of("RQ-0001") + "/2-work/agent-1.out")
              .find("{\"type\": \"end\"") != std::string::npos);
    const std::string status = robots.project.ralph({"run", "parallel", "status"}).output;
    CHECK(status.find("RQ-0001: robot, ok, 1 turns, 100 tokens, $0.50") != std::string::npos);
    const auto document = ralph::core::JsonDocument::parse(
        robots.project.ralph({"run", "parallel", "status", "--json"}).output, "status");
    CHECK(document->root().at("agents").at("tasks").at(0).at("verdict") == "ok");
}

TEST_CASE("a limit pauses the account: nobody starts, nothing counts, and the session goes on") {
    Robots robots("limit work");
    robots.add("one");
    robots.add("two");
    robots.add("three");
    robots.project.start({"run", "--parallel", "2", "--max-tasks", "3"});
    CHECK(robots.project.wait() == 0);
    INFO(robots.project.log());
    CHECK(robots.said("the account robot is at its limit until"));
    CHECK(robots.said("the account robot is not paused any more"));
    std::size_t limited = 0;
    for (const char* task : {"RQ-0001", "RQ-0002", "RQ-0003"}) {
        CHECK(robots.project.record(task)->lifecycle == Lifecycle::completed);
        const auto records = robots.records(task);
        if (records.front().verdict == Verdict::limited) {
            ++limited;
            REQUIRE(records.size() == 2);
            CHECK(records[1].resumed);
            CHECK(records[1].session == records[0].session);
            CHECK_FALSE(records[0].resets_at.empty());
            // The same attempt.
            CHECK(robots.log(task).find("work run 3 attempt 1") != std::string::npos);
        }
    }
    CHECK(limited == 1);
    CHECK(robots.project.ralph({"account", "list"}).output == "no account is paused\n");
}

TEST_CASE("the first answer after a limit lets the others go, not the end of the work") {
    Robots robots("limit wait");
    robots.add();
    robots.project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return !Project::read(robots.project.outside("robot/pid")).empty(); }));
    CHECK(Project::eventually([&] { return robots.said("the account robot is not paused any more"); }));
    Project::write(robots.project.outside("robot/go"), "");
    CHECK(robots.project.wait() == 0);
}

TEST_CASE("no agent is started while its account is paused, not even within a run") {
    // The second one finds the pause that the first one's end has made in between.
    Robots robots("pausing work");
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(robots.calls() == "RQ-0001 pausing first\nRQ-0001 work again\n");
    const auto records = robots.records();
    REQUIRE(records.size() == 2);  // the run ended, to wait without a slot
    CHECK(records[0].verdict == Verdict::passing);
    CHECK(robots.log().find("work run 3 attempt 1") != std::string::npos);
}

TEST_CASE("an account that is refused waits for a person, also in a repository that comes to it later") {
    Robots robots("refused work");
    robots.add();
    robots.project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] { return robots.said("no agent of it starts"); }));
    CHECK(Project::eventually([&] {
        const auto record = robots.project.record("RQ-0001");
        return record &&
               record->last_error.value_or("").find("ralph account resume robot") != std::string::npos;
    }));
    CHECK(robots.calls() == "RQ-0001 refused first\n");
    const std::string listed = robots.project.ralph({"account", "list", "--json"}).output;
    CHECK(listed.find("\"needs_person\": true") != std::string::npos);
    CHECK(robots.project.ralph({"run", "parallel", "status"})
              .output.find("the account robot is refused: 401 refused") != std::string::npos);

    // A start later knows it, too.
    robots.project.crash();
    robots.project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] { return robots.said("no agent of it starts"); }));
    CHECK(robots.project.ralph({"account", "resume", "robot"}).status == 0);
    CHECK(robots.project.wait() == 0);
    CHECK(robots.calls() == "RQ-0001 refused first\nRQ-0001 work first\n");  // nothing was answered
}

TEST_CASE("passing faults resume the session, at most three times") {
    SUBCASE("it gets through") {
        Robots robots("begin work");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
        CHECK(robots.calls() == "RQ-0001 begin first\nRQ-0001 work again\n");
        CHECK(robots.records().size() == 1);  // within one run
        CHECK(robots.records()[0].faults == 1);
        CHECK(robots.records()[0].usage.turns == 2);
        // What was there stays.
        CHECK(robots.project.git(robots.project.remote(), {"show", "main:begun.txt"}) == "begun\n");
        CHECK(robots.prompt(2).find("Go on with task RQ-0001") == 0);
    }
    SUBCASE("an agent that is killed goes on, too") {
        Robots robots("die work");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
        CHECK(robots.calls() == "RQ-0001 die first\nRQ-0001 work again\n");
    }
}

TEST_CASE("a full context begins a new session once, and is told what is there") {
    SUBCASE("which is enough") {
        Robots robots("full work");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
        CHECK(robots.calls() == "RQ-0001 full first\nRQ-0001 work first\n");
        CHECK(robots.prompt(2).find("This task was begun before") != std::string::npos);
        CHECK(robots.records()[0].session_note.find("filled the model's context") != std::string::npos);
    }
    SUBCASE("which is full again") {
        Robots robots("full");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
        CHECK(robots.calls() == "RQ-0001 full first\nRQ-0001 full first\n");
        CHECK(robots.project.record("RQ-0001")->last_error == "robot: context window (context_full)");
    }
}

TEST_CASE("a session that is lost begins anew, and the record says so") {
    Robots robots("wrong lost work");
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
    CHECK(robots.project.record("RQ-0001")->last_error == "robot: I cannot do it (failed)");
    CHECK(robots.project.ralph({"run", "parallel", "retry", "--task", "RQ-0001"}).status == 0);
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
    CHECK(robots.calls() == "RQ-0001 wrong first\nRQ-0001 lost again\nRQ-0001 work first\n");
    CHECK(robots.prompt(2).find("the attempt failed: I cannot do it") != std::string::npos);
    CHECK(robots.records().back().session_note.find("session not found") != std::string::npos);
}

TEST_CASE("who is denied its tools and changes nothing has failed, who finds nothing is blocked") {
    SUBCASE("denied") {
        Robots robots("denied");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
        CHECK(robots.project.record("RQ-0001")->lifecycle == Lifecycle::failed);
        CHECK(robots.project.record("RQ-0001")->last_error ==
              "robot: robot was denied its tools and changed nothing: Bash (denied)");
    }
    SUBCASE("nothing") {
        Robots robots("nothing");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
        CHECK(robots.project.record("RQ-0001")->lifecycle == Lifecycle::blocked_push);
    }
}

TEST_CASE("silence is told, then ended, then gone on from") {
    Robots robots("silent work", R"("silence": "5s")");
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
    CHECK(robots.calls() == "RQ-0001 silent first\nRQ-0001 work again\n");
    CHECK(robots.log().find(" s; it will be ended after 5 s") != std::string::npos);
    CHECK(robots.records()[0].faults == 1);
}

TEST_CASE("a killed supervisor, shim or step costs an agent no session") {
    Robots robots("wait work");
    robots.add();
    robots.project.start({"run", "--parallel"});
    REQUIRE(
        Project::eventually([&] { return !robots.records().empty() && robots.records().back().answered; }));
    const auto document = [&](const char* name) {
        const std::string path = robots.project.paths().runs_of("RQ-0001") + "/2-work/" + name;
        const auto read = ralph::core::JsonDocument::parse(Project::read(path), path);
        REQUIRE(read.has_value());
        return static_cast<pid_t>(read->root().at("pid").as_int64());
    };
    SUBCASE("supervisor") {
        robots.project.crash();
        robots.project.start({"run", "--parallel"});
        Project::write(robots.project.outside("robot/go"), "");
        CHECK(robots.project.wait() == 0);
        CHECK(robots.calls() == "RQ-0001 wait first\n");
    }
    SUBCASE("shim") {
        ::kill(document("shim.json"), SIGKILL);
        CHECK(robots.project.wait() == 0);
        CHECK(robots.calls() == "RQ-0001 wait first\nRQ-0001 work again\n");
        CHECK(robots.records()[0].session == robots.records()[1].session);
    }
    SUBCASE("step") {
        ::kill(document("worker.json"), SIGKILL);
        CHECK(robots.project.wait() == 0);
        CHECK(robots.calls() == "RQ-0001 wait first\nRQ-0001 work again\n");
    }
}

TEST_CASE("a signal of somebody else between two attempts of an agent is no failure") {
    Robots robots("overloaded work");
    robots.add();
    robots.project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] {
        const auto records = robots.records();
        return !records.empty() && records[0].verdict == Verdict::passing;
    }));
    const std::string worker = robots.project.paths().runs_of("RQ-0001") + "/2-work/worker.json";
    const auto step = ralph::core::JsonDocument::parse(Project::read(worker), worker);
    ::kill(static_cast<pid_t>(step->root().at("pid").as_int64()), SIGTERM);
    CHECK(robots.project.wait() == 0);
    CHECK(robots.calls() == "RQ-0001 overloaded first\nRQ-0001 work first\n");
    CHECK(robots.records().size() == 2);
}

TEST_CASE("an agent that ended well, and was killed before that was recorded, is not started again") {
    Robots robots("wait work");
    robots.add();
    robots.project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] { return !Project::read(robots.project.outside("robot/pid")).empty(); }));
    robots.project.crash();
    const std::string run = robots.project.paths().runs_of("RQ-0001") + "/2-work";
    const auto shim = ralph::core::JsonDocument::parse(Project::read(run + "/shim.json"), "shim.json");
    ::kill(static_cast<pid_t>(shim->root().at("pid").as_int64()), SIGKILL);
    // What the agent left last, before its shim was killed.
    auto record = robots.records().at(0);
    record.verdict = Verdict::ok;
    Project::write(run + "/agent.json", ralph::core::agent_record_text(record));
    Project::write(robots.project.workspaces() + "/RQ-0001/done.txt", "done\n");
    robots.project.start({"run", "--parallel"});
    CHECK(robots.project.wait() == 0);
    CHECK(robots.calls() == "RQ-0001 wait first\n");
    CHECK(robots.project.git(robots.project.remote(), {"show", "main:done.txt"}) == "done\n");
}

TEST_CASE("a remediation goes on with the session of the work, and is told what is wrong") {
    Robots robots("work work");
    // Red until the agent comes a second time.
    Project::write(robots.project.root() + "/gate.sh", "#!/bin/sh\n! [ -e RQ-0001.txt ] || [ \"$(wc -l < '" +
                                                           robots.project.outside("robot/calls") +
                                                           "')\" -ge 2 ]\n");
    fs::permissions(robots.project.root() + "/gate.sh", fs::perms::owner_all);
    Project::write(robots.project.root() + "/.ralph/config.jsonc",
                   R"({"agent": {"ci_gate": {"enabled": true, "argv": ["./gate.sh"]}}})");
    robots.add();
    const auto end = robots.project.ralph({"run", "--parallel"});
    INFO(end.errors);
    CHECK(end.status == 0);
    CHECK(robots.calls() == "RQ-0001 work first\nRQ-0001 work again\n");
    CHECK(robots.prompt(1).find("./gate.sh") != std::string::npos);
    const std::string told = robots.prompt(2);
    CHECK(told.find("could not be landed") != std::string::npos);
    CHECK(told.find("gate") != std::string::npos);
    CHECK(told.find("/handoffs/RQ-0001/attempt_1.json") != std::string::npos);
    CHECK(robots.records()[0].session == robots.records()[1].session);
}

TEST_CASE("what an agent keeps for itself is no work") {
    Robots robots("own");
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel"}).status == 0);
    const std::string files =
        robots.project.git(robots.project.remote(), {"ls-tree", "-r", "--name-only", "main"});
    CHECK(files.find("work.txt") != std::string::npos);
    CHECK(files.find("own.cache") == std::string::npos);
}

TEST_CASE("a task chooses its agent, and one that nobody knows is refused with its name") {
    Robots robots("work");
    robots.add();
    const std::string queue = robots.project.root() + "/.ralph/queue.jsonc";
    std::string text = Project::read(queue);
    const auto with_runner = [&](const std::string& runner) {
        std::string changed = text;
        changed.insert(changed.find("\"created_at\""),
                       "\"agent\": {\"runner\": \"" + runner + "\"},\n      ");
        Project::write(queue, changed);
        robots.project.commit_and_push();
    };
    with_runner("cursor");
    CHECK(robots.project.ralph({"run", "--parallel"}).status != 0);
    CHECK(robots.calls().empty());
}

TEST_CASE("ralph init --agent writes what works, and says what is in its way") {
    Project project;
    const std::string settings = project.root() + "/.ralph/supervisor.jsonc";
    const auto refused = project.ralph({"init", "--agent", "claude"});
    CHECK(refused.status == 1);
    CHECK(refused.errors.find("was there already, and does not name claude") != std::string::npos);
    fs::remove(settings);
    CHECK(project.ralph({"init", "--agent", "unheard-of"}).status == 1);
    CHECK_FALSE(fs::exists(settings));
    CHECK(project.ralph({"init", "--agent", "claude"}).status !=
          0);  // it is tracked, and not in the working tree
}

TEST_CASE("a command whose last word is \"agent\" is a command") {
    Project project;
    Project::write(project.outside("worker"), "echo \"$1\" > word.txt\n");
    Project::write(project.paths().supervisor_config(),
                   R"({"worker": {"command": ["sh", ")" + project.outside("worker") + R"(", "agent"]}})");
    CHECK(project.ralph({"task", "add", "A task"}).status == 0);
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel"});
    INFO(end.errors);
    CHECK(end.succeeded());
    CHECK(project.git(project.remote(), {"show", "main:word.txt"}) == "agent\n");
}

TEST_CASE("a prompt of one's own, and a prompt on standard input") {
    Robots robots("work", R"("prompt_file": "prompt.md", "model": "big")");
    Project::write(robots.project.root() + "/prompt.md", "Mine: {task_id}, {{braces}}, {model}.\n{prompt}");
    SUBCASE("as an argument") {
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).succeeded());
        CHECK(robots.prompt(1).find("Mine: RQ-0001, {braces}, big.\nTask RQ-0001: A task") == 0);
    }
    SUBCASE("a file with a wrong placeholder fails the task, with its name") {
        Project::write(robots.project.root() + "/prompt.md", "{task}");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).status == 3);
        const std::string why = robots.project.record("RQ-0001")->last_error.value_or("");
        CHECK(why.find("prompt.md has the unknown placeholder {task}") != std::string::npos);
    }
    SUBCASE("on standard input") {
        Project::write(robots.project.outside("reads"),
                       "#!/bin/sh\ncat > told.txt\necho '{\"type\": \"end\", \"result\": \"Done.\"}'\n");
        fs::permissions(robots.project.outside("reads"), fs::perms::owner_all);
        Project::write(
            robots.project.paths().supervisor_config(),
            R"({"worker": {"agent": "reads"}, "agents": {"reads": {"output": "events", "first": [")" +
                robots.project.outside("reads") +
                R"("], "prompt_on_input": true, "events": [{"when": {"/type": "end"}, "ends": true}]}}})");
        robots.add();
        CHECK(robots.project.ralph({"run", "--parallel"}).succeeded());
        CHECK(robots.project.git(robots.project.remote(), {"show", "main:told.txt"})
                  .find("Task RQ-0001: A task") == 0);
    }
}

TEST_CASE("a command gets the same words as an agent") {
    Project project;
    Project::write(project.outside("worker"), "printf '%s\\n' \"$@\" > words.txt\n");
    Project::write(project.paths().supervisor_config(),
                   R"({"worker": {"command": ["sh", ")" + project.outside("worker") +
                       R"(", "{prompt}", "{task_file}", "{description}"]},
                                     "gates": {"unit": {"command": ["test", "-e", "words.txt"]}}})");
    CHECK(project.ralph({"task", "add", "A task", "--description", "In more words."}).succeeded());
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).succeeded());
    const std::string words = project.git(project.remote(), {"show", "main:words.txt"});
    CHECK(words.find("Your work must pass: test -e words.txt") != std::string::npos);
    CHECK(words.find(project.paths().task_file("RQ-0001") + "\nIn more words.\n") != std::string::npos);
}

TEST_CASE("an account is one, whatever home the worker has") {
    Robots robots("limit work");
    std::string settings = Project::read(robots.project.paths().supervisor_config());
    settings.replace(settings.find("\"ROBOT\""), 7,
                     "\"HOME\": \"" + robots.project.outside("another-home") + "\", \"ROBOT\"");
    Project::write(robots.project.paths().supervisor_config(), settings);
    robots.add();
    const auto ended = robots.project.ralph({"run", "--parallel"});
    CHECK(ended.succeeded());
    CHECK(robots.calls() == "RQ-0001 limit first\nRQ-0001 work again\n");
    // Told, known to the supervisor, and waited for: no run in between.
    CHECK(ended.errors.find("no agent of it starts") != std::string::npos);
    CHECK(robots.log().find("work run 3 attempt 1") != std::string::npos);
    CHECK(robots.log().find("work run 4") == std::string::npos);
}

TEST_CASE("what an agent's environment holds gets to the agent, and into no record") {
    Robots robots("work");
    std::string settings = Project::read(robots.project.paths().supervisor_config());
    settings.replace(settings.find("\"sessions\""), 10,
                     "\"env\": {\"KEY_OF_ROBOT\": \"hush\"}, \"sessions\"");
    Project::write(robots.project.paths().supervisor_config(), settings);
    std::string script = Project::read(robots.project.outside("robot/robot"));
    script.insert(script.find("mode=$1"), "echo \"$KEY_OF_ROBOT\" > \"$ROBOT/key\"\n");
    Project::write(robots.project.outside("robot/robot"), script);
    robots.add();
    CHECK(robots.project.ralph({"run", "--parallel"}).succeeded());
    CHECK(Project::read(robots.project.outside("robot/key")) == "hush\n");
    const std::string run = robots.project.paths().runs_of("RQ-0001") + "/2-work";
    CHECK(Project::read(run + "/spec.json").find("robot") != std::string::npos);
    for (const auto& file : fs::directory_iterator(run)) {
        CAPTURE(file.path().string());
        CHECK(Project::read(file.path()).find("hush") == std::string::npos);
    }
}

TEST_CASE(
    "an agent that is killed while it waits for a limit by itself pauses its account for as long as it "
    "told") {
    Project project;
    Project::write(project.paths().supervisor_config(), R"({
        "worker": {"agent": "claude"},
        "agents": {"claude": {"first": ["sh", "-c",
            "echo '{{\"type\":\"system\",\"subtype\":\"api_retry\",\"error_status\":429,\"retry_delay_ms\":7200000}}'; kill -9 $$"]}}})");
    CHECK(project.ralph({"task", "add", "A task"}).succeeded());
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    CHECK(Project::eventually([&] {
        return project.ralph({"account", "list"}).output.find("claude") != std::string::npos;
    }));
    const auto listed = project.ralph({"account", "list", "--json"});
    const std::size_t until = listed.output.find("\"until\": \"");
    REQUIRE(until != std::string::npos);
    const auto time = ralph::core::parse_rfc3339(
        listed.output.substr(until + 10, listed.output.find('"', until + 10) - until - 10));
    REQUIRE(time.has_value());
    CHECK(time->instant > ralph::daemon::wall_clock() + std::chrono::minutes{110});
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}
