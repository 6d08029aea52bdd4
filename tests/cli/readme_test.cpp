// What the README tells people to type does what it says.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include "tests/support/project.h"

using ralph::core::Lifecycle;
using ralph::tests::Project;
using ralph::tests::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

const std::string readme = Project::read(RALPH_SOURCE_DIR "/README.md");

// The first fenced block of that language after the heading.
std::string block_in(const std::string& page, const std::string& heading, const std::string& language) {
    const std::size_t section = page.find("\n" + heading);
    REQUIRE(section != std::string::npos);
    const std::string fence = "```" + language + "\n";
    const std::size_t begin = page.find(fence, section);
    REQUIRE(begin != std::string::npos);
    const std::size_t text = begin + fence.size();
    return page.substr(text, page.find("```", text) - text);
}

std::string block_after(const std::string& heading, const std::string& language) {
    return block_in(readme, heading + "\n", language);
}

// Runs a script as a person would type it, with `ralph` in the PATH and no configuration of the machine but a
// name.
ralph::daemon::ProgramEnd type(const std::string& script, const std::string& folder,
                               const std::string& home) {
    ralph::daemon::ProgramRequest request;
    request.program = "sh";
    request.arguments = {"-e", "-c", script};
    request.directory = folder;
    request.environment = {"PATH=" RALPH_BINARY_DIR ":/usr/local/bin:/usr/bin:/bin",
                           "HOME=" + home,
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_AUTHOR_NAME=Reader",
                           "GIT_AUTHOR_EMAIL=reader@example.org",
                           "GIT_COMMITTER_NAME=Reader",
                           "GIT_COMMITTER_EMAIL=reader@example.org"};
    request.timeout = std::chrono::seconds(100);
    auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    return *end;
}

// What the README shows is what is printed, but for numbers of processes and for who is first.
std::vector<std::string> without_what_varies(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        line = std::regex_replace(line, std::regex(R"(\(pid [0-9]+\))"), "(pid)");
        found.push_back(
            std::regex_replace(line, std::regex("; (the workers of )?RQ-.* (go|goes) on"), "; ... go on"));
    }
    return found;
}

}  // namespace

TEST_CASE("the README's first run" * doctest::test_suite("as-built")) {
    const TemporaryDirectory folder;
    REQUIRE(type("git init -q --bare -b main remote.git && git clone -q remote.git project && cd project && "
                 "git checkout -q -B main",
                 folder.path(), folder.path())
                .succeeded());
    const auto end = type(block_after("## Your first run", "sh"), folder / "project", folder.path());
    CAPTURE(end.errors);
    CHECK(end.succeeded());
    CHECK(end.output.find("Completed: 3") != std::string::npos);
    CHECK(Project::read(folder / "project/hello.txt") == "hello\n");
    CHECK(Project::read(folder / "project/three.txt") == "1\n2\n3\n");
}

TEST_CASE("the settings of README and docs/agents.md load") {
    const Project project;
    const std::string agents = Project::read(RALPH_SOURCE_DIR "/docs/agents.md");
    for (const std::string& block :
         {block_after("## Your first run", "jsonc"), block_in(agents, "## In three steps", "jsonc"),
          block_in(agents, "## Another agent", "jsonc")}) {
        CAPTURE(block);
        Project::write(project.paths().supervisor_config(), block);
        CHECK(project.ralph({"queue", "list"}).status == 0);
    }
}

// With a stand-in for the program, which says what the real one has said (tests/agents/recorded).
TEST_CASE("docs/agents.md: the three steps, and the account" * doctest::test_suite("as-built")) {
    const TemporaryDirectory folder;
    const std::string agents = Project::read(RALPH_SOURCE_DIR "/docs/agents.md");
    REQUIRE(type("git init -q --bare -b main remote.git && git clone -q remote.git project && cd project && "
                 "git checkout -q -B main",
                 folder.path(), folder.path())
                .succeeded());
    fs::create_directories(folder / "bin");
    Project::write(folder / "bin/claude",
                   "#!/bin/sh\n[ \"$1\" = --version ] && { echo '2.1.197 (Claude Code)'; exit; }\n"
                   "echo test > test.txt; cat '" RALPH_SOURCE_DIR
                   "/tests/agents/recorded/claude/edit-0.out'\n");
    fs::permissions(folder / "bin/claude", fs::perms::owner_all);
    const std::string before = "export PATH='" + (folder / "bin") + "':$PATH ANTHROPIC_API_KEY=key\n";
    const auto end =
        type(before + block_in(agents, "## In three steps", "sh"), folder / "project", folder.path());
    CAPTURE(end.output);
    CAPTURE(end.errors);
    CHECK(end.succeeded());
    CHECK(Project::read(folder / "project/test.txt") == "test\n");
    const auto account =
        type(block_in(agents, "## When an account is at its limit", "sh"), folder / "project", folder.path());
    CHECK(account.succeeded());
    CHECK(account.output == "no account is paused\nthe account claude is not paused\n");
}

