// `ralph run` from outside: real queue, real remote, real workers.
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <csignal>
#include <filesystem>

#include "core/base/jsonc.h"
#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

std::size_t count(const std::vector<std::string>& lines, const std::string& line) {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
}

std::string archive_subject(const std::string& id) {
    return "ralph: archive " + id + " queue bookkeeping";
}

boost::json::value parse(const std::string& text) {
    auto document = ralph::core::JsonDocument::parse(text, "output");
    REQUIRE(document.has_value());
    return document->root();
}

// A worker that leaves a line in a ledger outside of everything, waits for a file there, and makes a change.
std::string ledger_worker(const Project& project, const std::string& name) {
    return "echo begin >> '" + project.outside("ledger-" + name) + "'; echo $$ > '" +
           project.outside("pid-" + name) + "'; while ! [ -e '" + project.outside("go") +
           "' ]; do sleep 0.02; done; echo end >> '" + project.outside("ledger-" + name) + "'; echo " + name +
           " > " + name + ".txt";
}

}  // namespace

TEST_CASE("three tasks land: state, status, queue and done, here and on the remote") {
    Project project;
    for (const char* name : {"one", "two", "three"}) {
        project.add(name, std::string("echo ") + name + " > " + name + ".txt");
    }
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "3"});
    CHECK(end.status == 0);
    CHECK(end.output.empty());
    INFO(end.errors);
    CHECK(end.errors.find(" warning ") == std::string::npos);  // on a good day nobody is alarmed
    const auto state = project.state();
    CHECK(state.count(Lifecycle::completed) == 3);
    CHECK(state.target_branch == "main");
    CHECK(project.remote_done() == std::vector<std::string>{"RQ-0001", "RQ-0002", "RQ-0003"});
    const auto subjects = project.remote_subjects();
    for (const char* id : {"RQ-0001", "RQ-0002", "RQ-0003"}) {
        CHECK(count(subjects, archive_subject(id)) == 1);
    }
    CHECK(project.git(project.remote(), {"show", "main:two.txt"}) == "two\n");
    CHECK(parse(Project::read(project.root() + "/.ralph/queue.jsonc")).at("tasks").as_array().empty());
    CHECK(parse(Project::read(project.root() + "/.ralph/done.jsonc")).at("tasks").as_array().size() == 3);
    CHECK(Project::read(project.root() + "/three.txt") == "three\n");  // the checkout was brought forward
    CHECK(project.git(project.root(), {"status", "--porcelain"}).empty());
    CHECK(fs::is_directory(project.workspaces() + "/.integration"));  // for the next ones
    CHECK(fs::is_regular_file(project.workspaces() + "/.ralph-repository"));
    CHECK(std::distance(fs::directory_iterator(project.workspaces()), {}) == 2);
    CHECK(!fs::exists(project.paths().queue_lock()));

    const auto status = parse(project.ralph({"run", "parallel", "status", "--json"}).output);
    CHECK(status.at("version").as_int64() == 3);
    CHECK(status.at("lifecycle_counts").at("completed").as_int64() == 3);
    CHECK(status.at("lifecycle_counts").at("total").as_int64() == 3);
    CHECK(status.at("status").at("workers").as_array().size() == 3);
}

TEST_CASE("a second run finds nothing to do, and lands nothing twice") {
    Project project;
    project.add("one", "echo one > one.txt");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 0);
    const auto before = project.remote_subjects();
    fs::remove_all(project.paths().cache());  // not even when every memory of the run is gone
    CHECK(project.ralph({"run", "loop", "--parallel", "2"}).status == 0);
    CHECK(project.remote_subjects() == before);
}

