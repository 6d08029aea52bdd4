#include "tests/support/git_fixture.h"

#include <doctest/doctest.h>
#include <stdlib.h>  // mkdtemp, setenv

#include <fstream>
#include <sstream>
#include <system_error>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/git/trust.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/steps/prepare.h"
#include "daemon/workspace/workspace.h"

namespace ralph::tests {

namespace fs = std::filesystem;

GitFixture::GitFixture(Queue queue) {
    std::string pattern = (fs::temp_directory_path() / "ralph-steps-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = fs::canonical(pattern).string();
    ::setenv("HOME", folder_.c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (folder_ + "/xdg").c_str(), 1);
    ::setenv("GIT_CONFIG_GLOBAL", (folder_ + "/gitconfig").c_str(), 1);
    ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    write(folder_ + "/gitconfig",
          "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n");
    fs::create_directories(folder_ + "/run");

    git(folder_, {"init", "--quiet", "--bare", remote()});
    git(folder_, {"init", "--quiet", root()});
    git(root(), {"remote", "add", "origin", remote()});
    write(root() + "/a.txt", "one\ntwo\nthree\n");
    write(root() + "/.gitignore", queue == Queue::tracked
                                      ? ".ralph/cache/\n.ralph/lock\n.env*\n*.local\nbuild/\n"
                                      : ".ralph/\n.env*\n*.local\nbuild/\n");
    core::TaskFile tasks;
    const core::Instant then{std::chrono::seconds{1'771'545'600}};
    tasks.tasks = {core::make_task("RQ-0001", "First task", then),
                   core::make_task("RQ-0002", "Second task", then)};
    write(root() + "/.ralph/queue.jsonc", core::task_file_text(tasks));
    commit_and_push(root(), "Begin");
    git(root(), {"fetch", "--quiet", "origin"});
    git(folder_, {"clone", "--quiet", remote(), colleague()});
}

GitFixture::~GitFixture() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

daemon::StepContext GitFixture::context(const std::string& task) const {
    auto settings = daemon::load_settings(root());
    if (!settings) {
        FAIL(settings.error().line());
    }
    settings->project.ci_gate.enabled = false;
    std::string place = settings->workspace(task);
    return {std::move(*settings), task, "Do the work", std::move(place), "main", folder_ + "/run", 1, 1, 5};
}

void GitFixture::prepare(const std::string& task, std::uint32_t number) const {
    REQUIRE(daemon::run_prepare_step(context(task)) == 0);
    const daemon::Paths paths{root()};
    const std::string run = paths.run(task, core::Run{core::StepKind::prepare, number, number});
    write(run + "/outcome.json", read(folder_ + "/run/outcome.json"));
}

void GitFixture::work(const std::string& task, const std::string& path) const {
    prepare(task);
    write(workspace(task) + "/" + (path.empty() ? task + ".txt" : path), "work of " + task + "\n");
}

core::Outcome GitFixture::outcome() const {
    auto document = core::JsonDocument::parse(read(folder_ + "/run/outcome.json"), "outcome.json");
    REQUIRE(document.has_value());
    auto outcome = core::read_outcome(*document);
    REQUIRE(outcome.has_value());
    return *outcome;
}

std::string GitFixture::integration() const {
    return lane().directory();
}

daemon::Git GitFixture::lane() const {
    const auto run = context();
    daemon::Git git = daemon::integration_git(run.settings);
    if (!exists(git.folder())) {
        const auto made = daemon::IntegrationWorkspace::open(run);
        REQUIRE(made.has_value());
        REQUIRE(made->go_to(made->tip()).has_value());
    }
    return git;
}

std::string GitFixture::in_merge_queue(const std::vector<std::string>& arguments) const {
    const auto text = lane().line(arguments);
    if (!text) {
        FAIL(text.error().line());
    }
    return *text;
}

std::string GitFixture::git(const std::string& directory, const std::vector<std::string>& arguments) const {
    const auto text = daemon::Git(directory).line(arguments);
    if (!text) {
        FAIL(text.error().line());
    }
    return *text;
}

void GitFixture::commit_and_push(const std::string& clone, const std::string& message) const {
    git(clone, {"add", "--all"});
    git(clone, {"commit", "--quiet", "-m", message});
    git(clone, {"push", "--quiet", "origin", "HEAD:refs/heads/main"});
}

void GitFixture::push_by_colleague(const std::string& path, const std::string& content) const {
    git(colleague(), {"pull", "--quiet", "--ff-only", "origin", "main"});
    write(colleague() + "/" + path, content);
    commit_and_push(colleague(), "By a colleague: " + path);
}

std::string GitFixture::remote_file(const std::string& path) const {
    const auto content = daemon::Git(remote()).file_at("refs/heads/main", path);
    REQUIRE(content.has_value());
    return content->value_or("(missing)");
}

std::vector<std::string> GitFixture::remote_subjects() const {
    return lines(git(remote(), {"log", "--format=%s", "main"}));
}

core::TaskFile GitFixture::remote_tasks(const std::string& path) const {
    auto document = core::JsonDocument::parse(remote_file(path), path);
    REQUIRE(document.has_value());
    auto tasks = core::read_task_file(*document);
    REQUIRE(tasks.has_value());
    return *tasks;
}

std::vector<std::string> GitFixture::kept_refs(const std::string& task) const {
    return lines(git(root(), {"for-each-ref", "--format=%(refname)", "refs/ralph/kept/" + task}));
}

void GitFixture::write(const std::string& path, std::string_view content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    REQUIRE(read(path) == content);
}

void GitFixture::write_script(const std::string& path, std::string_view content) {
    write(path, "#!/bin/sh\n" + std::string(content) + "\n");
    fs::permissions(path, fs::perms::owner_all);
}

std::string GitFixture::read(const std::string& path) {
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool GitFixture::exists(const std::string& path) {
    return fs::exists(fs::symlink_status(path));
}

std::vector<std::string> GitFixture::lines(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        found.push_back(line);
    }
    return found;
}

}  // namespace ralph::tests
