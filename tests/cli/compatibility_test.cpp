// What users of the Rust tools type (docs/compatibility.md): it works here, or is refused as wrong usage.
#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/project.h"

using ralph::tests::Project;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::vector<std::string> words(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> all;
    for (std::string word; stream >> word;) {
        all.push_back(word);
    }
    return all;
}

// With four open tasks, the fourth a draft.
void fill(const Project& project) {
    for (const char* const title : {"First", "Second", "Third", "Fourth"}) {
        project.add(title, "true");
    }
    REQUIRE(project.ralph({"task", "status", "draft", "RQ-0004", "--no-push"}).succeeded());
    project.commit_and_push();
}

}  // namespace

TEST_CASE("compatibility: commands and flags of the Rust tools work" * doctest::test_suite("as-built")) {
    const Project project;
    fill(project);
    for (const char* const line : {"--version",
                                   "-V",
                                   "version",
                                   "help",
                                   "help-all",
                                   "--color never queue list",
                                   "--no-color queue list",
                                   "-v queue list",
                                   "--force queue list",
                                   "--auto-fix queue list",
                                   "--no-sanity-checks queue list",
                                   "init --non-interactive",
                                   "init --force",
                                   "init --trust-project-commands",
                                   "init --check",
                                   "queue list",
                                   "queue list --format json",
                                   "queue list --json",
                                   "queue list --status todo",
                                   "queue list --tag t",
                                   "queue list --include-done",
                                   "queue list --limit 2",
                                   "queue next",
                                   "queue next-id",
                                   "queue show RQ-0001",
                                   "queue search First",
                                   "queue explain",
                                   "queue stats",
                                   "queue export --format csv",
                                   "queue export",
                                   "queue archive --no-push",
                                   "queue repair --dry-run",
                                   "queue sort --no-push",
                                   "queue stop",
                                   "queue unlock",
                                   "queue unlock --dry-run",
                                   "queue unlock --yes",
                                   "queue validate",
                                   "task show RQ-0001",
                                   "task status doing RQ-0001 --no-push",
                                   "task ready RQ-0004 --no-push",
                                   "task start RQ-0001 --no-push",
                                   "task edit title new RQ-0001 --no-push",
                                   "task field a b RQ-0001 --no-push",
                                   "task schedule RQ-0001 2027-01-01T00:00:00Z --no-push",
                                   "task relate RQ-0003 blocks RQ-0001 --no-push",
                                   "task clone RQ-0001 --no-push",
                                   "task done RQ-0002 --no-push",
                                   "task reject RQ-0004 --no-push",
                                   "config show",
                                   "config show --format json",
                                   "config paths",
                                   "config trust init",
                                   "migrate --check",
                                   "completions bash",
                                   "machine run parallel-status",
                                   "machine run stop --dry-run",
                                   "machine run stop",
                                   "machine queue read",
                                   "machine queue validate",
                                   "machine config resolve",
                                   "machine system info",
                                   "daemon status",
                                   "daemon stop",
                                   "daemon logs",
                                   "run parallel status",
                                   "run parallel status --json",
                                   "run loop --help"}) {
        CAPTURE(line);
        const auto end = project.ralph(words(line));
        CHECK_MESSAGE(end.status == 0, end.errors);
        CHECK(!end.output.empty() + !end.errors.empty() + has(line, "--no-push") >= 1);
    }
    const std::string first = project.ralph({"task", "show", "RQ-0001"}).output;
    for (const char* const part : {"\"title\": \"new\"", "\"a\": \"b\"", "2027-01-01", "\"doing\""}) {
        CAPTURE(part);
        CHECK(has(first, part));
    }
    CHECK(has(project.ralph({"task", "show", "RQ-0003"}).output, "\"blocks\": [\n    \"RQ-0001\"\n  ]"));
    CHECK(has(project.ralph({"task", "show", "RQ-0005"}).output, "\"title\": \"new\""));
    CHECK(has(project.ralph({"queue", "list", "--include-done"}).output, "RQ-0002"));
}

