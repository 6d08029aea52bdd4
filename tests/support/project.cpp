#include "tests/support/project.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "daemon/os/identity.h"
#include "daemon/store/settings.h"
#include "daemon/store/state_store.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

void require(bool condition, const std::string& what) {
    if (!condition) {
        throw std::runtime_error(what);
    }
}

}  // namespace

Project::Project() {
    fs::create_directories(folder_ / "home");
    git(folder_.path(), {"init", "-q", "--bare", "-b", "main", remote()});
    git(folder_.path(), {"clone", "-q", remote(), root()});
    git(root(), {"checkout", "-q", "-B", "main"});
    git(root(), {"config", "user.name", "Tester"});
    git(root(), {"config", "user.email", "tester@example.org"});
    require(ralph({"init"}).succeeded(), "ralph init failed");
    write(root() + "/README", "a project\n");
    commit_and_push("begin");
}

Project::~Project() {
    if (supervisor_) {
        crash();
    }
    // What a test that failed leaves running: shims of this project, by their proven identity, and their
    // trees.
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(paths().runs(), ignored)) {
        if (entry.path().filename() != "spec.json") {
            continue;
        }
        const std::string text = read(entry.path().string());
        const std::size_t at = text.find("\"run_id\": \"");
        if (at != std::string::npos) {
            static_cast<void>(daemon::end_orphaned_tree(text.substr(at + 11, 32), 5000));
        }
    }
}

std::string Project::use_copies() {
    programs_ = folder_ / "programs";
    fs::create_directories(programs_);
    for (const char* name : {"ralph", "ralph-shim"}) {
        fs::copy_file(std::string(RALPH_BINARY_DIR) + "/" + name, programs_ + "/" + name);
    }
    return programs_;
}

std::vector<std::string> Project::environment() const {
    std::vector<std::string> environment{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + (folder_ / "home"),
                                         "TMPDIR=" + folder_.path(),          "GIT_CONFIG_NOSYSTEM=1",
                                         "GIT_CONFIG_GLOBAL=/dev/null",       "ASAN_OPTIONS=detect_leaks=1"};
    for (const std::string& variable : more_environment_) {
        const std::string name = variable.substr(0, variable.find('=') + 1);
        std::erase_if(environment, [&name](const std::string& line) { return line.starts_with(name); });
        environment.push_back(variable);
    }
    return environment;
}

daemon::ProgramEnd Project::ralph(const std::vector<std::string>& arguments) const {
    daemon::ProgramRequest request;
    request.program = programs_ + "/ralph";
    request.arguments = arguments;
    request.directory = root();
    request.environment = environment();
    request.timeout = std::chrono::seconds(100);
    auto end = daemon::run_program(request);
    require(end.has_value(), end ? "" : end.error().message);
    end->status += end->signal == 0 ? 0 : 1000 + end->signal;  // a crash is no exit with 0
    return *end;
}

std::string Project::git(const std::string& directory, const std::vector<std::string>& arguments) const {
    daemon::ProgramRequest request;
    request.program = "git";
    request.arguments = arguments;
    request.directory = directory;
    request.environment = environment();
    auto end = daemon::run_program(request);
    require(end.has_value() && end->succeeded(),
            "git " + arguments.front() + ": " + (end ? end->errors : end.error().message));
    return end->output;
}

std::string Project::add(const std::string& title, const std::string& run,
                         const std::vector<std::string>& needs) const {
    std::vector<std::string> arguments{"task", "add", title, "--no-push", "--run", run};
    for (const std::string& id : needs) {
        arguments.insert(arguments.end(), {"--depends-on", id});
    }
    const auto end = ralph(arguments);
    require(end.succeeded(), "task add: " + end.errors);
    return end.output.substr(0, end.output.find('\n'));
}

void Project::commit_and_push(const std::string& message) const {
    git(root(), {"add", "-A"});
    if (!git(root(), {"diff", "--cached", "--name-only"}).empty()) {  // `task add` may have pushed it itself
        git(root(), {"commit", "-q", "-m", message});
    }
    git(root(), {"push", "-q", "-u", "origin", "HEAD"});
}

void Project::start(const std::vector<std::string>& arguments) {
    require(!supervisor_, "there is a supervisor already");
    // The descriptors that a shim is given are taken already, so that none of the supervisor's own has one of
    // their numbers, under which it would be replaced rather than inherited.
    daemon::SpawnRequest request;
    request.program = "/bin/sh";
    request.arguments = {"-c",
                         "cd \"$1\" && shift && log=\"$1\" && shift && exec 3</dev/null 4</dev/null "
                         "5</dev/null && exec \"$@\" 2>>\"$log\" >>\"$log.out\"",
                         "sh",
                         root(),
                         folder_ / "supervisor.log",
                         programs_ + "/ralph"};
    request.arguments.insert(request.arguments.end(), arguments.begin(), arguments.end());
    request.environment = environment();
    auto child = daemon::spawn(request);
    require(child.has_value(), child ? "" : child.error().message);
    supervisor_ = std::move(*child);
}

void Project::signal(int number) const {
    require(supervisor_.has_value() && daemon::signal_process(supervisor_->pidfd, number),
            "no supervisor to signal");
}

void Project::freeze() const {
    signal(SIGSTOP);
    siginfo_t info{};
    require(::waitid(P_PID, static_cast<id_t>(supervisor_->pid), &info, WSTOPPED | WNOWAIT) == 0,
            "the supervisor did not stop");
}

void Project::crash() {
    signal(SIGKILL);
    require(wait() == 1000 + SIGKILL, "the supervisor did not die of SIGKILL");
}

int Project::wait() {
    require(supervisor_.has_value(), "no supervisor to wait for");
    int status = 0;
    require(::waitpid(supervisor_->pid, &status, 0) == supervisor_->pid, "waitpid");
    supervisor_.reset();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

std::string Project::log() const {
    return read(folder_ / "supervisor.log");
}

std::string Project::output() const {
    return read(folder_ / "supervisor.log.out");
}

core::ParallelState Project::state() const {
    auto state = daemon::read_state_file(paths().state());
    require(state.has_value(), state ? "" : state.error().message);
    return state->value_or(core::ParallelState{});
}

std::optional<core::WorkerRecord> Project::record(const std::string& task_id) const {
    const core::ParallelState all = state();
    const core::WorkerRecord* const found = all.find(task_id);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

std::vector<std::string> Project::remote_subjects() const {
    return lines_of(git(remote(), {"log", "--format=%s", "main"}));
}

std::vector<std::string> Project::remote_done() const {
    auto document =
        core::JsonDocument::parse(git(remote(), {"show", "main:.ralph/done.jsonc"}), "done.jsonc");
    std::vector<std::string> ids;
    for (const auto& task : document->root().at("tasks").as_array()) {
        ids.emplace_back(task.at("id").as_string());
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::string Project::read(const std::string& path) {
    const auto text = daemon::read_file(path);
    return text && *text ? **text : std::string{};
}

void Project::write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

bool Project::eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

std::string Project::snapshot() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(root() + "/.ralph")) {
        files.push_back(entry.path().string() +
                        (entry.is_regular_file() ? "\n" + read(entry.path().string()) : "/"));
    }
    std::sort(files.begin(), files.end());
    std::string all;
    for (const std::string& file : files) {
        all += file + "\n";
    }
    return all;
}

}  // namespace ralph::tests
