#include "daemon/demo/demo.h"

// ralph demo: a remote, a clone, eight tasks and four workers in a temporary folder, and a supervisor that is
// killed three times on the way.
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>

#include "daemon/cli/common.h"
#include "daemon/demo/demo_project.h"
#include "daemon/git/git.h"
#include "daemon/os/clock.h"
#include "daemon/os/identity.h"
#include "daemon/os/program.h"
#include "daemon/os/spawn.h"
#include "daemon/os/wait.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/state_store.h"
#include "daemon/supervisor/launch_builder.h"
#include "daemon/supervisor/reporter.h"

namespace ralph::daemon {
namespace {

constexpr std::chrono::milliseconds poll_interval{20};
constexpr std::chrono::seconds patience_with_a_moment{60};

// The runs of a step that go on under their shims now.
std::vector<std::string> tasks_in(const Paths& paths, core::StepKind step) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < demo_tasks().size(); ++i) {
        const std::string folder = paths.runs_of(demo_task_id(i));
        const auto names = list_directory(folder);
        for (const std::string& name : names ? *names : std::vector<std::string>{}) {
            const auto run = core::parse_run_directory_name(name);
            const std::string directory = folder + "/" + name;
            const auto locked = is_locked(directory + "/lock");
            if (run && run->step == step && locked && *locked && path_exists(directory + "/worker.json")) {
                found.push_back(demo_task_id(i));
            }
        }
    }
    return found;
}

std::string joined(const std::vector<std::string>& words) {
    if (words.size() < 2) {
        return words.empty() ? "nobody" : words.front();
    }
    return fmt::format("{} and {}", fmt::join(words.begin(), words.end() - 1, ", "), words.back());
}

// The supervisor as a child that shares our terminal.
class DemoSupervisor {
  public:
    DemoSupervisor(std::string ralph, const DemoPlaces& places) : ralph_(std::move(ralph)), places_(places) {}

    ~DemoSupervisor() {
        if (child_) {
            static_cast<void>(kill());
        }
    }
    DemoSupervisor(const DemoSupervisor&) = delete;
    DemoSupervisor& operator=(const DemoSupervisor&) = delete;

    Result<void> start() {
        SpawnRequest request;
        request.program = ralph_;
        request.arguments = {"run", "--parallel", "4", "--repo", places_.clone()};
        request.environment = our_environment();
        request.shares_terminal = true;
        TRY_ASSIGN(child_, spawn(request));
        return {};
    }

    // False if the supervisor ended before the moment came.
    [[nodiscard]] bool wait_for(const std::function<bool()>& moment) {
        const auto deadline = std::chrono::steady_clock::now() + patience_with_a_moment;
        while (!moment()) {
            const auto now = std::chrono::steady_clock::now();
            if (now > deadline || wait_until(now + poll_interval, child_->pidfd.get(), POLLIN)) {
                return false;
            }
        }
        return true;
    }

    // Returns its pid.
    pid_t kill() {
        const pid_t pid = child_->pid;
        static_cast<void>(signal_process(child_->pidfd, SIGKILL));
        static_cast<void>(wait());
        return pid;
    }

