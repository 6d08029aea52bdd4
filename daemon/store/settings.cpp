#include "daemon/store/settings.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "config/trust.h"
#include "daemon/os/files.h"
#include "daemon/store/accounts.h"
#include "daemon/store/ralph_folder.h"
#include "daemon/store/repository_folder.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::Result;

constexpr std::size_t settings_limit = 1ULL << 20;

Result<std::optional<config::Layer>> read_layer(const std::string& path) {
    TRY_ASSIGN(auto text, read_file(path, settings_limit));
    if (!text) {
        return std::optional<config::Layer>{};
    }
    return std::optional(config::Layer{path, std::move(*text)});
}

std::string environment(const char* name) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment.
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

std::string global_folder(const std::string& product) {
    if (const std::string folder = environment("XDG_CONFIG_HOME"); !folder.empty()) {
        return folder + "/" + product;
    }
    const std::string home = environment("HOME");
    return home.empty() ? std::string{} : home + "/.config/" + product;
}

// What holds where no file says otherwise: cueloop 0.8 has other prefixes, and no gate of its own (contract
// section 14).
config::ProjectConfig defaults_of(const Paths& paths) {
    config::ProjectConfig defaults;
    if (paths.folder == cueloop_folder) {
        defaults.queue.file = paths.folder + "/queue.jsonc";
        defaults.queue.done_file = paths.folder + "/done.jsonc";
        defaults.queue.id_prefix = "CL";
        defaults.ci_gate.enabled = false;
    }
    return defaults;
}

std::string absolute(const std::string& path, const std::string& root) {
    const std::string home = environment("HOME");
    std::string expanded = path;
    if (!home.empty() && (path == "~" || path.rfind("~/", 0) == 0)) {
        expanded = home + path.substr(1);
    }
    const fs::path full = expanded.front() == '/' ? fs::path(expanded) : fs::path(root) / expanded;
    std::string text = full.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') {
        text.pop_back();
    }
    return text;
}

// Parallel mode needs the file inside the repository, so that it has a place in the workspaces.
Result<std::string> relative_to_root(const std::string& path, const std::string& root, std::string_view key) {
    const std::string prefix = root + "/";
    if (path.rfind(prefix, 0) != 0) {
        return Error{fmt::format("{} is {}, outside the repository {}", key, path, root),
                     "set it to a path inside the repository in .ralph/config.jsonc"};
    }
    return path.substr(prefix.size());
}

// Of a root that is set for all repositories, each has a folder of its own: the same for all working trees of
// a repository, and never that of another one of the same name.
std::string shared_workspace_root(const std::string& shared, const std::string& root) {
    const std::string repository = common_git_folder(root);
    std::uint32_t hash = 2166136261U;  // FNV-1a, which is the same everywhere and for ever
    for (const char c : repository) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return fmt::format("{}/{}-{:08x}", shared, repository_name(repository), hash);
}

// Whether the repository itself says where its workspaces are; its file has been understood before.
bool has_own_workspace_root(const std::optional<config::Layer>& project) {
    const auto document = project ? core::JsonDocument::parse(project->text, project->file)
                                  : core::Result<core::JsonDocument>{Error{}};
    const auto* const root = document ? document->root().if_object() : nullptr;
    const auto* const section = root == nullptr ? nullptr : root->if_contains("parallel");
    const auto* const parallel = section == nullptr ? nullptr : section->if_object();
    const auto* const value = parallel == nullptr ? nullptr : parallel->if_contains("workspace_root");
    return value != nullptr && !value->is_null();
}

std::string default_workspace_root(const std::string& root) {
    const fs::path path(root);
    return (path.parent_path() / ".workspaces" / path.filename() / "parallel").string();
}

}  // namespace

