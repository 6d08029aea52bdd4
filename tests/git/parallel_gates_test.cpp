// Gates that run at the same time: successors, halves, partitions by scope; and what a worker has gated
// itself.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/task_generator.h"

using namespace ralph;
using core::Lifecycle;
using tests::commit_file;
using tests::contains;
using tests::Lines;
using tests::lines_of;
using tests::Project;
using tests::TaskGenerator;
namespace fs = std::filesystem;

namespace {

std::string numbered_file(int i) {
    return commit_file(fmt::format("file-{}", i), i);
}

void set_integration(const Project& project, const std::string& settings) {
    Project::write(project.root() + "/.ralph/supervisor.jsonc", "{\"integration\": {" + settings + "}}\n");
}

// The tasks of each run of the gate, in the order in which they began.
Lines batches(const TaskGenerator& crowd) {
    Lines batches;
    for (const std::string& line : crowd.judged()) {
        const std::size_t begin = line.find(' ') + 1;
        batches.push_back(line.substr(begin, line.rfind(' ') - begin));
    }
    return batches;
}

}  // namespace

TEST_CASE("a batch and its successor on top of it pass the gate at the same time" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    set_integration(crowd.project,
                    "\"batch\": {\"max\": 2, \"min\": 4, \"wait\": \"1h\"}, \"parallel_gates\": 2");
    // No gate ends before two have begun; the one ahead of time ends when the other has been pushed.
    crowd.set_gate("until [ $(wc -l < '" + crowd.project.outside("judged") +
                   "') -ge 2 ]; do sleep 0.05; done; [ -z \"$RALPH_GATE_PLACE\" ] || until [ -s '" +
                   crowd.project.outside("pushed") + "' ]; do sleep 0.05; done");
    crowd.add(4, numbered_file);
    crowd.watch_pushes();
    fs::create_directories(crowd.project.workspaces() + "/.integration-2/no clone");  // it is made anew
    fs::create_directories(crowd.project.workspaces() + "/.integration-3/cache");
    crowd.project.start({"run", "--parallel", "4"});
    CHECK(crowd.project.wait() == 0);
    CHECK(crowd.count(Lifecycle::completed) == 4);
    CHECK(crowd.judged().size() == 2);
    CHECK(crowd.pushes() == 2);
    crowd.check_history();
    CHECK(fs::is_directory(crowd.project.workspaces() + "/.integration-2"));
    CHECK(!fs::exists(crowd.project.workspaces() + "/.integration-3"));  // of a time with more gates
    // Each verdict says whom it is about, wherever it was found.
    auto seen = batches(crowd);
    std::sort(seen.begin(), seen.end());
    REQUIRE(seen.size() == 2);
    CHECK(seen[1].rfind(seen[0] + ",", 0) == 0);
}

TEST_CASE("status shows what is gated ahead of time" * doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string open = project.outside("open");
    set_integration(project, "\"batch\": {\"max\": 1, \"min\": 2, \"wait\": \"1h\"}, \"parallel_gates\": 2");
    crowd.set_gate("until [ -e '" + open + "' ]; do sleep 0.05; done");
    crowd.add(2, numbered_file);
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return crowd.judged().size() == 2; }));
    CHECK(contains(project.ralph({"run", "parallel", "status"}).output, "\n  gated ahead of time: RQ-000"));
    CHECK(contains(project.ralph({"run", "parallel", "status", "--json"}).output, "\"ahead\": ["));
    Project::write(open, "");
    CHECK(project.wait() == 0);
    CHECK(crowd.judged().size() == 2);
}