    // Its exit code, or 128 + n if signal n ended it.
    int wait() {
        const Child child = std::move(*child_);
        child_.reset();
        const int status = reap(child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

  private:
    std::string ralph_;
    const DemoPlaces& places_;
    std::optional<Child> child_;
};

// The story: three kills at three moments. Each says what happens; an empty text is a moment that did not
// come.
class Story {
  public:
    Story(DemoSupervisor& supervisor, const DemoPlaces& places)
        : supervisor_(supervisor), places_(places), paths_{places.clone()} {}

    // The exit code of the last supervisor.
    Result<int> tell() {
        TRY(supervisor_.start());
        for (const auto& chapter :
             {&Story::while_workers_run, &Story::while_one_lands, &Story::while_one_ends}) {
            if (!(this->*chapter)()) {
                return supervisor_.wait();
            }
            TRY(supervisor_.start());
        }
        return supervisor_.wait();
    }

    [[nodiscard]] int kills() const { return kills_; }

  private:
    void kill(const std::string& text) {
        const pid_t pid = supervisor_.kill();
        say(fmt::format("killed the supervisor (pid {}) with SIGKILL: {} of 3; {}", pid, ++kills_, text));
    }

    static void say(const std::string& text) {
        const bool colours = ::isatty(STDOUT_FILENO) == 1;
        // Whoever reads may be gone: the demo's exit code tells of it in the end.
        static_cast<void>(print_unchanged(
            fmt::format("{}*** {}{}\n", colours ? "\x1b[1;31m" : "", text, colours ? "\x1b[0m" : "")));
    }

    [[nodiscard]] std::size_t completed() const {
        const auto state = read_state_file(paths_.state());
        return state && *state ? (*state)->count(core::Lifecycle::completed) : 0;
    }

    bool while_workers_run() {
        // On a busy machine some have finished before all have begun.
        constexpr std::size_t workers = 4;
        if (!supervisor_.wait_for([&] {
                return tasks_in(paths_, core::StepKind::work).size() >= workers || completed() > 0;
            })) {
            return false;
        }
        const auto tasks = tasks_in(paths_, core::StepKind::work);
        kill(fmt::format("the workers of {} go on without it", joined(tasks)));
        return true;
    }

    bool while_one_lands() {
        if (!supervisor_.wait_for([&] { return !tasks_in(paths_, core::StepKind::integrate).empty(); })) {
            return false;
        }
        kill(fmt::format("{} goes on landing without it",
                         joined(tasks_in(paths_, core::StepKind::integrate))));
        return true;
    }

    bool while_one_ends() {
        const std::string id = demo_task_id(demo_task_that_fails);
        const auto works = [&] {
            const auto tasks = tasks_in(paths_, core::StepKind::work);
            return std::find(tasks.begin(), tasks.end(), id) != tasks.end();
        };
        // The one that landed without a supervisor is seen as landed first.
        if (!supervisor_.wait_for([&] { return completed() > landed_; }) || !works()) {
            return false;
        }
        kill(fmt::format("{} will end while nobody supervises it", id));
        const auto deadline = std::chrono::steady_clock::now() + patience_with_a_moment;
        static_cast<void>(write_file_durably(places_.leave(), ""));
        while (works() && std::chrono::steady_clock::now() < deadline) {
            pause_for(poll_interval);
        }
        say(fmt::format("{} has ended, and only its shim has written down how; the next supervisor will tell",
                        id));
        return true;
    }

    DemoSupervisor& supervisor_;
    const DemoPlaces& places_;
    Paths paths_;
    int kills_ = 0;
    std::size_t landed_ = 0;  // at the second kill
};

// Compares how the tasks ended with how they were meant to end, whatever was killed on the way.
std::vector<std::string> surprises(const core::ParallelState& state, const Paths& paths) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < demo_tasks().size(); ++i) {
        const DemoTask& task = demo_tasks()[i];
        const std::string id = demo_task_id(i);
        const core::WorkerRecord* const record = state.find(id);
        if (record == nullptr || record->lifecycle != task.expected ||
            record->push_attempts < task.expected_push_attempts) {
            found.push_back(
                fmt::format("{} should be {} after {} or more attempts to land, and is {} after {}", id,
                            to_string(task.expected), task.expected_push_attempts,
                            record == nullptr ? "missing" : to_string(record->lifecycle),
                            record == nullptr ? 0 : record->push_attempts));
        }
    }
    const core::WorkerRecord* const failed = state.find(demo_task_id(demo_task_that_fails));
    const auto run = view_newest_run(paths, demo_task_id(demo_task_that_fails));
    const bool is_seven = run && *run && (*run)->exit && (*run)->exit->exited_with(7);
    const std::string told = is_seven ? "work " + describe(*(*run)->exit) : std::string{};
    if (failed == nullptr || !is_seven || failed->last_error != told) {
        found.emplace_back("the exit status 7 that nobody watched is not told");
    }
    return found;
}

std::map<std::string, int> count_lines(const std::string& text) {
    std::map<std::string, int> counts;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        ++counts[text.substr(at, end - at)];
        at = end + 1;
    }
    return counts;
}

