// What a clone brings along is somebody else's: its permission, and its links.
#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/git/own_places.h"
#include "daemon/git/trust.h"
#include "daemon/landing/gate_log.h"
#include "daemon/store/ralph_folder.h"
#include "daemon/store/settings.h"
#include "tests/support/project.h"

using ralph::tests::Project;
using namespace ralph;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> run{"run", "--parallel", "2"};
constexpr const char* allows = R"({"allow_project_commands": true})";

void track_trust(const Project& project) {
    project.git(project.root(), {"add", "-f", ".ralph/trust.jsonc"});
    project.git(project.root(), {"commit", "-q", "-m", "trust"});
    project.git(project.root(), {"push", "-q", "origin", "main"});
}

bool says(const std::string& text, const std::string& piece) {
    return text.find(piece) != std::string::npos;
}

}  // namespace

TEST_CASE("a permission that git tracks is none, and is said with what fixes it") {
    Project project;
    const std::string id = project.add("runs", "touch " + project.outside("ran"));
    project.commit_and_push();
    SUBCASE("committed") {
        track_trust(project);
    }
    SUBCASE("only in the index") {
        project.git(project.root(), {"add", "-f", ".ralph/trust.jsonc"});
    }
    SUBCASE("only in HEAD") {
        track_trust(project);
        project.git(project.root(), {"rm", "-q", "--cached", ".ralph/trust.jsonc"});
    }
    SUBCASE("in a .ralph that is a repository of its own") {
        project.git(project.root() + "/.ralph", {"init", "-q"});
    }
    SUBCASE("in a repository that git does not read") {
        Project::write(project.root() + "/.git/config", "[broken");
    }
    const auto end = project.ralph(run);
    CHECK(end.status == 1);
    CHECK(says(end.errors, "trust.jsonc"));
    CHECK(says(end.errors, "ralph init --trust"));
    CHECK(!fs::exists(project.outside("ran")));
    const auto again = project.ralph({"init", "--trust"});
    CHECK(again.status == 1);
    CHECK(says(again.errors, "git rm --cached .ralph/trust.jsonc"));
}

TEST_CASE("every command that looks at a repository says that its permission counts for nothing") {
    Project project;
    Project::write(project.paths().config(), "{}");
    Project::write(project.paths().supervisor_config(), "{}");
    project.commit_and_push();
    track_trust(project);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"queue", "list"}, {"run", "parallel", "status"}, {"kept", "list"}}) {
        const auto end = project.ralph(command);
        CHECK(end.status == 0);
        CHECK(says(end.errors, "git tracks it"));
    }
    const auto doctor = project.ralph({"doctor"});
    CHECK(doctor.status == 4);
    CHECK(says(doctor.output, "git rm --cached .ralph/trust.jsonc"));
    project.git(project.root(), {"rm", "-q", "--cached", ".ralph/trust.jsonc"});
    project.git(project.root(), {"commit", "-q", "-m", "no trust"});
    const auto fixed = project.ralph({"queue", "list"});
    CHECK(fixed.status == 0);
    CHECK(fixed.errors.empty());
}

TEST_CASE("a supervisor that runs gains no permission, and loses one at once") {
    Project project;
    Project::write(project.paths().config(), "{}");
    auto settings = daemon::load_settings(project.root());
    REQUIRE(settings.has_value());
    REQUIRE(settings->trusted);
    CHECK(daemon::reload_settings(*settings)->trusted);
    fs::remove(project.paths().trust());
    const auto lost = daemon::reload_settings(*settings);
    REQUIRE(lost.has_value());
    CHECK(!lost->trusted);
    Project::write(project.paths().trust(), allows);
    CHECK(!daemon::reload_settings(*lost)->trusted);
    Project::write(project.paths().supervisor_config(), R"({"worker": {"command": ["sh"]}})");
    const auto refused = daemon::reload_settings(*lost);
    REQUIRE(refused.has_error());
    CHECK(says(refused.error().line(), "from the next start on"));
    CHECK_FALSE(says(refused.error().line(), "init --trust"));
}