TEST_CASE("a task that landed is not run again although the checkout could not be brought forward") {
    Project project;
    project.add("one", "echo run >> '" + project.outside("ledger") + "'; echo one > one.txt");
    project.commit_and_push();
    Project::write(project.root() + "/README", "changed by the user\n");
    project.git(project.root(), {"add", "README"});
    CHECK(project.ralph({"run", "--parallel"}).status == 1);  // uncommitted changes are refused
    const auto end = project.ralph({"run", "--parallel", "--force"});
    CHECK(end.status == 0);
    CHECK(Project::read(project.root() + "/README") == "changed by the user\n");
    CHECK(!fs::exists(project.root() + "/one.txt"));
    CHECK(end.errors.find("was not brought forward") != std::string::npos);
    CHECK(project.ralph({"run", "--parallel", "--force"}).status == 0);
    SUBCASE("with all memory gone") {
        fs::remove_all(project.paths().cache());
    }
    CHECK(project.ralph({"run", "--parallel", "--force"}).status == 0);
    CHECK(Project::read(project.outside("ledger")) == "run\n");
    CHECK(count(project.remote_subjects(), archive_subject("RQ-0001")) == 1);
}

TEST_CASE("a failure, a blocked task and a landing: exit 3, and every one at its place") {
    Project project;
    const std::string fails = project.add("fails", "echo why it failed; exit 7");
    const std::string lands = project.add("lands", "echo x > README");
    // Ends only when the other one is on the remote, with a change of the same line.
    const std::string conflicts =
        project.add("conflicts",
                    "echo y > README; until git ls-remote -q origin main | grep -qv $RALPH_BASE_SHA; "
                    "do sleep 0.05; done");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "3"}).status == 3);
    CHECK(project.record(fails)->lifecycle == Lifecycle::failed);
    CHECK(project.record(fails)->last_error->find("status 7") != std::string::npos);
    CHECK(project.record(lands)->lifecycle == Lifecycle::completed);
    CHECK(project.record(conflicts)->lifecycle == Lifecycle::blocked_push);
    CHECK(project.record(conflicts)->last_error->find("README") != std::string::npos);
    CHECK(Project::read(project.paths().log(fails)).find("why it failed\n") != std::string::npos);
    CHECK(project.remote_done() == std::vector<std::string>{lands});
    CHECK(Project::read(project.workspaces() + "/" + conflicts + "/README") == "y\n");
    CHECK(fs::exists(ralph::daemon::Paths{project.workspaces() + "/" + conflicts}.block_marker()));
    const auto status = parse(project.ralph({"run", "parallel", "status", "--json"}).output);
    CHECK(status.at("blocking").at("reason").at("reason").as_string() == "blocked_push");
    CHECK(status.at("lifecycle_counts").at("failed").as_int64() == 1);
}

TEST_CASE("a blocked task that was resolved by hand lands after a retry, without working again" *
          doctest::test_suite("as-built")) {
    Project project;
    project.add("lands", "echo x > README");
    const std::string blocked = project.add(
        "conflicts", "echo run >> '" + project.outside("ledger") +
                         "'; echo y > README; until git ls-remote -q origin main | grep -qv $RALPH_BASE_SHA; "
                         "do sleep 0.05; done");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel", "2"}).status == 3);
    const std::string workspace = project.workspaces() + "/" + blocked;
    project.git(workspace, {"fetch", "-q", "origin"});
    project.git(workspace, {"rebase", "-q", "-X", "theirs", "origin/main"});
    CHECK(project.ralph({"run", "parallel", "retry", "--task", blocked}).status == 0);
    CHECK(project.ralph({"run", "parallel", "status"})
              .output.find(blocked + " will run again with the next start") != std::string::npos);
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(project.record(blocked)->lifecycle == Lifecycle::completed);
    CHECK(project.ralph({"run", "parallel", "retry", "--task", blocked}).status == 1);  // it has landed
    CHECK(project.git(project.remote(), {"show", "main:README"}) == "y\n");
    CHECK(Project::read(project.outside("ledger")) == "run\n");
}

