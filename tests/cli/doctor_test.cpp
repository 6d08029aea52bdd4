// `ralph doctor`: every finding is named, and fixed where that is safe.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "core/base/jsonc.h"
#include "daemon/doctor/diagnosis.h"
#include "tests/support/notes.h"
#include "tests/support/project.h"
#include "tests/support/text.h"

using ralph::core::Lifecycle;
using ralph::tests::contains;
using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

// Of each finding its kind, "+" if --fix fixes it, "!" if it is wrong.
std::string kinds(const Project& project) {
    const auto end = project.ralph({"doctor", "--json"});
    auto document = ralph::core::JsonDocument::parse(end.output, "doctor");
    REQUIRE(document.has_value());
    REQUIRE(document->root().at("version").as_int64() == 1);
    std::string text;
    bool wrong = false;
    for (const auto& finding : document->root().at("findings").as_array()) {
        const bool is_wrong = finding.at("severity").as_string() == "wrong";
        wrong = wrong || is_wrong;
        text += (text.empty() ? "" : " ") + std::string(finding.at("kind").as_string()) +
                (finding.at("fixable").as_bool() ? "+" : "") + (is_wrong ? "!" : "");
    }
    CHECK(end.status == (wrong ? 4 : 0));
    return text;
}

// The finding is there, --fix fixes it, and it is gone; looking changed nothing.
void check_fixed(const Project& project, const std::string& expected) {
    const std::string before = project.snapshot();
    CHECK(kinds(project) == expected);
    CHECK(project.snapshot() == before);
    const auto fixed = project.ralph({"doctor", "--fix"});
    CAPTURE(fixed.output);
    CHECK(fixed.status == 0);
    CHECK(contains(fixed.output, "fixed: "));
    CHECK_FALSE(contains(fixed.output, "could not be fixed"));
}

std::string state_with(const std::string& records) {
    return R"({"schema_version": 3, "started_at": "2026-01-01T00:00:00Z", "target_branch": "main", "workers": [)" +
           records + "]}";
}

std::string record(const std::string& id, const std::string& lifecycle) {
    return R"({"task_id": ")" + id + R"(", "workspace_path": "/w", "lifecycle": ")" + lifecycle +
           R"(", "started_at": "2026-01-01T00:00:00Z"})";
}

void age(const std::string& path) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(24 * 365));
}

// The largest pid there can be is below 2^22.
constexpr const char* dead_owner = "pid: 4194304\nstarted_at: then\ncommand: y\nlabel: run loop\n";

}  // namespace

TEST_CASE("doctor finds nothing in a sound repository") {
    const Project project;
    CHECK(kinds(project).empty());
    const auto end = project.ralph({"doctor"});
    CHECK(end.output == "Nothing is wrong.\n");
    CHECK(project.ralph({"doctor", "--fix"}).status == 0);
}