// What the workers wrote themselves, and what the remote holds.
Result<std::vector<std::string>> doubles(const DemoPlaces& places) {
    std::vector<std::string> found;
    TRY_ASSIGN(const auto ledger, read_file(places.ledger()));
    TRY_ASSIGN(const auto subjects, Git(places.remote()).output({"log", "--format=%s", "main"}));
    auto lines = count_lines(ledger.value_or(""));
    auto commits = count_lines(subjects);
    for (std::size_t i = 0; i < demo_tasks().size(); ++i) {
        const std::string id = demo_task_id(i);
        if (lines["begin " + id] != 1 || lines["end " + id] != 1) {
            found.push_back(fmt::format("the worker of {} began {} times and ended {} times", id,
                                        lines["begin " + id], lines["end " + id]));
        }
        const int wanted = demo_tasks()[i].expected == core::Lifecycle::completed ? 1 : 0;
        const int landed = commits[fmt::format("ralph: archive {} queue bookkeeping", id)];
        if (landed != wanted) {
            found.push_back(fmt::format("{} landed {} times", id, landed));
        }
    }
    return found;
}

Result<int> show(const DemoPlaces& places, int kills) {
    const CommonArguments common{places.clone(), "warn", {}};
    if (print("\n") != 0 || show_status(common, {}) != 0) {
        return 1;
    }
    const auto log =
        Git(places.remote()).output({"log", "--graph", "--format=%h %<(14,trunc)%an %s", "main"});
    if (!log) {
        return log.error();
    }
    std::string text = "\nThe remote's branch main:\n" + *log +
                       fmt::format(
                           "\nWhere everything lies:\n  remote      {}\n  repository  {}\n  workspaces  {}\n"
                           "  logs        {}\n  state       {}\n  ledger      {}\n",
                           places.remote(), places.clone(), places.folder + "/.workspaces/project/parallel",
                           Paths{places.clone()}.logs(), Paths{places.clone()}.state(), places.ledger());
    const auto state = read_state_file(Paths{places.clone()}.state());
    if (!state || !*state) {
        return state ? Error{"the demo left no state"} : state.error();
    }
    auto unexpected = surprises(**state, {places.clone()});
    TRY_ASSIGN(auto twice, doubles(places));
    unexpected.insert(unexpected.end(), twice.begin(), twice.end());
    if (kills != 3) {
        unexpected.push_back(fmt::format("the supervisor was killed {} times instead of three", kills));
    }
    for (const std::string& line : unexpected) {
        text += "unexpected: " + line + "\n";
    }
    if (unexpected.empty()) {
        text +=
            "\nThe supervisor was killed three times, and it shows nowhere:\n"
            "  each of the eight workers began once and ended once (the ledger)\n"
            "  every task ended as it was meant to: six landed, one failed with status 7, one is blocked by "
            "a "
            "conflict\n"
            "  each of the six landed once (the remote)\n";
    }
    const int told = print(text);
    return unexpected.empty() ? told : 1;
}

Result<int> play(const DemoPlaces& places) {
    TRY_ASSIGN(const auto executables, find_executables());
    DemoSupervisor supervisor(executables.ralph, places);
    Story story(supervisor, places);
    auto ended = story.tell();
    if (!ended) {
        return ended;
    }
    if (*ended != core::exit_some_not_landed) {
        return *ended == 0 ? 1 : *ended;
    }
    return show(places, story.kills());
}

}  // namespace

int demonstrate(const std::string& folder) {
    const auto places = make_demo_places(folder);
    if (!places) {
        return report_error(places.error());
    }
    const int told = print(fmt::format(
        "The demo's folder is {}\nEight tasks, four workers, and a supervisor that is killed three "
        "times:\n\n",
        places->folder));
    if (told != 0) {
        return told;
    }
    if (auto built = make_demo_project(*places); !built) {
        return report_error(built.error());
    }
    // Ctrl-C is for the supervisor, which drains; the story then ends with it.
    std::signal(SIGINT, SIG_IGN);
    const auto played = play(*places);
    return played ? *played : report_error(played.error());
}

}  // namespace ralph::daemon