TEST_CASE("a failed task runs again after a retry, goes on from what it left, and that is kept, too") {
    Project project;
    const std::string id =
        project.add("second time lucky", "echo attempt $RALPH_ATTEMPT from \"$RALPH_KEPT\" >> '" +
                                             project.outside("ledger") + "'; cat half.txt >> '" +
                                             project.outside("ledger") +
                                             "'; echo half > half.txt; [ $RALPH_ATTEMPT = 2 ]");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(project.ralph({"run", "parallel", "retry", "--task", id}).status == 0);
    CHECK(project.ralph({"run", "parallel", "retry", "--task", id}).status == 0);  // once, however often
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    const std::string kept = "refs/ralph/kept/" + id + "/1";
    CHECK(Project::read(project.outside("ledger")) == "attempt 1 from \nattempt 2 from " + kept + "\nhalf\n");
    CHECK(project.git(project.root(), {"show", kept + ":half.txt"}) == "half\n");
    CHECK(project.git(project.remote(), {"show", "main:half.txt"}) == "half\n");
}

TEST_CASE("a retry reaches a running supervisor") {
    Project project;
    const std::string id =
        project.add("needs a file", "[ -e '" + project.outside("go") + "' ] && echo x > x.txt");
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually(
        [&] { return project.record(id) && project.record(id)->lifecycle == Lifecycle::failed; }));
    Project::write(project.outside("go"), "");
    CHECK(project.ralph({"run", "parallel", "retry", "--task", id}).status == 0);
    CHECK(Project::eventually([&] { return project.record(id)->lifecycle == Lifecycle::completed; }));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
}

TEST_CASE("dependencies run one after the other, though side by side would be possible" *
          doctest::test_suite("as-built")) {
    Project project;
    const std::string first = project.add("first", "echo 1 > first.txt");
    const std::string second = project.add("second", "cat first.txt > second.txt", {first});
    project.add("third", "cat second.txt > third.txt", {second});
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "3"}).status == 0);
    CHECK(project.git(project.remote(), {"show", "main:third.txt"}) == "1\n");
}

TEST_CASE("a continuous run waits for new tasks, ends on queue stop, and keeps the limit of tasks") {
    Project project;
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.paths().queue_lock()); }));
    project.add("later", "echo later > later.txt");
    project.commit_and_push();
    REQUIRE(Project::eventually(
        [&] { return project.record("RQ-0001") && project.record("RQ-0001")->is_terminal(); }));
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::completed);
    CHECK(project.ralph({"queue", "stop"}).status == 0);
    CHECK(project.wait() == 0);
    CHECK(!fs::exists(project.paths().stop_file()));

    project.add("a", "echo a > a");
    project.add("b", "echo b > b");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2", "--max-tasks", "1"}).status == 0);
    CHECK(!project.record("RQ-0003").has_value());
}

TEST_CASE("a task whose text is longer than a megabyte") {
    Project project;
    const std::string id = project.add("long", "wc -c < \"$RALPH_TASK_FILE\" > size");
    const std::string path = project.root() + "/.ralph/queue.jsonc";
    std::string queue = Project::read(path);
    const std::string field = R"("title": "long",)";
    REQUIRE(queue.find(field) != std::string::npos);
    queue.replace(queue.find(field), field.size(),
                  field + R"("description": ")" + std::string(3U << 20U, 'x') + "\",");
    Project::write(path, queue);
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(std::stoul(project.git(project.remote(), {"show", "main:size"})) > 3U << 20U);
}

