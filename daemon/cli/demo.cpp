// ralph demo: a remote, a clone, eight tasks and four workers in a temporary folder.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>

#include "core/queue_edit.h"
#include "core/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/cli/init.h"
#include "daemon/steps/git.h"
#include "daemon/store/state_store.h"

namespace ralph::daemon {
namespace {

struct DemoTask {
    const char* title;
    const char* run;
    const char* depends_on;  // an id, or ""
    core::Lifecycle expected;
    std::uint32_t expected_push_attempts;
};

// The commands stand in for agents. $DEMO_FOREIGN_PUSH is set in the demo's supervisor.jsonc.
constexpr std::array<DemoTask, 8> tasks{{
    {"Write a greeting",
     "sleep 1; echo 'hello, world' > greeting.txt; git add -A; git commit -qm 'Add a greeting'", "",
     core::Lifecycle::completed, 1},
    {"Paint the door blue",
     "sed -i 's/^door:.*/door: blue/' colours.txt; git commit -qam 'Paint the door blue'; sleep 1", "",
     core::Lifecycle::completed, 1},
    {"Paint the door green (the same line: a conflict)",
     "sed -i 's/^door:.*/door: green/' colours.txt; git commit -qam 'Paint the door green'; "
     "until git ls-remote -q origin main | grep -qv \"$RALPH_BASE_SHA\" && git fetch -q origin main && "
     "git show FETCH_HEAD:colours.txt | grep -q blue; do sleep 0.2; done",
     "", core::Lifecycle::blocked_push, 1},
    {"Fail on purpose", "echo 'this agent gives up'; sleep 1; exit 7", "", core::Lifecycle::failed, 0},
    {"Translate the greeting (needs RQ-0001)",
     "sleep 1; sed 's/hello, world/bonjour, le monde/' greeting.txt > greeting.fr.txt; git add -A; "
     "git commit -qm 'Translate the greeting'",
     "RQ-0001", core::Lifecycle::completed, 1},
    {"Land although somebody else pushes first",
     "echo 'a recipe' > recipe.txt; git add -A; git commit -qm 'Add a recipe'; "
     "printf '#!/bin/sh\\nrm -f \"$0\"\\nexec sh \"%s\"\\n' \"$DEMO_FOREIGN_PUSH\" > .git/hooks/pre-push; "
     "chmod +x .git/hooks/pre-push",
     "", core::Lifecycle::completed, 2},
    {"Leave the work uncommitted", "sleep 1; echo 'notes of an agent that forgot to commit' > notes.txt", "",
     core::Lifecycle::completed, 1},
    {"Write an index (needs RQ-0005 and RQ-0006)",
     "ls > index.txt; git add -A; git commit -qm 'Add an index'", "RQ-0005 RQ-0006",
     core::Lifecycle::completed, 1},
}};

struct Places {
    std::string folder;
    [[nodiscard]] std::string remote() const { return folder + "/remote.git"; }
    [[nodiscard]] std::string clone() const { return folder + "/project"; }
    [[nodiscard]] std::string stranger() const { return folder + "/somebody-else"; }
    [[nodiscard]] std::string foreign_push() const { return folder + "/somebody-else-pushes.sh"; }
};

Result<Places> make_places(const std::string& wanted) {
    if (!wanted.empty()) {
        const auto made = make_directories(wanted);
        const auto names = list_directory(wanted);
        if (!made || !names) {
            return made ? names.error() : made.error();
        }
        if (!names->empty()) {
            return Error{fmt::format("{} is not empty", wanted), "name a new folder with --dir"};
        }
        const std::unique_ptr<char, decltype(&std::free)> full(::realpath(wanted.c_str(), nullptr),
                                                               &std::free);
        return Places{full ? full.get() : wanted};
    }
    const char* const base = std::getenv("TMPDIR");
    std::string path = std::string(base == nullptr || *base == '\0' ? "/tmp" : base) + "/ralph-demo-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return system_error("create a temporary folder", path, errno);
    }
    return Places{path};
}

Result<void> identify(const Git& git, const std::string& name) {
    if (auto set = git.set_config("user.name", name); !set) {
        return set;
    }
    return git.set_config("user.email", name + "@example.org");
}

Result<void> clone(const Places& places, const std::string& folder, const std::string& name) {
    if (auto cloned = Git(places.folder).expect({"clone", "-q", places.remote(), folder}); !cloned) {
        return cloned;
    }
    return identify(Git(folder), name);
}

Result<void> write_queue(const Settings& settings) {
    core::TaskFile queue;
    for (const DemoTask& task : tasks) {
        auto id = core::next_task_id(queue, core::TaskFile{}, settings.queue_rules());
        if (!id) {
            return id.error();
        }
        core::Task made = core::make_task(*id, task.title, wall_clock());
        made.custom_fields.emplace_back("run", task.run);
        std::string_view needed = task.depends_on;
        while (!needed.empty()) {
            const std::size_t space = std::min(needed.find(' '), needed.size());
            made.depends_on.emplace_back(needed.substr(0, space));
            needed.remove_prefix(std::min(space + 1, needed.size()));
        }
        queue.tasks.push_back(std::move(made));
    }
    return write_file_durably(settings.queue_file, core::task_file_text(queue));
}

// A remote with a first commit, the project's clone with its queue, and somebody else's clone with something
// to push.
Result<void> build_world(const Places& places) {
    if (auto made = Git(places.folder).expect({"init", "-q", "--bare", "-b", "main", places.remote()});
        !made) {
        return made;
    }
    if (auto cloned = clone(places, places.clone(), "demo"); !cloned) {
        return cloned;
    }
    const Git git(places.clone());
    Result<void> done = git.expect({"checkout", "-q", "-B", "main"});
    if (done) {
        done = write_file_durably(places.clone() + "/colours.txt", "walls: white\ndoor: brown\nroof: red\n");
    }
    if (auto made = make_ralph_folder(places.clone(), true); !made) {
        return made.error();
    }
    if (done) {
        done = write_file_durably(
            places.clone() + "/.ralph/supervisor.jsonc",
            fmt::format("{{\n  \"worker\": {{\"env\": {{\"DEMO_FOREIGN_PUSH\": \"{}\"}}}}\n}}\n",
                        places.foreign_push()));
    }
    const auto settings = load_settings(places.clone());
    if (!settings) {
        return settings.error();
    }
    if (done) {
        done = write_queue(*settings);
    }
    for (const std::vector<std::string>& command : {std::vector<std::string>{"add", "-A"},
                                                    {"commit", "-q", "-m", "Begin"},
                                                    {"push", "-q", "-u", "origin", "main"}}) {
        if (done) {
            done = git.expect(command);
        }
    }
    if (done) {
        done = clone(places, places.stranger(), "somebody-else");
    }
    const std::string script = fmt::format(
        "cd \"{}\" && unset GIT_DIR GIT_INDEX_FILE && git pull -q --rebase && date > elsewhere.txt && git "
        "add -A && "
        "git commit -qm 'Somebody else was faster' && git push -q\n",
        places.stranger());
    return done ? write_file_durably(places.foreign_push(), script) : done;
}

// Compares how the tasks ended with how they were meant to end.
std::vector<std::string> surprises(const core::ParallelState& state) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        const std::string id = fmt::format("RQ-{:04}", i + 1);
        const core::WorkerRecord* const record = state.find(id);
        if (record == nullptr || record->lifecycle != tasks[i].expected ||
            record->push_attempts != tasks[i].expected_push_attempts) {
            found.push_back(fmt::format("{} should be {} after {} attempts to land, and is {} after {}", id,
                                        to_string(tasks[i].expected), tasks[i].expected_push_attempts,
                                        record == nullptr ? "missing" : to_string(record->lifecycle),
                                        record == nullptr ? 0 : record->push_attempts));
        }
    }
    return found;
}

