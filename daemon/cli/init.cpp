// ralph init: everything a repository needs before its first run.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/object.hpp>

#include "config/agent_presets.h"
#include "config/trust.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/cli/init.h"
#include "daemon/git/git.h"
#include "daemon/git/tracked_files.h"
#include "daemon/git/trust.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/ralph_folder.h"

namespace ralph::daemon {
namespace {

// Without a gate of its own a new repository would be gated by the default `make ci`, which it may not have.
constexpr const char* first_config = R"({
  // Settings shared with the Rust tools. See config/config.example.jsonc of ralph for all of them.
  "version": 2,
  "agent": {
    // The command that must succeed before work is pushed, for example {"enabled": true, "argv": ["make", "test"]}.
    "ci_gate": {"enabled": false}
  }
}
)";

constexpr const char* first_supervisor_config = R"({
  // Settings of ralph alone. See config/supervisor.example.jsonc of ralph for all of them.
  "worker": {
    // Who works on tasks without a command of their own: "claude", "codex", "gemini", "qwen", "opencode" or "aider",
    // for example "agent": "claude"; or a program, for example "command": ["./work-on", "{task_file}"].
  }
}
)";

// Some agents refuse to run as root without this variable.
std::string supervisor_config_for(const core::AgentPreset& preset) {
    std::string env;
    if (!preset.root_variable.empty() && ::geteuid() == 0) {
        env = fmt::format(
            ",\n    // {} refuses to run as root unless this says that the machine may be its sandbox.\n"
            "    \"env\": {{\"{}\": \"1\"}}",
            preset.name, preset.root_variable);
    }
    return fmt::format(
        "{{\n  // Settings of ralph alone. See config/supervisor.example.jsonc of ralph for all of them.\n"
        "  \"worker\": {{\n    // Works on tasks without a command of their own. `ralph doctor` checks it.\n"
        "    \"agent\": \"{}\"{}\n  }}\n}}\n",
        preset.name, env);
}

// Without an agent if none is named.
Result<std::string> supervisor_config_text(const std::string& agent) {
    if (agent.empty()) {
        return std::string(first_supervisor_config);
    }
    const config::AgentPresets presets = config::built_in_agents();
    const auto found = presets.find(agent);
    if (found == presets.end()) {
        return Error{fmt::format("\"{}\" is none of {}", core::printable(agent), config::names_of(presets)),
                     "describe another one in `agents` of .ralph/supervisor.jsonc, as docs/agents.md says"};
    }
    return supervisor_config_for(found->second);
}

constexpr unsigned shared_mode = 0644;  // what goes into the repository

constexpr const char* ignored[] = {"cache/", "lock/", "logs/", "workspaces/", "trust.jsonc"};

// gitattributes(5): whose clone does not know the driver merges line by line, as before.
constexpr const char* attributes = R"(/queue.jsonc merge=ralph-queue
/done.jsonc merge=ralph-queue
)";
// What is meant differently by both sides, or a ralph that is not there, is left to git's own merge.
constexpr const char* merge_driver = "ralph merge-queue %O %A %B %P || git merge-file %A %O %B";

Result<void> register_merge_driver(const std::string& root) {
    if (!path_exists(Paths{root}.git())) {
        return {};
    }
    const Git git(root);
    TRY(git.set_config("merge.ralph-queue.name", "tasks of ralph, one by one"));
    return git.set_config("merge.ralph-queue.driver", merge_driver);
}

Result<void> write_if_missing(const std::string& path, const std::string& text,
                              std::vector<std::string>& written) {
    if (path_exists(path)) {
        return {};
    }
    if (auto saved = write_file_durably(path, text, path.ends_with("trust.jsonc") ? 0600 : shared_mode);
        !saved) {
        return saved;
    }
    written.push_back(path);
    return {};
}

// `folder`: .ralph or .cueloop.
Result<void> extend_gitignore(const std::string& path, const std::string& folder,
                              std::vector<std::string>& written) {
    const auto exists = is_there(path);
    const auto regular = exists ? is_regular_file_there(path) : exists;
    if (!regular) {
        return regular.error();
    }
    // What a link leads to may be the user's own, and does not get into the repository as our new file.
    if (*exists && !*regular) {
        return Error{fmt::format("{}: is no regular file", path),
                     "put a file there, then run `ralph init` again"};
    }
    TRY_ASSIGN(auto text, read_file(path));
    std::string content = text.value_or("");
    const std::string before = content;
    for (const char* name : ignored) {
        const std::string entry = folder + "/" + name;
        const bool is_there = ("\n" + content).find("\n" + entry + "\n") != std::string::npos ||
                              ("\n" + content).find("\n" + folder + "/\n") != std::string::npos;
        if (!is_there) {
            content += content.empty() || content.back() == '\n' ? "" : "\n";
            content += entry + "\n";
        }
    }
    if (content == before) {
        return {};
    }
    written.push_back(path);
    return write_file_durably(path, content, shared_mode);
}