TEST_CASE("the worker's surroundings") {
    Project project;
    Project::write(
        project.root() + "/.ralph/supervisor.jsonc",
        R"({"worker": {"command": ["sh", "-c", "env > env.txt; pwd > pwd.txt; echo \"$0|$1\" > args.txt",
                       "{task_id}", "{task_title}"], "env": {"MORE": "yes"}}})");
    Project::write(project.root() + "/.gitignore", Project::read(project.root() + "/.gitignore") + ".env\n");
    Project::write(project.root() + "/.env", "SECRET=1\n");
    REQUIRE(project.ralph({"task", "add", "a {workspace} 'title'", "--description", "why"}).status == 0);
    project.commit_and_push();
    const std::string base = project.git(project.root(), {"rev-parse", "HEAD"});
    REQUIRE(project.ralph({"run", "--parallel", "2"}).status == 0);
    const auto remote = [&](const std::string& name) {
        return project.git(project.remote(), {"show", "main:" + name});
    };
    const std::string workspace = project.workspaces() + "/RQ-0001";
    CHECK(remote("pwd.txt") == workspace + "\n");
    CHECK(remote("args.txt") == "RQ-0001|a {workspace} 'title'\n");
    const std::string environment = "\n" + remote("env.txt");
    for (const std::string& line :
         {std::string("RALPH_TASK_ID=RQ-0001"), std::string("RALPH_TASK_TITLE=a {workspace} 'title'"),
          "RALPH_WORKSPACE=" + workspace, "RALPH_ROOT=" + project.root(),
          std::string("RALPH_TARGET_BRANCH=main"), "RALPH_BASE_SHA=" + base.substr(0, base.size() - 1),
          std::string("RALPH_ATTEMPT=1"), std::string("RALPH_SLOT=0"), std::string("MORE=yes"),
          "RALPH_TASK_FILE=" + project.paths().task_file("RQ-0001")}) {
        CAPTURE(line);
        CHECK(environment.find("\n" + line + "\n") != std::string::npos);
    }
    const auto task = parse(Project::read(project.paths().task_file("RQ-0001")));
    CHECK(task.at("description").as_string() == "why");
    CHECK(project.git(project.remote(), {"ls-tree", "-r", "--name-only", "main"}).find(".env\n") ==
          std::string::npos);
}

TEST_CASE("a step can be replaced by any program that speaks the table") {
    Project project;
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   R"({"prepare": {"command": ["sh", "-c", "mkdir -p \"$RALPH_WORKSPACE\""]},
                       "integrate": {"command": ["sh", "-c", "echo x >> \"$1\"; n=$(wc -l < \"$1\"); [ $n -ge 3 ] || exit 75",
                                                 "integrate", ")" +
                       project.outside("attempts") + R"("]}})");
    Project::write(project.root() + "/.ralph/config.jsonc",
                   R"({"agent": {"ci_gate": {"enabled": false}}, "parallel": {"push_backoff_ms": [1]}})");
    project.add("one", "true");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 0);
    CHECK(project.record("RQ-0001")->push_attempts == 3);
    CHECK(Project::read(project.outside("attempts")) == "x\nx\nx\n");
}

TEST_CASE("out of attempts is blocked, and says so") {
    Project project;
    Project::write(project.root() + "/.ralph/supervisor.jsonc",
                   R"({"integrate": {"command": ["sh", "-c", "exit 75"]}})");
    Project::write(
        project.root() + "/.ralph/config.jsonc",
        R"({"agent": {"ci_gate": {"enabled": false}}, "parallel": {"push_backoff_ms": [1], "max_push_attempts": 2}})");
    project.add("one", "true");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::blocked_push);
    CHECK(project.record("RQ-0001")->push_attempts == 2);
}

TEST_CASE("the first signal drains, the second ends the workers and their trees") {
    Project project;
    project.add("polite", ledger_worker(project, "polite"));
    project.add("queued", "true");
    project.add("queued too", "true");
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--max-tasks", "1"});
    REQUIRE(Project::eventually([&] { return !Project::read(project.outside("ledger-polite")).empty(); }));
    project.signal(SIGTERM);
    REQUIRE(Project::eventually([&] { return project.log().find("draining") != std::string::npos; }));
    SUBCASE("drain") {
        Project::write(project.outside("go"), "");
        CHECK(project.wait() == 128 + SIGTERM);
        CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::completed);
        CHECK(!project.record("RQ-0002").has_value());
    }
    SUBCASE("end") {
        const pid_t worker = std::stoi(Project::read(project.outside("pid-polite")));
        project.signal(SIGINT);
        CHECK(project.wait() == 128 + SIGINT);
        CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::failed);
        CHECK(project.record("RQ-0001")->last_error->find("stopped") != std::string::npos);
        CHECK(Project::read("/proc/" + std::to_string(worker) + "/environ").empty());
        CHECK(Project::read(project.outside("ledger-polite")) == "begin\n");
    }
}