TEST_CASE("doctor: state and records") {
    const Project project;
    const auto paths = project.paths();
    SUBCASE("an unreadable previous generation") {
        Project::write(paths.state(), state_with(""));
        Project::write(paths.previous_state(), "{");
        check_fixed(project, "previous_state_unreadable+!");
        CHECK(Project::read(paths.previous_state() + ".quarantine-1") == "{");
        CHECK(kinds(project) == "state_quarantined");
    }
    SUBCASE("two records of a task") {
        Project::write(paths.state(),
                       state_with(record("RQ-0001", "failed") + "," + record("RQ-0001", "completed")));
        check_fixed(project, "record_twice+!");
        CHECK(project.state().workers.size() == 1);
        CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::failed);
        CHECK(contains(Project::read(paths.state() + ".quarantine-1"), "completed"));
    }
    SUBCASE("a record that is no name") {
        Project::write(paths.state(), state_with(record("../x", "failed")));
        CHECK(kinds(project) == "record_unusable!");
        CHECK(project.ralph({"doctor", "--fix"}).status == 4);
    }
    SUBCASE("a blocked task without workspace and without kept work") {
        Project::write(paths.state(), state_with(record("RQ-0001", "blocked_push")));
        CHECK(kinds(project) == "workspace_missing!");
        project.git(project.root(),
                    {"update-ref", "refs/ralph/kept/RQ-0001/1",
                     project.git(project.root(), {"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "kept"})
                         .substr(0, 40)});
        CHECK(kinds(project) == "workspace_missing");
    }
}

TEST_CASE("doctor: locks and what is left over") {
    const Project project;
    const auto paths = project.paths();
    SUBCASE("a lock of somebody dead") {
        Project::write(paths.queue_lock() + "/owner", dead_owner);
        check_fixed(project, "queue_lock_stale+");
        CHECK(!fs::exists(paths.queue_lock()));
    }
    SUBCASE("a lock of somebody who lives") {
        Project::write(paths.queue_lock() + "/owner", "pid: 1\nlabel: task edit\n");
        CHECK(kinds(project) == "queue_lock_held");
        CHECK(project.ralph({"doctor", "--fix"}).status == 0);
        CHECK(fs::exists(paths.queue_lock() + "/owner"));
    }
    SUBCASE("a lock of nobody, old and empty") {
        fs::create_directories(paths.queue_lock());
        age(paths.queue_lock());
        check_fixed(project, "queue_lock_ownerless+!");
        CHECK(!fs::exists(paths.queue_lock()));
    }
    SUBCASE("a lock of nobody that may be being made") {
        fs::create_directories(paths.queue_lock());
        CHECK(kinds(project) == "queue_lock_ownerless!");
        Project::write(paths.queue_lock() + "/owner", "rubbish");
        age(paths.queue_lock());
        CHECK(kinds(project) == "queue_lock_ownerless!");
        CHECK(project.ralph({"doctor", "--fix"}).status == 4);
        CHECK(fs::exists(paths.queue_lock() + "/owner"));
    }
    SUBCASE("a half-made lock") {
        Project::write(paths.cache() + "/queue-lock.4194304/owner", dead_owner);
        check_fixed(project, "queue_lock_staging+");
        CHECK(!fs::exists(paths.cache() + "/queue-lock.4194304"));
    }
    SUBCASE("beginnings of files") {
        Project::write(paths.state() + ".new", "{");
        Project::write(paths.runs_of("RQ-0001") + "/1-work/exit.json.reserved", "   ");
        check_fixed(project, "left_over_file+ left_over_file+");
        CHECK(kinds(project).empty());
    }
    SUBCASE("an index lock that nobody holds any more") {
        const std::string lock = project.root() + "/.git/index.lock";
        Project::write(lock, "");
        age(lock);
        check_fixed(project, "index_lock_stale+!");
        CHECK(!fs::exists(lock));
    }
    SUBCASE("an index lock that somebody has open") {
        const std::string lock = project.root() + "/.git/index.lock";
        Project::write(lock, "");
        age(lock);
        const ralph::daemon::FileDescriptor holder(::open(lock.c_str(), O_RDONLY | O_CLOEXEC));
        CHECK(kinds(project).empty());
        CHECK(project.ralph({"doctor", "--fix"}).status == 0);
        CHECK(fs::exists(lock));
    }
}

TEST_CASE("doctor: run directories" * doctest::test_suite("as-built")) {
    Project project;
    const auto paths = project.paths();
    const std::string id = project.add("fails", "echo run >> '" + project.outside("ledger") + "'; exit 3");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel"}).status == 3);
    REQUIRE(kinds(project).empty());
    const std::string work = paths.runs_of(id) + "/2-work";
    SUBCASE("an exit record that cannot be read") {
        Project::write(work + "/exit.json", "{");
        // It stops nobody else, and is not run either: it may be anything.
        const auto ran = project.ralph({"run", "--parallel"});
        CHECK(ran.status == 3);
        CHECK(ran.errors.find(id + " is left alone in this session") != std::string::npos);
        CHECK(Project::read(project.outside("ledger")) == "run\n");
        check_fixed(project, "run_unreadable+!");
        CHECK(Project::read(work + "/exit.json.quarantine-1") == "{");
    }
    SUBCASE("one, and the state is lost, too") {
        Project::write(work + "/exit.json", "{");
        Project::write(paths.state(), "");
        fs::remove(paths.previous_state());
        check_fixed(project, "state_lost+! run_unreadable+!");
        CHECK(project.record(id)->lifecycle == Lifecycle::failed);
        fs::remove(paths.state() + ".quarantine-1");
    }
    SUBCASE("a recipe that cannot be read") {
        Project::write(work + "/spec.json", "[]");
        check_fixed(project, "run_unreadable+!");
    }
    SUBCASE("a text of the task that cannot be read") {
        Project::write(paths.task_file(id), "{");
        check_fixed(project, "run_unreadable+!");
    }
    SUBCASE("a number that is none") {
        Project::write(paths.acknowledged(id), "x");
        check_fixed(project, "run_unreadable+!");
    }
    SUBCASE("runs and a workspace of which no record speaks") {
        Project::write(paths.state(), state_with(""));
        CHECK(kinds(project) == "run_without_record workspace_without_record");
        return;
    }
    CHECK(kinds(project).empty());
    CHECK(project.ralph({"run", "--parallel"}).status == 3);
    CHECK(Project::read(project.outside("ledger")) == "run\nrun\n");
}

TEST_CASE("doctor: what is quarantined and what is kept") {
    const Project project;
    Project::write(project.workspaces() + "/.RQ-0001.broken-1/work", "w");
    CHECK(kinds(project) == "set_aside");
    fs::remove_all(project.workspaces());
    project.git(project.root(), {"-c", "user.name=a", "update-ref", "refs/ralph/kept/RQ-0001/1", "HEAD"});
    CHECK(kinds(project).empty());
    auto environment = project.environment();
    environment.insert(environment.end(),
                       {"GIT_COMMITTER_DATE=2001-01-01T00:00:00Z", "GIT_AUTHOR_DATE=2001-01-01T00:00:00Z"});
    ralph::daemon::ProgramRequest request;
    request.program = "git";
    request.arguments = {"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "kept"};
    request.directory = project.root();
    request.environment = environment;
    const auto old = ralph::daemon::run_program(request);
    REQUIRE((old && old->succeeded()));
    project.git(project.root(), {"update-ref", "refs/ralph/kept/RQ-0002/1", old->output.substr(0, 40)});
    check_fixed(project, "kept_old+");  // noted
    CHECK(contains(project.git(project.root(), {"for-each-ref", "refs/ralph/"}), "RQ-0002/1"));
    ralph::tests::age_notes(project.paths(), "kept");
    CHECK(kinds(project) == "kept_old+");
    CHECK(contains(project.ralph({"doctor", "--fix"}).output, "1 removed"));
    CHECK(kinds(project).empty());
    CHECK(project.git(project.root(), {"for-each-ref", "--format=%(refname)", "refs/ralph/"}) ==
          "refs/ralph/kept/RQ-0001/1\n");
}

TEST_CASE("doctor: settings, queue, repository and programs") {
    Project project;
    SUBCASE("settings") {
        Project::write(project.paths().config(), "{\"parallel\": {\"worker\": 3}}");
        CHECK(kinds(project) == "settings_invalid!");
        CHECK(contains(project.ralph({"doctor"}).output, "did you mean \"workers\""));
    }
    SUBCASE("queue") {
        Project::write(project.root() + "/.ralph/queue.jsonc", "{\"version\": 1, \"tasks\": [}");
        CHECK(kinds(project) == "queue_invalid!");
        CHECK(contains(project.ralph({"doctor"}).output, "queue.jsonc:1:"));
    }
    SUBCASE("branch") {
        project.git(project.root(), {"checkout", "-q", "--detach"});
        CHECK(kinds(project) == "head_detached!");
    }
    SUBCASE("origin") {
        project.git(project.root(), {"remote", "remove", "origin"});
        CHECK(kinds(project) == "no_origin!");
    }
    SUBCASE("a worker that is not installed") {
        Project::write(project.paths().supervisor_config(), R"({"worker": {"command": ["no-such-agent"]}})");
        CHECK(kinds(project) == "program_missing!");
        Project::write(project.paths().supervisor_config(), R"({"worker": {"command": ["sh"]}})");
        CHECK(kinds(project).empty());
    }
    SUBCASE("an agent: its program, its key, its version, and root") {
        const std::string folder = project.outside("bin");
        fs::create_directories(folder);
        project.add_to_environment({"PATH=" + folder + ":/usr/local/bin:/usr/bin:/bin"});
        Project::write(project.paths().supervisor_config(), R"({"worker": {"agent": "claude"}})");
        CHECK(kinds(project) == "program_missing!");
        Project::write(folder + "/claude", "#!/bin/sh\necho '1.0.9 (Claude Code)'\n");
        fs::permissions(folder + "/claude", fs::perms::owner_all);
        const std::string refuses_root = ::geteuid() == 0 ? " agent_refuses_root!" : "";
        CHECK(kinds(project) == "agent_version agent_key_missing!" + refuses_root);
        Project::write(folder + "/claude", "#!/bin/sh\necho '2.10.0 (Claude Code)'\n");
        Project::write(
            project.paths().supervisor_config(),
            R"({"worker": {"agent": "claude", "env": {"ANTHROPIC_API_KEY": "k", "IS_SANDBOX": "1"}}})");
        CHECK(kinds(project).empty());
        // That of a phase, too, and each once.
        Project::write(project.paths().supervisor_config(),
                       R"({"worker": {"agent": "claude", "env": {"ANTHROPIC_API_KEY": "k", "IS_SANDBOX": "1"},
                                      "phases": [{"name": "plan", "agent": "gemini"}, {"name": "implement"},
                                                 {"name": "review", "agent": "gemini"}]}})");
        CHECK(kinds(project) == "program_missing!");
    }
    SUBCASE("a setting that nothing uses") {
        Project::write(project.paths().config(), R"({"agent": {"ci_gate": {"enabled": false},
                                                               "webhook": {"enabled": true, "url": "x"}}})");
        CHECK(kinds(project) == "webhook_unused");
        const auto end = project.ralph({"run", "--parallel", "2"});
        CHECK(end.status == 0);
        CHECK(contains(end.errors, "agent.webhook is enabled in config.jsonc, and nothing uses it"));
    }
    SUBCASE("no repository at all") {
        for (const bool has_empty_folder : {false, true}) {
            CAPTURE(has_empty_folder);
            if (has_empty_folder) {
                fs::create_directory(project.folder().path() + "/.git");
            }
            const auto end = project.ralph({"doctor", "--repo", project.folder().path()});
            CHECK(end.status == 1);
            CHECK(contains(end.errors, "git init"));
        }
    }
}