TEST_CASE("with gates at the same time, bad tasks are found as without, and nobody else is blamed" *
          doctest::test_suite("as-built")) {
    for (const char* settings : {"\"parallel_gates\": 3", "\"parallel_gates\": 2, \"batch\": {\"max\": 3}"}) {
        CAPTURE(settings);
        TaskGenerator crowd;
        set_integration(crowd.project, settings);
        crowd.add(8, [](int i) {
            return i == 3 || i == 8 ? commit_file(fmt::format("bad-{}", i), i) : numbered_file(i);
        });
        crowd.watch_pushes();
        CHECK(crowd.run(8) == 3);
        CHECK(crowd.count(Lifecycle::completed) == 6);
        CHECK(crowd.project.record("RQ-0003")->lifecycle == Lifecycle::blocked_push);
        CHECK(crowd.project.record("RQ-0008")->lifecycle == Lifecycle::blocked_push);
        CHECK(contains(crowd.project.record("RQ-0003")->last_error.value_or(""), "exited with status 1"));
        crowd.check_history();
    }
}

TEST_CASE("what is gated ahead of time and not wanted any more is ended, with all that it started" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    set_integration(project, "\"batch\": {\"max\": 1, \"min\": 3, \"wait\": \"1h\"}, \"parallel_gates\": 3");
    const std::string judged = project.outside("judged");
    const std::string lives = project.outside("lives");
    // On top of the bad one it hangs, and its grandchild, too. The first of the good ones waits for the
    // second one, which needs the place.
    crowd.set_gate(
        "case \"$RALPH_BATCH\" in\nRQ-0001,*)\n"
        "  setsid sh -c 'echo $$ >> \"" +
        lives +
        "\"; exec sleep 1000' & sleep 1000 ;;\n"
        "RQ-0001) until [ -s '" +
        lives +
        "' ]; do sleep 0.05; done; exit 1 ;;\n"
        "RQ-0002) until grep -q ' RQ-0002,RQ-0003 ' '" +
        judged +
        "'; do sleep 0.05; done ;;\nesac\n"
        "[ ! -e bad-1 ]");
    crowd.add(3, [](int i) { return i == 1 ? commit_file("bad-1", i) : numbered_file(i); });
    CHECK(crowd.run(3) == 3);
    CHECK(crowd.count(Lifecycle::completed) == 2);
    const Lines pids = lines_of(Project::read(lives));
    CHECK(!pids.empty());
    for (const std::string& pid : pids) {
        CHECK(!fs::exists("/proc/" + pid));
    }
    crowd.check_history();
}

// With three gates the second task is gated on top of the first one, and alone; but then there is more on the
// target than that.
TEST_CASE("what somebody else pushes makes verdicts from ahead of time void" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    set_integration(project, "\"batch\": {\"max\": 1, \"min\": 2, \"wait\": \"1h\"}, \"parallel_gates\": 3");
    crowd.set_gate("until [ $(wc -l < '" + project.outside("judged") + "') -ge 3 ]; do sleep 0.05; done");
    crowd.add(2, numbered_file);
    crowd.watch_pushes();
    const std::string hook = project.remote() + "/hooks/post-receive";
    Project::write(hook, Project::read(hook) + "mkdir '" + project.outside("once") +
                             "' 2>/dev/null || exit 0\nexport GIT_INDEX_FILE='" + project.outside("index") +
                             "'\ngit read-tree refs/heads/main\nblob=$(echo x | git hash-object -w --stdin)\n"
                             "git update-index --add --cacheinfo 100644,$blob,foreign\n"
                             "git -c user.name=C -c user.email=c@example.org commit-tree -p refs/heads/main "
                             "-m Foreign $(git write-tree) > '" +
                             project.outside("foreign") + "'\ngit update-ref refs/heads/main $(cat '" +
                             project.outside("foreign") + "')\n");
    CHECK(crowd.run(2) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 2);
    CHECK(fs::exists(project.outside("foreign")));
    CHECK(crowd.judged().size() == 4);
    crowd.check_history();
}