TEST_CASE("a killed supervisor: its workers go on, and the next one lands them, each run once" *
          doctest::test_suite("as-built")) {
    Project project;
    for (const char* name : {"a", "b", "c"}) {
        project.add(name, ledger_worker(project, name));
    }
    project.add("d", "exit 7", {"RQ-0001"});
    project.commit_and_push();
    const auto begun = [&] {
        return !Project::read(project.outside("ledger-a")).empty() &&
               !Project::read(project.outside("ledger-b")).empty() &&
               !Project::read(project.outside("ledger-c")).empty();
    };
    project.start({"run", "--parallel", "3"});
    REQUIRE(Project::eventually(begun));
    project.crash();
    CHECK(project.state().count(Lifecycle::running) == 3);
    SUBCASE("the workers are still at it") {
        for (int i = 0; i < 5; ++i) {
            project.start({"run", "--parallel", "3"});
            REQUIRE(Project::eventually([&] {
                std::size_t adopted = 0;
                const std::string log = project.log();
                for (std::size_t at = 0; (at = log.find("goes on under its shim", at)) != std::string::npos;
                     ++at) {
                    ++adopted;
                }
                return adopted >= 3U * static_cast<std::size_t>(i + 1);
            }));
            project.crash();
        }
        project.start({"run", "--parallel", "3"});
        Project::write(project.outside("go"), "");
    }
    SUBCASE("the workers ended meanwhile") {
        Project::write(project.outside("go"), "");
        REQUIRE(Project::eventually(
            [&] { return fs::exists(project.paths().runs_of("RQ-0003") + "/2-work/exit.json"); }));
        project.start({"run", "--parallel", "3"});
    }
    CHECK(project.wait() == 3);
    for (const char* name : {"a", "b", "c"}) {
        CHECK(Project::read(project.outside(std::string("ledger-") + name)) == "begin\nend\n");
    }
    CHECK(project.record("RQ-0004")->lifecycle == Lifecycle::failed);
    CHECK(project.record("RQ-0004")->last_error->find("status 7") != std::string::npos);
    for (const char* id : {"RQ-0001", "RQ-0002", "RQ-0003"}) {
        CHECK(project.record(id)->lifecycle == Lifecycle::completed);
        CHECK(count(project.remote_subjects(), archive_subject(id)) == 1);
    }
}

TEST_CASE("what failed before a crash is not tried again in the same session") {
    Project project;
    project.add("fails", "echo run >> '" + project.outside("ledger") + "'; exit 1");
    project.add("waits", ledger_worker(project, "waits"));
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually(
        [&] { return project.record("RQ-0001") && project.record("RQ-0001")->is_terminal(); }));
    project.crash();
    Project::write(project.outside("go"), "");
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(Project::read(project.outside("ledger")) == "run\n");
    // A new session is a new try.
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(Project::read(project.outside("ledger")) == "run\nrun\n");
}

TEST_CASE("a second supervisor is refused and told who the first is") {
    Project project;
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.paths().queue_lock()); }));
    const auto second = project.ralph({"run", "--parallel", "2"});
    CHECK(second.status == 1);
    CHECK(second.errors.find("another ralph supervises") != std::string::npos);
    project.crash();
    CHECK(fs::exists(project.paths().queue_lock()));  // stale, and cleared by the next start
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
}