Result<int> show(const Places& places) {
    const CommonArguments common{places.clone(), "warn"};
    if (print("\n") != 0 || show_status(common, false) != 0) {
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
                           "  logs        {}\n  state       {}\n",
                           places.remote(), places.clone(), places.folder + "/.workspaces/project/parallel",
                           Paths{places.clone()}.logs(), Paths{places.clone()}.state());
    const auto state = read_state_file(Paths{places.clone()}.state());
    if (!state || !*state) {
        return state ? Error{"the demo left no state"} : state.error();
    }
    const auto unexpected = surprises(**state);
    for (const std::string& line : unexpected) {
        text += "unexpected: " + line + "\n";
    }
    if (unexpected.empty()) {
        text +=
            "\nEvery task ended as it was meant to: six landed, one failed, one is blocked by a conflict.\n";
    }
    const int told = print(text);
    return unexpected.empty() ? told : 1;
}

}  // namespace

int demonstrate(const std::string& folder) {
    const auto places = make_places(folder);
    if (!places) {
        return report_error(places.error());
    }
    if (const int told =
            print(fmt::format("The demo's folder is {}\nEight tasks, four workers:\n\n", places->folder));
        told != 0) {
        return told;
    }
    if (auto built = build_world(*places); !built) {
        return report_error(built.error());
    }
    RunArguments arguments;
    arguments.parallel = true;
    arguments.workers = 4;
    const int ran = run_supervisor(CommonArguments{places->clone(), "info"}, arguments);
    if (ran != core::exit_some_not_landed) {
        return ran == 0 ? 1 : ran;
    }
    const auto shown = show(*places);
    return shown ? *shown : report_error(shown.error());
}

}  // namespace ralph::daemon