Result<std::string> find_repository(const std::string& start) {
    std::error_code problem;
    const fs::path begin = fs::canonical(start, problem);
    if (problem) {
        return Error{fmt::format("{}: {}", start, problem.message()), "name an existing folder with --repo"};
    }
    for (fs::path folder = begin;; folder = folder.parent_path()) {
        const fs::path ralph = folder / ralph_folder;
        const fs::path cueloop = folder / cueloop_folder;
        if (fs::is_directory(ralph, problem) && fs::is_directory(cueloop, problem)) {
            return Error{fmt::format("{} holds both .ralph and .cueloop, and two queues would disagree",
                                     folder.string()),
                         "keep the one that is in use, and move the other one away"};
        }
        for (const char* name : {"queue.jsonc", "config.jsonc", "done.jsonc"}) {
            if (fs::is_regular_file(ralph / name, problem) || fs::is_regular_file(cueloop / name, problem)) {
                return folder.string();
            }
        }
        // As with git, an empty folder of that name is none: sandboxes of agents leave one in shared folders.
        if (fs::exists(folder / ".git", problem) && !fs::is_empty(folder / ".git", problem)) {
            return folder.string();
        }
        if (folder == folder.root_path()) {
            return Error{fmt::format("{} is not inside a git repository", begin.string()),
                         "run `git init` there, or name a repository with --repo"};
        }
    }
}

Result<bool> trust_file_allows(const Paths& paths) {
    TRY_ASSIGN(auto trust, read_layer(paths.trust()));
    return trust ? config::read_trust(*trust) : Result<bool>{false};
}

Result<Settings> read_settings(const Paths& paths, bool trusted) {
    SettingsFiles files;
    if (const std::string folder = global_folder("ralph"); !folder.empty()) {
        const bool is_cueloops = paths.folder == cueloop_folder;
        TRY_ASSIGN(files.global_project,
                   read_layer((is_cueloops ? global_folder("cueloop") : folder) + "/config.jsonc"));
        TRY_ASSIGN(files.global_supervisor, read_layer(folder + "/supervisor.jsonc"));
    }
    TRY_ASSIGN(files.project, read_layer(paths.config()));
    TRY_ASSIGN(files.supervisor, read_layer(paths.supervisor_config()));
    return make_settings(paths, trusted, std::move(files));
}

Result<Settings> make_settings(const Paths& paths, bool trusted, SettingsFiles files) {
    Settings settings;
    settings.paths = paths;
    settings.trusted = trusted;
    const std::string& root = paths.root;
    TRY_ASSIGN(settings.project,
               config::load_project_config(files.global_project, files.project, trusted, defaults_of(paths)));
    TRY_ASSIGN(settings.supervisor,
               config::load_supervisor_config(files.global_supervisor, files.supervisor, trusted));
    const bool own_root = has_own_workspace_root(files.project);
    settings.files = std::move(files);
    settings.queue_file = absolute(settings.project.queue.file, root);
    settings.done_file = absolute(settings.project.queue.done_file, root);
    auto queue_relative = relative_to_root(settings.queue_file, root, "queue.file");
    auto done_relative = relative_to_root(settings.done_file, root, "queue.done_file");
    if (!queue_relative || !done_relative) {
        return queue_relative ? done_relative.error() : queue_relative.error();
    }
    settings.queue_relative = std::move(*queue_relative);
    settings.done_relative = std::move(*done_relative);
    settings.accounts_folder = users_accounts_folder();
    if (settings.accounts_folder.empty()) {
        settings.accounts_folder = paths.parallel() + "/accounts";
    }
    const auto& configured = settings.project.parallel.workspace_root;
    settings.workspace_root = !configured ? default_workspace_root(root)
                              : own_root  ? absolute(*configured, root)
                                          : shared_workspace_root(absolute(*configured, root), root);
    return settings;
}

Result<Settings> reload_settings(const Settings& before) {
    TRY(check_ralph_folder(before.paths));
    TRY_ASSIGN(const auto allows, trust_file_allows(before.paths));
    auto settings = read_settings(before.paths, before.trusted && allows);
    if (!settings && allows && !before.trusted && read_settings(before.paths, true)) {
        // Nothing else is wrong with them.
        return Error{settings.error().message + "; a permission counts from the next start on",
                     "let the run end, then start it again"};
    }
    return settings;
}

}  // namespace ralph::daemon