TEST_CASE("every command of the README explains itself") {
    const Project project;
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"init"},
                                               {"task", "add"},
                                               {"task", "show"},
                                               {"task", "edit"},
                                               {"task", "done"},
                                               {"task", "reject"},
                                               {"task", "remove"},
                                               {"task", "move"},
                                               {"status"},
                                               {"why"},
                                               {"retry"},
                                               {"history"},
                                               {"notify"},
                                               {"cancel"},
                                               {"pause"},
                                               {"resume"},
                                               {"workers"},
                                               {"drain"},
                                               {"wait"},
                                               {"logs"},
                                               {"shell"},
                                               {"clean"},
                                               {"config", "show"},
                                               {"config", "paths"},
                                               {"completions"},
                                               {"task", "start-now"},
                                               {"task", "cancel"},
                                               {"queue", "export"},
                                               {"queue", "import"},
                                               {"queue", "list"},
                                               {"queue", "validate"},
                                               {"queue", "stop"},
                                               {"run"},
                                               {"run", "loop"},
                                               {"run", "parallel", "status"},
                                               {"run", "parallel", "retry"},
                                               {"account", "list"},
                                               {"account", "resume"},
                                               {"kept", "list"},
                                               {"kept", "show"},
                                               {"kept", "restore"},
                                               {"kept", "prune"},
                                               {"doctor"},
                                               {"service", "install"},
                                               {"service", "uninstall"},
                                               {"service", "status"},
                                               {"service", "logs"},
                                               {"demo"}}) {
        std::string written = "`ralph";
        auto arguments = command;
        for (const std::string& word : command) {
            written += " " + word;
        }
        CAPTURE(written);
        CHECK(readme.find(written) != std::string::npos);
        arguments.emplace_back("--help");
        const auto end = project.ralph(arguments);
        CHECK(end.status == 0);
        CHECK(end.output.find("Usage: ") != std::string::npos);
        CHECK(end.errors.empty());
    }
    CHECK(project.ralph({"--version"}).output.rfind("ralph ", 0) == 0);
}

TEST_CASE("queue list and validate") {
    const Project project;
    CHECK(project.ralph({"queue", "list"}).output == "the queue is empty\n");
    project.add("first", "true");
    project.add("second", "true", {"RQ-0001"});
    CHECK(project.ralph({"queue", "list"}).output ==
          "ID       STATUS  PRIORITY  TITLE   DEPENDS ON\n"
          "RQ-0001  todo    medium    first\n"
          "RQ-0002  todo    medium    second  RQ-0001\n");
    CHECK(project.ralph({"queue", "list", "--json"}).output.find("\"id\": \"RQ-0002\"") != std::string::npos);
    CHECK(project.ralph({"queue", "validate"}).output.find("the queue is valid: 2 open, 0 done\n") !=
          std::string::npos);
}

TEST_CASE("init: again changes nothing, and a folder that came with a clone is not trusted") {
    const Project project;
    CHECK(fs::exists(project.paths().trust()));
    const std::string before = project.snapshot();
    CHECK(project.ralph({"init"}).output.find("everything is there already") != std::string::npos);
    CHECK(project.snapshot() == before);
    fs::remove(project.paths().trust());
    CHECK(project.ralph({"init"}).status == 1);  // its config.jsonc names a gate, which needs trust
    CHECK(!fs::exists(project.paths().trust()));
    CHECK(project.ralph({"init", "--trust"}).status == 0);
    CHECK(fs::exists(project.paths().trust()));
    const std::string ignored = Project::read(project.root() + "/.gitignore");
    CHECK(ignored == ".ralph/cache/\n.ralph/lock/\n.ralph/logs/\n.ralph/workspaces/\n.ralph/trust.jsonc\n");
}

TEST_CASE("the demo kills its supervisor three times, and ends with every task at its right end" *
          doctest::test_suite("as-built")) {
    const Project project;
    const auto end = project.ralph({"demo", "--dir", project.outside("demo")});
    CAPTURE(end.output);
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    CHECK(end.output.find("Somebody else was faster") !=
          std::string::npos);  // and what came second landed all the same
    const auto printed = without_what_varies(end.output);
    const auto shown = without_what_varies(block_after("### What the demo shows", "text"));
    CHECK(shown.size() == 8);
    auto at = printed.begin();
    for (const std::string& line : shown) {
        CAPTURE(line);
        at = std::find(at, printed.end(), line);
        REQUIRE(at != printed.end());
    }
    CHECK(project.ralph({"demo", "--dir", project.outside("demo")}).status == 1);  // not empty any more
}