TEST_CASE("no link of the repository is followed to a place that ralph writes") {
    Project project;
    project.add("one", "echo 1 > one");
    project.commit_and_push();
    const std::string elsewhere = project.outside("elsewhere");
    fs::create_directories(elsewhere + "/parallel/gates");
    const std::string mine = elsewhere + "/parallel/state.json.new";
    Project::write(mine, "mine");
    const std::string ralph = project.root() + "/.ralph";
    std::string link;
    SUBCASE("cache") {
        link = ralph + "/cache";
    }
    SUBCASE("cache/parallel") {
        link = ralph + "/cache/parallel";
    }
    SUBCASE("runs") {
        link = ralph + "/cache/parallel/runs";
    }
    SUBCASE("a task's runs") {
        link = ralph + "/cache/parallel/runs/RQ-0001";
    }
    SUBCASE("retry requests") {
        link = ralph + "/cache/parallel/retry-requests";
    }
    SUBCASE("cancel requests") {
        link = ralph + "/cache/parallel/cancel-requests";
    }
    SUBCASE("what is asked of all tasks") {
        link = ralph + "/cache/steering.json";
    }
    SUBCASE("green gates") {
        link = ralph + "/cache/parallel/green_gates";
    }
    SUBCASE("the supervisor's lock") {
        link = ralph + "/cache/parallel/supervisor.lock";
    }
    SUBCASE("the history") {
        link = ralph + "/cache/parallel/events.jsonl";
    }
    SUBCASE("logs") {
        link = ralph + "/logs";
    }
    SUBCASE("logs/parallel") {
        link = ralph + "/logs/parallel";
    }
    SUBCASE("gates") {
        link = ralph + "/logs/parallel/gates";
    }
    SUBCASE("the queue's lock") {
        link = ralph + "/lock";
    }
    SUBCASE("settings") {
        link = ralph + "/supervisor.jsonc";
    }
    CAPTURE(link);
    fs::remove_all(link);
    fs::create_directories(fs::path(link).parent_path());
    fs::create_symlink(elsewhere, link);
    for (const std::vector<std::string>& command : {run,
                                                    {"task", "add", "x", "--run", "true"},
                                                    {"queue", "stop"},
                                                    {"run", "parallel", "retry", "--task", "RQ-0001"},
                                                    {"gate"},
                                                    {"kept", "prune"},
                                                    {"init"},
                                                    {"doctor", "--fix"}}) {
        const auto end = project.ralph(command);
        CAPTURE(command.front());
        CHECK(end.status == 1);
        CHECK(says(end.errors, link + ": is a symbolic link"));
        CHECK(says(end.errors, "rm " + link));
    }
    CHECK(project.ralph({"doctor"}).status == 4);
    CHECK(Project::read(mine) == "mine");
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(elsewhere)) {
        files += entry.is_regular_file() ? 1 : 0;
    }
    CHECK(files == 1);
}

TEST_CASE("a state that is a link is put aside as no state, and what it leads to stays as it is") {
    Project project;
    project.add("one", "echo 1 > one");
    project.commit_and_push();
    const std::string elsewhere = project.outside("elsewhere");
    Project::write(elsewhere, "mine");
    for (const std::string& link : {project.paths().state(), project.paths().previous_state()}) {
        fs::create_directories(fs::path(link).parent_path());
        fs::create_symlink(elsewhere, link);
        fs::create_symlink(elsewhere, link + ".new");
    }
    static_cast<void>(project.ralph({"doctor", "--fix"}));
    const auto end = project.ralph(run);
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    CHECK(Project::read(elsewhere) == "mine");
    CHECK(!fs::is_symlink(project.paths().state()));
}

TEST_CASE("a .ralph that is a link is refused as a whole") {
    Project project;
    fs::rename(project.root() + "/.ralph", project.outside("theirs"));
    fs::create_symlink(project.outside("theirs"), project.root() + "/.ralph");
    for (const std::vector<std::string>& command :
         {run, {"queue", "list"}, {"init", "--trust"}, {"doctor", "--fix"}}) {
        const auto end = project.ralph(command);
        CHECK(end.status == 1);
        CHECK(says(end.errors, ".ralph: is a symbolic link"));
    }
}

TEST_CASE("the queue is not written through a folder that leads out of the repository") {
    Project project;
    fs::create_directory(project.outside("out"));
    fs::rename(project.root() + "/.ralph/queue.jsonc", project.outside("out/queue.jsonc"));
    const std::string before = Project::read(project.outside("out/queue.jsonc"));
    fs::create_symlink(project.outside("out"), project.root() + "/tasks");
    Project::write(project.paths().config(),
                   R"({"agent": {"ci_gate": {"enabled": false}}, "queue": {"file": "tasks/queue.jsonc"}})");
    const auto end = project.ralph({"task", "add", "x", "--run", "true"});
    CHECK(end.status == 1);
    CHECK(says(end.errors, "outside of"));
    CHECK(Project::read(project.outside("out/queue.jsonc")) == before);
}

TEST_CASE("a link that comes in while a supervisor runs lets nothing start through it") {
    Project project;
    std::string link = project.paths().runs_of("RQ-0002");
    SUBCASE("in the place of a task's runs") {}
    SUBCASE("in the place of a run") {
        link += "/1-prepare";
    }
    project.add("makes a link", "mkdir -p $(dirname " + link + ") && ln -s " + project.outside("out") + " " +
                                    link + " && echo 1 > one");
    project.add("waits for it", "echo 2 > two", {"RQ-0001"});
    project.commit_and_push();
    fs::create_directory(project.outside("out"));
    project.start(run);
    CHECK(Project::eventually([&] { return says(project.log(), "is a symbolic link"); }) == true);
    CHECK(fs::is_empty(project.outside("out")));
}