bool is_trusting(const std::string& path) {
    const auto text = read_file(path);
    if (!text || !*text) {
        return false;
    }
    const auto trusted = config::read_trust(config::Layer{path, **text});
    return trusted && *trusted;
}

}  // namespace

Result<std::vector<std::string>> make_ralph_folder(const std::string& root, bool trust,
                                                   const std::string& agent) {
    TRY_ASSIGN(const auto paths, paths_of(root));
    TRY(check_ralph_folder(paths));
    TRY_ASSIGN(const auto supervisor_config, supervisor_config_text(agent));
    if (std::string foreign = trust && path_exists(paths.trust()) ? foreign_trust(paths) : std::string{};
        !foreign.empty()) {
        return Error{std::move(foreign), trust_remedy};
    }
    // Made anew, they would be an empty queue over a full one.
    if (auto refusal = not_checked_out(
            root, {paths.folder + "/queue.jsonc", paths.folder + "/done.jsonc",
                   paths.folder + "/config.jsonc", paths.folder + "/supervisor.jsonc", ".gitignore"})) {
        return std::move(*refusal);
    }
    std::vector<std::string> written;
    // Whoever makes the first .ralph of a repository wrote what is in it; one that came with a clone is
    // another's.
    const bool own = !path_exists(paths.ralph());
    const std::string empty = core::task_file_text(core::TaskFile{});
    Result<void> made = make_directories(paths.ralph());
    if (made) {
        made = write_if_missing(paths.ralph() + "/queue.jsonc", empty, written);
    }
    if (made) {
        made = write_if_missing(paths.ralph() + "/done.jsonc", empty, written);
    }
    if (made && (own || trust)) {
        made = write_if_missing(paths.config(), first_config, written);
    }
    if (made && (own || trust)) {
        made = write_if_missing(paths.supervisor_config(), supervisor_config, written);
    }
    if (made) {
        made = write_if_missing(paths.ralph() + "/.gitattributes", attributes, written);
    }
    if (made) {
        made = register_merge_driver(root);
    }
    if (made) {
        made = extend_gitignore(root + "/.gitignore", paths.folder, written);
    }
    if (made && trust && path_exists(paths.trust()) && !is_trusting(paths.trust())) {
        made = remove_file(paths.trust());
    }
    if (made && (own || trust)) {
        made = write_if_missing(paths.trust(), config::trust_text(wall_clock()), written);
    }
    if (!made) {
        return made.error();
    }
    return written;
}

int check_initialized(const CommonArguments& common) {
    const auto root = find_repository(common.repository);
    if (!root) {
        return report_error(root.error());
    }
    const auto found = paths_of(*root);
    if (!found) {
        return report_error(found.error());
    }
    const Paths& paths = *found;
    std::vector<std::string> missing;
    for (const std::string& path : {paths.ralph() + "/queue.jsonc", paths.ralph() + "/done.jsonc",
                                    paths.config(), paths.supervisor_config(), *root + "/.gitignore"}) {
        if (!path_exists(path)) {
            missing.push_back(path);
        }
    }
    if (missing.empty()) {
        return print("everything is there\n");
    }
    return report_error(Error{fmt::format("missing: {}", fmt::join(missing, ", ")), "run `ralph init`"});
}

int initialize(const CommonArguments& common, bool trust, const std::string& agent) {
    const auto root = find_repository(common.repository);
    if (!root) {
        return report_error(root.error());
    }
    if (!path_exists(*root + "/.git")) {
        return report_error(
            Error{fmt::format("{} is not a git repository", *root), "run `git init` there first"});
    }
    const auto written = make_ralph_folder(*root, trust, agent);
    if (!written) {
        return report_error(written.error());
    }
    std::string text;
    for (const std::string& path : *written) {
        text += "wrote " + path + "\n";
    }
    if (written->empty()) {
        text += "everything is there already\n";
    }
    if (const int told = print(text); told != 0) {
        return told;
    }
    const auto settings = load_settings(*root);
    if (!settings) {
        return report_error(settings.error());
    }
    if (!agent.empty() && settings->supervisor.worker.agent != agent) {
        return report_error(
            Error{fmt::format("{} was there already, and does not name {}",
                              settings->paths.supervisor_config(), agent),
                  fmt::format(
                      "set worker.agent to \"{}\" in it, or remove it and run `ralph init --agent {}` again",
                      agent, agent)});
    }
    return print(
        std::string(
            settings->trusted
                ? "this repository is trusted: its files may name commands that ralph runs\n"
                : "this repository is not trusted: run `ralph init --trust` if its commands may be run\n") +
        "next: ralph task add \"...\", then commit and push .ralph, then ralph run --parallel\n");
}

}  // namespace ralph::daemon