TEST_CASE("a queue that is spoiled while it runs stops nobody, and is picked up again when fixed" *
          doctest::test_suite("as-built")) {
    Project project;
    project.add("works", ledger_worker(project, "works"));
    project.commit_and_push();
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return !Project::read(project.outside("ledger-works")).empty(); }));
    const std::string whole = Project::read(project.root() + "/.ralph/queue.jsonc");
    Project::write(project.root() + "/.ralph/queue.jsonc", whole.substr(0, whole.size() - 5));
    REQUIRE(Project::eventually([&] {
        return project.log().find("no new task starts until the queue is fixed") != std::string::npos;
    }));
    Project::write(project.root() + "/.ralph/queue.jsonc", whole);
    project.add("comes later", "echo later > later.txt");
    project.commit_and_push();
    CHECK(Project::eventually([&] {
        return project.record("RQ-0002") && project.record("RQ-0002")->lifecycle == Lifecycle::completed;
    }));
    Project::write(project.outside("go"), "");
    CHECK(Project::eventually([&] { return project.record("RQ-0001")->lifecycle == Lifecycle::completed; }));
    project.signal(SIGINT);
    CHECK(project.wait() == 128 + SIGINT);
}

TEST_CASE(
    "queue and done that are links with permissions of their own stay so, and a running supervisor sees "
    "changes") {
    Project project;
    const std::string shared = project.root() + "/tasks";
    fs::create_directories(shared);
    for (const char* name : {"queue.jsonc", "done.jsonc"}) {
        fs::rename(project.root() + "/.ralph/" + name, shared + "/" + name);
        fs::create_symlink(std::string("../tasks/") + name, project.root() + "/.ralph/" + name);
        fs::permissions(shared + "/" + name, static_cast<fs::perms>(0664));
    }
    Project::write(project.root() + "/.git/info/exclude",
                   "/tasks/\n/.ralph/queue.jsonc\n/.ralph/done.jsonc\n");
    project.git(project.root(), {"rm", "-q", "--cached", ".ralph/queue.jsonc", ".ralph/done.jsonc"});
    project.commit_and_push();
    project.start({"run", "--parallel", "--continuous"});
    REQUIRE(Project::eventually([&] { return project.log().find("landing on") != std::string::npos; }));
    const std::string task = project.add("one", "echo one > one.txt");
    REQUIRE(Project::eventually([&] {
        const auto record = project.record(task);
        return record && record->lifecycle == Lifecycle::completed;
    }));
    CHECK(project.ralph({"queue", "stop"}).succeeded());
    CHECK(project.wait() == 0);
    for (const char* name : {"queue.jsonc", "done.jsonc"}) {
        CHECK(fs::read_symlink(project.root() + "/.ralph/" + name) == std::string("../tasks/") + name);
        CHECK((fs::status(shared + "/" + name).permissions() & fs::perms::mask) ==
              static_cast<fs::perms>(0664));
    }
    CHECK(parse(Project::read(shared + "/done.jsonc")).at("tasks").as_array().size() == 1);
    CHECK(parse(Project::read(shared + "/queue.jsonc")).at("tasks").as_array().empty());
}

TEST_CASE("a host without room holds back workers, says so, and lets go of them when there is room again") {
    Project project;
    Project::write(project.paths().supervisor_config(), R"({"limits": {"host": {"disk": "1PiB"}}})");
    project.add("one", "echo one > one.txt");
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] {
        return project.log().find("no worker starts until this is over: disk: ") != std::string::npos;
    }));
    CHECK(project.ralph({"run", "parallel", "status"}).output.find("waits: disk: ") != std::string::npos);
    CHECK_FALSE(project.record("RQ-0001").has_value());
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
    Project::write(project.paths().supervisor_config(), R"({"limits": {"host": {"disk": "1MiB"}}})");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::completed);
}

TEST_CASE("a retry takes the task as it is said now") {
    const Project project;
    Project::write(
        project.root() + "/.ralph/supervisor.jsonc",
        R"({"worker": {"command": ["sh", "-c", "[ \"$0\" = clear ] && echo done > f", "{description}"]}})");
    REQUIRE(project.ralph({"task", "add", "A task", "--no-push", "--description", "vague"}).succeeded());
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    const std::string file = project.root() + "/.ralph/queue.jsonc";
    std::string queue = Project::read(file);
    queue.replace(queue.find("vague"), 5, "clear");
    Project::write(file, queue);
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "parallel", "retry", "--task", "RQ-0001"}).succeeded());
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
}