TEST_CASE("a path is in a supervisor's own place, or in the way of one, or neither") {
    for (const std::string place :
         {".ralph/cache/parallel", ".ralph/cache/stop_requested", ".ralph/cache/steering.json", ".ralph/lock",
          ".ralph/logs/parallel", ".ralph/trust.jsonc", ".cueloop/cache/parallel",
          ".cueloop/cache/steering.json", ".cueloop/lock", ".cueloop/logs/parallel",
          ".cueloop/trust.jsonc"}) {
        CHECK(daemon::own_place_of(place) == place);
        CHECK(daemon::own_place_of(place + "/a b; c") == place);
        CHECK_FALSE(daemon::own_place_of(place + "s").has_value());
    }
    for (const std::string in_the_way :
         {".ralph", ".ralph/cache", ".ralph/logs", ".cueloop", ".cueloop/cache"}) {
        CHECK(daemon::own_place_of(in_the_way) == in_the_way);
    }
    for (const char* const path : {".ralph/queue.jsonc", ".ralph/cache/plans/RQ-0001.md", ".ralph/logs/x",
                                   "cache", ".ralphs", "src/.ralph/cache", ""}) {
        CAPTURE(path);
        CHECK_FALSE(daemon::own_place_of(path).has_value());
    }
}

TEST_CASE("what git carries of a supervisor's own places is refused, and is no memory of ours") {
    Project project;
    project.add("one", "echo 1 > one");
    project.commit_and_push();
    for (const std::string file :
         {".ralph/cache/parallel/state.json", ".ralph/cache/parallel/runs/RQ-0001/1-prepare/exit.json",
          ".ralph/cache/stop_requested", ".ralph/cache/steering.json", ".ralph/lock/owner",
          ".ralph/logs/parallel/RQ-0001.log"}) {
        CAPTURE(file);
        Project::write(project.root() + "/" + file, "theirs");
        project.git(project.root(), {"add", "-f", file});
        for (const bool only_in_head : {false, true}) {
            if (only_in_head) {
                project.git(project.root(), {"commit", "-q", "-m", "theirs"});
                project.git(project.root(), {"rm", "-q", "--cached", file});
            }
            const auto end = project.ralph(run);
            CHECK(end.status == 1);
            CHECK(says(end.errors, "git tracks it"));
            CHECK(says(end.errors, only_in_head ? "commit and push that" : "rm -r --cached"));
            const auto doctor = project.ralph({"doctor"});
            CHECK(doctor.status == 4);
            CHECK(says(doctor.output, "Git tracks what is a supervisor's own"));
        }
        project.git(project.root(), {"reset", "-q", "--mixed", "origin/main"});
        fs::remove(project.root() + "/" + file);
    }
    // The command that it names works as it stands, whichever of them git tracks.
    Project::write(project.root() + "/.ralph/logs/parallel/x", "theirs");
    project.git(project.root(), {"add", "-f", ".ralph/logs/parallel/x"});
    const std::string told = project.ralph(run).errors;
    const std::size_t begin = told.find("`git -C ") + 1;
    const std::string command = told.substr(begin, told.find('`', begin) - begin);
    CHECK(std::system((command + " >/dev/null").c_str()) == 0);
    fs::remove(project.root() + "/.ralph/lock");
    CHECK(project.ralph(run).status == 0);
    CHECK(project.remote_done() == std::vector<std::string>{"RQ-0001"});
}

TEST_CASE("only names that a gate's log has are those of a gate's log") {
    for (const char* name : {"ci-0123456789ab.log", "ci-0123456789ab-2.log", "ci-0123456789ab-999.log.1",
                             "unit.fast-0123456789ab.log", "a-b-0123456789ab.log.1"}) {
        CAPTURE(name);
        CHECK(daemon::is_gate_log(name));
    }
    for (const char* name :
         {"holiday.jpg", "app.log", "ci-0123456789ab", "ci-0123456789ab.log.2", "ci-0123456789abc.log",
          "ci-0123456789aX.log", "-0123456789ab.log", "0123456789ab.log", "ci-0123456789ab-1000.log",
          "ci-0123456789ab-x.log", ".log", ".log.1", "ci-0123456789ab.log.gz"}) {
        CAPTURE(name);
        CHECK_FALSE(daemon::is_gate_log(name));
    }
}

TEST_CASE("the removal of old logs of gates leaves what is not such a log") {
    const ralph::tests::TemporaryDirectory folder;
    for (int i = 0; i < 130; ++i) {
        Project::write(folder / (std::to_string(i) + ".jpg"), "x");
        Project::write(folder / ("ci-" + std::to_string(100000000000 + i) + ".log"), "x");
    }
    const daemon::GateLog log(folder / "", "ci-0123456789ab");
    std::size_t photos = 0;
    std::size_t logs = 0;
    for (const auto& entry : fs::directory_iterator(folder / "")) {
        (entry.path().extension() == ".jpg" ? photos : logs) += 1;
    }
    CHECK(photos == 130);
    CHECK(logs == 100);
}