TEST_CASE("compatibility: what is not here is wrong usage, also with --help") {
    const Project project;
    for (const char* const line :
         {"run one", "undo --list", "webhook test", "scan", "queue graph", "task split RQ-0001",
          "config profiles list", "machine run loop --parallel 2", "cleanup", "run loop --dry-run --parallel",
          "run loop --wait-when-blocked --parallel", "run loop --parallel 256", "foo", "foo --help",
          "queue foo --help"}) {
        CAPTURE(line);
        CHECK(project.ralph(words(line)).status == 2);
    }
}

TEST_CASE("compatibility: flags without effect are accepted, and named once") {
    const Project project;
    project.add("one", "echo x > x");
    project.commit_and_push();
    const auto end =
        project.ralph(words("run loop --parallel 2 --non-interactive --runner codex --model m --phases 2 "
                            "--no-progress --notify-sound --git-revert-mode ask"));
    CHECK(end.status == 0);
    CHECK(has(end.errors,
              "--git-revert-mode, --model, --no-progress, --non-interactive, --notify-sound, --phases, "
              "--runner: accepted, and without effect here"));
}

TEST_CASE("compatibility: a lock of a process that lives is not taken, one of a dead one is") {
    const Project project;
    std::filesystem::create_directories(project.paths().queue_lock());
    const std::string owner = project.paths().queue_lock() + "/owner";
    const auto write = [&](pid_t pid) {
        Project::write(owner,
                       "pid: " + std::to_string(pid) +
                           "\nstarted_at: 2026-01-01T00:00:00Z\ncommand: ralph run loop\nlabel: run loop\n");
    };
    write(::getpid());
    CHECK(project.ralph({"queue", "unlock"}).status == 1);
    CHECK(project.ralph({"queue", "unlock", "--dry-run"}).status == 1);
    CHECK(!Project::read(owner).empty());
    write(4'194'303);  // above what the kernel gives out by default
    CHECK(has(project.ralph({"queue", "unlock", "--dry-run"}).output, "would be removed"));
    CHECK(!Project::read(owner).empty());
    CHECK(project.ralph({"queue", "unlock"}).status == 0);
    CHECK(!ralph::daemon::path_exists(project.paths().queue_lock()));
}

TEST_CASE("many tasks at once: titles, or an export, under new ids that go on naming each other") {
    const Project project;
    Project::write(project.outside("titles"), "First\n\n  Second  \n");
    CHECK(project.ralph({"task", "add", "--from", project.outside("titles")}).output == "RQ-0001\nRQ-0002\n");
    CHECK(project.remote_subjects().front() == "ralph: add 2 tasks");
    REQUIRE(project.ralph({"task", "edit", "RQ-0002", "--depends-on", "RQ-0001"}).succeeded());
    const std::string exported = project.ralph({"queue", "export"}).output;
    Project::write(project.outside("export.json"), exported);
    CHECK(project.ralph({"queue", "import", project.outside("export.json")}).output == "RQ-0003\nRQ-0004\n");
    const std::string second = project.ralph({"task", "show", "RQ-0004"}).output;
    CHECK(has(second, "\"title\": \"Second\""));
    CHECK(has(second, "\"depends_on\": [\n    \"RQ-0003\"\n  ]"));
    CHECK(
        has(project.ralph({"queue", "export", "--format", "csv"}).output, "\"RQ-0004\",\"Second\",\"todo\""));
    CHECK(project.ralph({"task", "add", "--from", project.outside("missing")}).status == 1);
    Project::write(project.outside("broken"), "{\"version\": 1, \"tasks\": [{}]}");
    CHECK(project.ralph({"queue", "import", project.outside("broken")}).status == 1);
    CHECK(project.ralph({"task", "add"}).status == 2);
}
