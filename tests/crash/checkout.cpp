#include "tests/crash/checkout.h"

#include <fmt/format.h>

#include <filesystem>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_files.h"
#include "daemon/store/settings.h"
#include "tests/support/project.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

const std::string ralph_program = std::string(RALPH_BINARY_DIR) + "/ralph";

core::TaskFile tasks_in(const std::string& path) {
    auto tasks = daemon::load_task_file(path, true);
    return tasks ? std::move(*tasks) : core::TaskFile{};
}

}  // namespace

CheckoutFixture::CheckoutFixture(const Project& project)
    : project_(project), colleague_(project.outside("colleague")) {
    Project::write(project.root() + "/keep.txt", "theirs\n");
    project.add("landed", "git commit -q --allow-empty -m nothing");
    project.commit_and_push("queue");
    project.git(project.root(), {"clone", "-q", project.remote(), colleague_});
    project.git(colleague_, {"config", "user.name", "Colleague"});
    project.git(colleague_, {"config", "user.email", "colleague@example.org"});
}

// Queue and done change each time; a file grows, one comes, one goes, one turns into a folder and back, a
// link turns.
void CheckoutFixture::land() {
    const std::string queue_file = colleague_ + "/.ralph/queue.jsonc";
    const std::string done_file = colleague_ + "/.ralph/done.jsonc";
    core::TaskFile queue = tasks_in(queue_file);
    core::TaskFile done = tasks_in(done_file);
    const std::string id = fmt::format("RQ-{:04}", ++landings_);
    static_cast<void>(core::archive_finished_task(queue, done, id, daemon::wall_clock()));
    core::Task next = done.tasks.back();
    next.id = fmt::format("RQ-{:04}", landings_ + 1);
    next.status = core::TaskStatus::draft;
    next.completed_at.reset();
    queue.tasks.assign(1, next);
    Project::write(queue_file, core::task_file_text(queue));
    Project::write(done_file, core::task_file_text(done));
    Project::write(colleague_ + "/big.txt", std::string(30'000, static_cast<char>('a' + landings_ % 26)));
    Project::write(fmt::format("{}/new-{}.txt", colleague_, landings_), "new\n");
    fs::remove(fmt::format("{}/new-{}.txt", colleague_, landings_ - 1));
    fs::remove_all(colleague_ + "/turns");
    Project::write(colleague_ + (landings_ % 2 == 0 ? "/turns" : "/turns/file"), "turned\n");
    fs::remove(colleague_ + "/link");
    fs::create_symlink(fmt::format("new-{}.txt", landings_), colleague_ + "/link");
    project_.git(colleague_, {"add", "-A"});
    project_.git(colleague_, {"commit", "-q", "-m", fmt::format("landing {}", landings_)});
    project_.git(colleague_, {"push", "-q", "origin", "HEAD:main"});
}

Traced CheckoutFixture::check_point(int n, Victims victims, std::vector<std::string>& found) {
    land();
    static_cast<void>(daemon::remove_file(project_.outside("step.log")));
    auto environment = project_.environment();
    const std::string run = project_.outside("run");
    fs::create_directories(run);
    environment.insert(environment.end(), {"RALPH_ROOT=" + project_.root(), "RALPH_TASK_ID=RQ-0001",
                                           "RALPH_WORKSPACE=" + project_.workspaces() + "/RQ-0001",
                                           "RALPH_TARGET_BRANCH=main", "RALPH_RUN_DIR=" + run});
    const std::vector<std::string> step{ralph_program, "step", "integrate"};
    const std::string log = project_.outside("step.log");
    const Traced traced = run_and_kill(step, environment, project_.root(), log, Role::any, n, victims);
    if (!Project::eventually([&] { return processes_of(project_) == 0; })) {
        found.push_back("processes are left");
    }
    // A change of the user's, and a start, which fixes.
    Project::write(project_.root() + "/keep.txt", "mine\n");
    const auto start = project_.ralph({"run", "--parallel", "2", "--force"});
    if (!start.succeeded()) {
        found.push_back("the start says: " + start.errors);
    }
    if (fs::exists(project_.paths().checkout_move())) {
        found.push_back("the marker is still there: " + start.errors);
    }
    if (const std::string status = project_.git(project_.root(), {"status", "--porcelain"});
        status != " M keep.txt\n") {
        found.push_back("after the start, changed is: " + status);
    }
    Project::write(project_.root() + "/keep.txt", "theirs\n");
    // And the step again.
    const Traced again = run_and_kill(step, environment, project_.root(), log, Role::any, 0);
    if (again.exit != 0) {
        found.push_back("the step ends with " + std::to_string(again.exit.value_or(-1)));
    }
    for (const std::string& line : differences()) {
        found.push_back(line);
    }
    if (!found.empty()) {
        found.push_back(Project::read(log));
    }
    return traced;
}

std::vector<std::string> CheckoutFixture::differences() const {
    std::vector<std::string> found;
    const std::string& root = project_.root();
    if (project_.git(root, {"rev-parse", "HEAD", "origin/main"}) !=
        project_.git(project_.remote(), {"rev-parse", "main", "main"})) {
        found.push_back("the checkout was not brought forward");
    }
    fs::remove(root + "/.git/index");  // believe nothing that it says
    project_.git(root, {"read-tree", "HEAD"});
    if (const std::string status = project_.git(root, {"status", "--porcelain"}); !status.empty()) {
        found.push_back("changed is: " + status);
    }
    for (const auto& entry : fs::recursive_directory_iterator(root + "/.git")) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".lock") || name.ends_with(".new") || name.rfind("ralph-", 0) == 0) {
            found.push_back("left over: " + entry.path().string());
        }
    }
    return found;
}

}  // namespace ralph::tests