TEST_CASE("doctor: little room on a disk") {
    CHECK(ralph::daemon::judge_free_space("/x", 511ULL << 20U)->kind == "disk_full");
    CHECK(!ralph::daemon::judge_free_space("/x", 512ULL << 20U));
}

TEST_CASE("doctor looks beside a supervisor that runs, and fixes nothing meanwhile") {
    Project project;
    project.start({"run", "--parallel", "2", "--continuous"});
    REQUIRE(Project::eventually([&] { return fs::exists(project.paths().queue_lock() + "/owner"); }));
    CHECK(kinds(project) == "supervisor_lives");
    Project::write(project.paths().cache() + "/queue-lock.4194304/owner", dead_owner);
    const auto refused = project.ralph({"doctor", "--fix"});
    CHECK(refused.status == 1);
    CHECK(contains(refused.errors, "nothing is fixed while the supervisor"));
    CHECK(contains(refused.errors, "ralph queue stop"));
    CHECK(fs::exists(project.paths().cache() + "/queue-lock.4194304"));
    // After a crash its locks are nobody's.
    project.crash();
    CHECK(contains(kinds(project), "queue_lock_stale+"));
    CHECK(project.ralph({"doctor", "--fix"}).status == 0);
    CHECK(kinds(project).empty());
}

TEST_CASE("a state made anew from the run directories takes up what was in progress") {
    Project project;
    const std::string id = project.add(
        "waits", "echo begin >> '" + project.outside("ledger") + "'; until [ -e '" + project.outside("go") +
                     "' ]; do sleep 0.02; done; echo x > x.txt; echo end >> '" + project.outside("ledger") +
                     "'");
    project.commit_and_push();
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return !Project::read(project.outside("ledger")).empty(); }));
    project.crash();
    Project::write(project.paths().state(), "");
    fs::remove(project.paths().previous_state());
    Project::write(project.paths().state(), "{");
    REQUIRE(project.ralph({"run", "--parallel", "2"}).status == 1);
    const auto fixed = project.ralph({"doctor", "--fix"});
    CHECK(fixed.status == 0);
    CHECK(project.record(id)->lifecycle == Lifecycle::running);
    Project::write(project.outside("go"), "");
    CHECK(project.ralph({"run", "--parallel", "2"}).status ==
          0);  // adopts the worker, which lived all the time
    CHECK(Project::read(project.outside("ledger")) == "begin\nend\n");
    CHECK(project.record(id)->lifecycle == Lifecycle::completed);
}