// Something else comes of both changes of the file each time that the second is put on top of the first.
TEST_CASE("a verdict from ahead of time holds only for the same files" * doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(project.outside("gitconfig"), "[merge \"clock\"]\n\tdriver = date +%s%N > %A\n");
    project.add_to_environment({"GIT_CONFIG_GLOBAL=" + project.outside("gitconfig")});
    Project::write(project.root() + "/.gitattributes", "clock merge=clock\n");
    Project::write(project.root() + "/clock", "begin\n");
    set_integration(project, "\"batch\": {\"max\": 1, \"min\": 2, \"wait\": \"1h\"}, \"parallel_gates\": 2");
    crowd.set_gate("until [ $(wc -l < '" + project.outside("judged") + "') -ge 2 ]; do sleep 0.05; done");
    crowd.add(2, [](int i) { return commit_file("clock", i); });
    crowd.watch_pushes();
    CHECK(crowd.run(2) == 0);
    CHECK(crowd.count(Lifecycle::completed) == 2);
    CHECK(batches(crowd)[1] == "RQ-0001,RQ-0002");
    CHECK(crowd.judged().size() == 3);
    crowd.check_history();
}

// The second one passed its gate only thanks to a file that git ignores.
TEST_CASE("nobody is blamed on top of what was green only elsewhere" * doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    Project::write(project.root() + "/.gitignore", Project::read(project.root() + "/.gitignore") + "*.tmp\n");
    crowd.set_gate("[ ! -e bad-2 ] || [ -e left-over.tmp ]");
    set_integration(project, "\"batch\": {\"min\": 2, \"wait\": \"1h\"}");
    crowd.add(2, [](int i) {
        return i == 1 ? numbered_file(i)
                      : commit_file("bad-2", i) + "; touch left-over.tmp; '" + std::string(RALPH_BINARY_DIR) +
                            "/ralph' gate";
    });
    project.start({"run", "--parallel", "2"});
    REQUIRE(Project::eventually([&] { return contains(project.log(), "itself fails the gate"); }));
    CHECK(project.record("RQ-0001")->lifecycle == Lifecycle::integrating);
    project.crash();
}

TEST_CASE("partitions by scope pass the gate apart, and a change of a barrier alone" *
          doctest::test_suite("as-built")) {
    TaskGenerator crowd;
    Project& project = crowd.project;
    set_integration(project,
                    "\"lanes\": \"scope\", \"parallel_gates\": 2, \"barrier_paths\": [\"build.conf\"], "
                    "\"batch\": {\"min\": 5, \"wait\": \"1h\"}");
    crowd.set_gate("until [ $(wc -l < '" + project.outside("judged") + "') -ge 2 ]; do sleep 0.05; done");
    crowd.add(5, [](int i) {
        const char* const names[] = {"src/one", "docs/one", "build.conf", "src/two", "docs/two"};
        return "mkdir -p src docs; " + commit_file(names[i - 1], i);
    });
    // As people write it.
    std::string queue = Project::read(project.root() + "/.ralph/queue.jsonc");
    for (int i : {1, 2, 4, 5}) {
        const std::string id = fmt::format("\"id\": \"RQ-000{}\"", i);
        const std::size_t at = queue.find("\"scope\": []", queue.find(id));
        REQUIRE(at != std::string::npos);
        queue.replace(at, 11, i == 1 || i == 4 ? "\"scope\": [\"src/**\"]" : "\"scope\": [\"docs/\"]");
    }
    Project::write(project.root() + "/.ralph/queue.jsonc", queue);
    project.commit_and_push("scopes");
    crowd.watch_pushes();
    CHECK(crowd.run(5) == 0);
    crowd.check_history();
    CHECK(crowd.pushes() == 3);
    Lines seen = batches(crowd);
    CHECK(seen[0] == "RQ-0001,RQ-0004");
    // Gated ahead of time it stands on top of those that are expected to land before.
    CHECK(std::any_of(seen.begin(), seen.end(),
                      [](const std::string& batch) { return batch == "RQ-0001,RQ-0004,RQ-0002,RQ-0005"; }));
}

