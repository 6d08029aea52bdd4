// What can be done with one task: show, edit, done, reject, remove, move, retry, history.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/project.h"

using ralph::tests::Project;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string on_target(const Project& project, const std::string& file) {
    return project.git(project.remote(), {"show", "main:.ralph/" + file});
}

std::string do_it(const Project& project, const std::vector<std::string>& arguments) {
    const auto end = project.ralph(arguments);
    CHECK_MESSAGE(end.succeeded(), end.errors);
    return end.output;
}

}  // namespace

TEST_CASE("task verbs: each change is one commit on the target, and here" * doctest::test_suite("as-built")) {
    const Project project;
    for (const char* const title : {"one", "two", "three", "four"}) {
        do_it(project, {"task", "add", title, "--run", "true"});
    }
    do_it(project, {"task", "edit", "RQ-0001", "--title", "the first", "--description", "why", "--priority",
                    "critical", "--depends-on", "RQ-0002"});
    const std::string shown = do_it(project, {"task", "show", "RQ-0001"});
    for (const char* const part : {"\"title\": \"the first\"", "\"description\": \"why\"",
                                   "\"priority\": \"critical\"", "\"run\": \"true\"", "\"RQ-0002\""}) {
        CAPTURE(part);
        CHECK(has(shown, part));
        CHECK(has(on_target(project, "queue.jsonc"), part));
    }
    CHECK(project.remote_subjects().front() == "ralph: edit RQ-0001");
    CHECK(project.git(project.root(), {"status", "--porcelain"}).empty());

    const auto needed = project.ralph({"task", "remove", "RQ-0002"});
    CHECK(needed.status == 1);
    CHECK(has(needed.errors, "not removed: RQ-0001 depends on RQ-0002"));
    do_it(project, {"task", "remove", "RQ-0003"});
    CHECK_FALSE(has(on_target(project, "queue.jsonc"), "RQ-0003"));
    do_it(project, {"task", "reject", "RQ-0004", "--note", "not worth it"});
    CHECK(has(on_target(project, "done.jsonc"), "\"status\": \"rejected\""));
    CHECK(has(on_target(project, "done.jsonc"), "not worth it"));
    do_it(project, {"task", "move", "RQ-0002", "--first"});
    CHECK(do_it(project, {"queue", "list"}).find("RQ-0002") <
          do_it(project, {"queue", "list"}).find("RQ-0001"));
    do_it(project, {"task", "move", "RQ-0001", "--before", "RQ-0002"});
    CHECK(do_it(project, {"queue", "list"}).find("RQ-0001") <
          do_it(project, {"queue", "list"}).find("RQ-0002  "));
    do_it(project, {"task", "done", "RQ-0002"});
    CHECK(has(on_target(project, "done.jsonc"), "RQ-0002"));
    const std::string before = on_target(project, "queue.jsonc");
    for (const char* const verb : {"edit", "done", "reject", "remove", "move", "show"}) {
        CAPTURE(verb);
        CHECK(project.ralph({"task", verb, "RQ-0077"}).status == 1);
    }
    CHECK(on_target(project, "queue.jsonc") == before);
}

TEST_CASE("task verbs: what is being worked on is left alone") {
    Project project;
    const std::string go = project.outside("go");
    project.add("works", "until [ -e '" + go + "' ]; do sleep 0.05; done; echo x > x");
    project.commit_and_push();
    project.start({"run", "--parallel", "1"});
    REQUIRE(Project::eventually([&] {
        return has(project.ralph({"why", "RQ-0001"}).output, "work, attempt 1");
    }));
    for (const char* const verb : {"edit", "remove", "reject"}) {
        const auto end = project.ralph({"task", verb, "RQ-0001"});
        CHECK(end.status == 1);
        CHECK(has(end.errors, "RQ-0001 is being worked on: work, attempt 1"));
    }
    Project::write(go, "");
    CHECK(project.wait() == 0);
}

TEST_CASE("task verbs: retry takes several, or all that have failed, and history tells what happened") {
    const Project project;
    project.add("a", "exit 3");
    project.add("b", "exit 4");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    CHECK(project.ralph({"retry"}).status == 1);
    CHECK(do_it(project, {"retry", "--blocked"}) == "there is no such task\n");
    CHECK(project.ralph({"retry", "RQ-0001", "RQ-0077"}).status == 1);  // all of them, or none
    CHECK(ralph::daemon::list_directory(project.paths().retry_requests())->empty());
    CHECK(has(do_it(project, {"retry", "--failed"}), "RQ-0001, RQ-0002 will run again"));
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 3);
    const std::string history = do_it(project, {"history", "RQ-0001"});
    CHECK(has(history, "work exited with status 3"));
    CHECK(has(history, "retry requested"));
    CHECK_FALSE(has(history, "RQ-0002"));
    const std::string events = do_it(project, {"history", "RQ-0002", "--json"});
    CHECK(has(events, "\"exit_status\":4"));
    CHECK(has(events, "\"step\":\"work\""));
    CHECK(has(events, "\"attempt\":2"));
    CHECK(do_it(project, {"history", "RQ-0099"}) == "nothing is known of RQ-0099\n");
}
