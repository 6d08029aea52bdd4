#include "daemon/demo/demo_project.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/cli/init.h"
#include "daemon/git/git.h"
#include "daemon/git/trust.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

// The commands stand in for agents. The variables $DEMO_... are set in the demo's supervisor.jsonc.
constexpr std::array<DemoTask, 8> tasks{{
    {"Write a greeting",
     "sleep 2; echo 'hello, world' > greeting.txt; git add -A; git commit -qm 'Add a greeting'", "",
     core::Lifecycle::completed, 1},
    {"Paint the door blue",
     "sed -i 's/^door:.*/door: blue/' colours.txt; git commit -qam 'Paint the door blue'; sleep 2", "",
     core::Lifecycle::completed, 1},
    {"Paint the door green (the same line: a conflict)",
     "sed -i 's/^door:.*/door: green/' colours.txt; git commit -qam 'Paint the door green'; "
     "until git ls-remote -q origin main | grep -qv \"$RALPH_BASE_SHA\" && git fetch -q origin main && "
     "git show FETCH_HEAD:colours.txt | grep -q blue; do sleep 0.2; done",
     "", core::Lifecycle::blocked_push, 1},
    {"Fail on purpose",
     "for i in $(seq 600); do if [ -e \"$DEMO_GIVE_UP\" ]; then break; fi; sleep 0.1; done; "
     "echo 'this agent gives up'; exit 7",
     "", core::Lifecycle::failed, 0},
    {"Translate the greeting (needs RQ-0001)",
     "sleep 1; sed 's/hello, world/bonjour, le monde/' greeting.txt > greeting.fr.txt; git add -A; "
     "git commit -qm 'Translate the greeting'",
     "RQ-0001", core::Lifecycle::completed, 1},
    {"Land although somebody else pushes first",
     "echo 'a recipe' > recipe.txt; git add -A; git commit -qm 'Add a recipe'; "
     "hook=$(git remote get-url origin)/hooks/pre-receive; "
     "printf '#!/bin/sh\\nread old new ref\\ngit log --format=%%s $old..$new | grep -q recipe || exit 0\\n"
     "rm -f \"$0\"\\nexec sh \"%s\"\\n' \"$DEMO_FOREIGN_PUSH\" > \"$hook\"; chmod +x \"$hook\"",
     "", core::Lifecycle::completed, 1},
    {"Leave the work uncommitted", "sleep 1; echo 'notes of an agent that forgot to commit' > notes.txt", "",
     core::Lifecycle::completed, 1},
    {"Write an index (needs RQ-0005 and RQ-0006)",
     "ls > index.txt; git add -A; git commit -qm 'Add an index'", "RQ-0005 RQ-0006",
     core::Lifecycle::completed, 1},
}};

// Every worker says when it begins and when it ends.
constexpr const char* ledger_lines =
    "echo \"begin $RALPH_TASK_ID\" >> \"$DEMO_LEDGER\"; trap 'echo \"end $RALPH_TASK_ID\" >> "
    "\"$DEMO_LEDGER\"' EXIT; ";

Result<void> identify(const Git& git, const std::string& name) {
    TRY(git.set_config("user.name", name));
    return git.set_config("user.email", name + "@example.org");
}

Result<void> clone(const DemoPlaces& places, const std::string& folder, const std::string& name) {
    TRY(Git(places.folder).expect({"clone", "-q", places.remote(), folder}));
    return identify(Git(folder), name);
}

Result<void> write_queue(const Settings& settings) {
    core::TaskFile queue;
    for (const DemoTask& task : tasks) {
        TRY_ASSIGN(auto id, core::next_task_id(queue, core::TaskFile{}, settings.queue_rules()));
        core::Task made = core::make_task(id, task.title, wall_clock());
        made.custom_fields.emplace_back("run", std::string(ledger_lines) + task.run);
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

}  // namespace

const std::array<DemoTask, 8>& demo_tasks() {
    return tasks;
}

std::string demo_task_id(std::size_t index) {
    return fmt::format("RQ-{:04}", index + 1);
}

Result<DemoPlaces> make_demo_places(const std::string& wanted) {
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
        return DemoPlaces{full ? full.get() : wanted};
    }
    const char* const base = std::getenv("TMPDIR");
    std::string path = std::string(base == nullptr || *base == '\0' ? "/tmp" : base) + "/ralph-demo-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return system_error("create a temporary folder", path, errno);
    }
    return DemoPlaces{path};
}

// A remote with a first commit, the project's clone with its queue, and somebody else's clone with something
// to push.
Result<void> make_demo_project(const DemoPlaces& places) {
    if (auto made = Git(places.folder).expect({"init", "-q", "--bare", "-b", "main", places.remote()});
        !made) {
        return made;
    }
    TRY(clone(places, places.clone(), "demo"));
    const Git git(places.clone());
    Result<void> done = git.expect({"checkout", "-q", "-B", "main"});
    if (done) {
        done = write_file_durably(places.clone() + "/colours.txt", "walls: white\ndoor: brown\nroof: red\n");
    }
    TRY(make_ralph_folder(places.clone(), true));
    if (done) {
        done = write_file_durably(
            places.clone() + "/.ralph/supervisor.jsonc",
            fmt::format(
                "{{\n  \"worker\": {{\"env\": {{\"DEMO_FOREIGN_PUSH\": \"{}\", \"DEMO_LEDGER\": \"{}\", "
                "\"DEMO_GIVE_UP\": \"{}\"}}}}\n}}\n",
                places.foreign_push(), places.ledger(), places.leave()));
    }
    TRY_ASSIGN(const auto settings, load_settings(places.clone()));
    if (done) {
        done = write_queue(settings);
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
        "cd \"{}\" && unset GIT_DIR GIT_INDEX_FILE GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY "
        "GIT_ALTERNATE_OBJECT_DIRECTORIES && git pull -q --rebase && date > elsewhere.txt && git "
        "add -A && "
        "git commit -qm 'Somebody else was faster' && git push -q\n",
        places.stranger());
    return done ? write_file_durably(places.foreign_push(), script) : done;
}

}  // namespace ralph::daemon