TEST_CASE("what a worker has gated itself is not gated again") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const std::string said = project.outside("said");
    const std::string gate = "'" + std::string(RALPH_BINARY_DIR) + "/ralph' gate";
    crowd.add(1, [&](int i) {
        return numbered_file(i) + "; echo new > untracked; " + gate + " >> '" + said +
               "' 2>&1; echo $? >> '" + said + "'; rm untracked; mkdir deep; cd deep; " + gate + " >> '" +
               said + "' 2>&1; " + gate + " >> '" + said + "'; cd ..";
    });
    CHECK(crowd.run(2) == 0);
    INFO(Project::read(said));
    CHECK(crowd.judged().size() == 1);
    CHECK(contains(crowd.judged().at(0), " RQ-0001 "));
    const Lines lines = lines_of(Project::read(said));
    REQUIRE(lines.size() >= 4);
    CHECK(contains(lines[0], "untracked is not committed"));
    CHECK(lines[1] == "1");
    CHECK(contains(lines[lines.size() - 2], " has passed the gate"));
    CHECK(contains(lines.back(), " has passed the gate already"));
    crowd.check_history();
}

TEST_CASE("ralph gate: a red one, one that changes files, and a place that is none") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    const auto gate = [&] { return project.ralph({"gate"}); };
    project.commit_and_push("config");
    CHECK(gate().status == 0);
    CHECK(contains(gate().output, "has passed the gate already"));
    Project::write(project.root() + "/bad-1", "x");
    project.commit_and_push("bad");
    auto end = gate();
    CHECK(end.status == 5);
    CHECK(contains(end.errors, "exited with status 1"));
    CHECK(gate().status == 5);  // what is red is judged again
    CHECK(crowd.judged().size() == 3);
    project.git(project.root(), {"rm", "-q", "bad-1"});
    Project::write(project.root() + "/other", "x");
    project.commit_and_push("good");
    crowd.set_gate("echo changed > other");
    end = gate();
    CHECK(end.status == 1);
    CHECK(contains(end.errors, "was changed while the gate ran: other"));
    project.git(project.root(), {"checkout", "-q", "."});
    crowd.set_gate("true");
    CHECK(gate().status == 0);
    CHECK(crowd.judged().size() == 5);  // the other verdict did not count
    const std::string elsewhere = project.outside("elsewhere");
    project.git(project.root(), {"clone", "-q", project.remote(), elsewhere});
    project.add_to_environment({"RALPH_ROOT=" + project.root()});
    end = project.ralph({"--repo", elsewhere, "gate"});
    CHECK(end.status == 1);
    CHECK(contains(end.errors, "nor in a workspace of it"));
}

TEST_CASE("ralph gate that is ended ends its gate, with all that it started") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    project.commit_and_push("config");
    const std::string lives = project.outside("lives");
    crowd.set_gate("setsid sh -c 'echo $$ > \"" + lives + "\"; exec sleep 1000' & sleep 1000");
    project.start({"gate"});
    REQUIRE(Project::eventually([&] { return lines_of(Project::read(lives)).size() == 1; }));
    const auto second = project.ralph({"gate"});
    CHECK(second.status == 1);
    CHECK(contains(second.errors, "the gate runs in"));
    project.signal(SIGTERM);
    CHECK(project.wait() == 128 + SIGTERM);
    CHECK(!fs::exists("/proc/" + lines_of(Project::read(lives))[0]));
}

TEST_CASE("what has passed the gate is remembered within limits") {
    TaskGenerator crowd;
    Project& project = crowd.project;
    project.commit_and_push("config");
    const std::string memory = project.paths().green_gates();
    fs::create_directories(memory);
    for (int i = 0; i < 600; ++i) {
        Project::write(memory + fmt::format("/{:040}", i), "old");
    }
    Project::write(memory + fmt::format("/{:040}.new", 7), "of one that was killed");
    CHECK(project.ralph({"gate"}).status == 0);
    const auto files = std::distance(fs::directory_iterator(memory), fs::directory_iterator());
    CHECK(files <= 500);
    CHECK(files >= 499);  // the one that was never finished counted, too
    CHECK(!fs::exists(memory + fmt::format("/{:040}.new", 7)));
    CHECK(contains(project.ralph({"gate"}).output, "has passed the gate already"));
}
