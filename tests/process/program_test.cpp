#include "daemon/os/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>  // setenv

#include "daemon/os/file_descriptor.h"
#include "tests/support/git_fixture.h"

using namespace ralph;
using tests::GitFixture;

namespace {

daemon::ProgramRequest shell(const std::string& script) {
    daemon::ProgramRequest request;
    request.program = "sh";
    request.arguments = {"-c", script};
    request.directory = "/";
    request.environment = {"PATH=/usr/bin:/bin", "A=a=b"};
    return request;
}

}  // namespace

TEST_CASE("a program's end is told apart") {
    CHECK(daemon::run_program(shell("exit 9"))->describe() == "exited with status 9");
    CHECK(daemon::run_program(shell("kill -9 $$"))->describe() == "was killed by signal 9");
    const auto good = daemon::run_program(shell("echo \"$A\"; pwd; cat; echo e >&2"));
    CHECK(good->output == "a=b\n/\n");
    CHECK(good->errors == "e\n");
    CHECK(good->succeeded());
}

TEST_CASE("both streams of a program are read without a deadlock") {
    const auto end = daemon::run_program(shell("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero"));
    CHECK(end->output.size() == 3'000'000);
    CHECK(end->errors.size() == std::size_t{256} << 10U);
    auto small = shell("head -c 3000000 /dev/zero");
    small.output_limit = 1000;
    CHECK_FALSE(daemon::run_program(small).has_value());
}

TEST_CASE("a program is given its time and no more, and is not waited for by its children") {
    auto slow = shell("trap '' TERM; sleep 100");
    slow.timeout = std::chrono::milliseconds{50};
    slow.grace = std::chrono::milliseconds{50};
    CHECK(daemon::run_program(slow)->timed_out);
    auto chatty = shell("yes >&2");
    chatty.timeout = std::chrono::milliseconds{50};
    CHECK(daemon::run_program(chatty)->describe() == "ran out of its time");
    CHECK(daemon::run_program(shell("sleep 3 & echo x"))->output == "x\n");
}

TEST_CASE("a program that cannot be started is an error") {
    auto request = shell("");
    for (const char* name : {"", "no-such-program", "/etc/passwd", "etc/no-such-program", "/tmp"}) {
        CAPTURE(name);
        request.program = name;
        CHECK_FALSE(daemon::run_program(request).has_value());
    }
    request = shell("true");
    request.directory = "/no/such/folder";
    CHECK_FALSE(daemon::run_program(request).has_value());
}

TEST_CASE("a program inherits no descriptor of ours") {
    const daemon::FileDescriptor low(::open("/dev/null", O_RDONLY));
    const daemon::FileDescriptor ours(::fcntl(low.get(), F_DUPFD, 50));  // without O_CLOEXEC
    REQUIRE(ours.get() >= 50);
    CHECK(
        daemon::run_program(shell("echo /proc/$$/fd/*"))->output.find("/fd/" + std::to_string(ours.get())) ==
        std::string::npos);
}

TEST_CASE("the environment of a step is checked") {
    const GitFixture fixture;
    const auto set = [](const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); };
    set("RALPH_ROOT", fixture.root());
    set("RALPH_TASK_ID", "RQ-0001");
    set("RALPH_TASK_TITLE", "Title");
    set("RALPH_WORKSPACE", fixture.workspace());
    set("RALPH_TARGET_BRANCH", "main");
    set("RALPH_RUN_DIR", fixture.folder() + "/run");
    set("RALPH_ATTEMPT", "2");
    set("RALPH_INTEGRATION", "3");
    ::unsetenv("RALPH_MAX_INTEGRATIONS");
    const auto context = daemon::read_step_context();
    REQUIRE(context.has_value());
    CHECK(context->attempt == 2);
    CHECK(context->integration == 3);
    CHECK(context->max_integrations == 1);
    CHECK(context->settings.paths.root == fixture.root());
    SUBCASE("another workspace") {
        set("RALPH_WORKSPACE", fixture.folder());
    }
    SUBCASE("an id that is a path") {
        set("RALPH_TASK_ID", "..");
        set("RALPH_WORKSPACE", fixture.workspaces() + "/..");
    }
    SUBCASE("no number") {
        set("RALPH_ATTEMPT", "2x");
    }
    SUBCASE("no branch") {
        set("RALPH_TARGET_BRANCH", "");
    }
    CHECK_FALSE(daemon::read_step_context().has_value());
}

TEST_CASE("git is not led astray by the environment, nor to a repository further up") {
    const GitFixture fixture;
    ::setenv("GIT_DIR", fixture.remote().c_str(), 1);
    ::setenv("GIT_INDEX_FILE", "/nowhere", 1);
    CHECK(fixture.git(fixture.root(), {"rev-parse", "--git-dir"}) == ".git");
    ::unsetenv("GIT_DIR");
    ::unsetenv("GIT_INDEX_FILE");
    GitFixture::write(fixture.root() + "/sub/file", "x");
    CHECK_FALSE(daemon::Git(fixture.root() + "/sub").head().has_value());
}
