// A host that cannot do for a moment what it can do otherwise: nobody's failure (exit 69).
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "daemon/landing/integrate.h"
#include "daemon/steps/discard.h"
#include "daemon/steps/prepare.h"
#include "tests/support/git_fixture.h"
#include "tests/support/refused_calls.h"
#include "tests/support/text.h"

using namespace ralph;
using tests::contains;
using tests::GitFixture;

TEST_CASE("a kernel that has no room for a process has a bad minute") {
    const GitFixture fixture;
    const auto refused = [&fixture](int (*step)(const daemon::StepContext&)) {
        return tests::status_in_child([&] {
            tests::refuse_forks();
            return step(fixture.context());
        });
    };
    CHECK(refused(daemon::run_prepare_step) == 69);
    fixture.work("RQ-0001");
    CHECK(refused(daemon::run_integrate_step) == 69);
    CHECK(contains(fixture.outcome().summary, "Resource temporarily unavailable"));
    CHECK(run_integrate_step(fixture.context()) == 0);
    CHECK(fixture.remote_file("RQ-0001.txt") == "work of RQ-0001\n");
    CHECK(refused(daemon::run_discard_step) == 69);
}

TEST_CASE("a step that meets a bad minute while it starts says so") {
    const GitFixture fixture;
    GitFixture::write(fixture.root() + "/.ralph/trust.jsonc", R"({"allow_project_commands": true})");
    const auto prepare = [&fixture](bool refused) {
        return tests::status_in_child([&fixture, refused] {
            for (const auto& [name, value] : {std::pair{"RALPH_ROOT", fixture.root()},
                                              {"RALPH_TASK_ID", std::string("RQ-0001")},
                                              {"RALPH_WORKSPACE", fixture.workspace()},
                                              {"RALPH_TARGET_BRANCH", std::string("main")},
                                              {"RALPH_RUN_DIR", fixture.folder() + "/run"}}) {
                ::setenv(name, value.c_str(), 1);
            }
            if (refused) {
                tests::refuse_forks();  // before it is known whether git tracks the permission
            }
            ::execl(RALPH_BINARY_DIR "/ralph", "ralph", "step", "prepare", nullptr);
            return 100;
        });
    };
    CHECK(prepare(true) == 69);
    CHECK_FALSE(GitFixture::exists(fixture.workspace()));
    CHECK(prepare(false) == 0);
}
