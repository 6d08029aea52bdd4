#include "daemon/git/plain_git.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "core/queue/task.h"
#include "daemon/store/repository_folder.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::Result;
using Kind = Folder::Kind;

constexpr int deepest = 128;  // of refs, and of repositories within repositories
constexpr std::size_t longest_small_file = 1U << 20U;

// What may be borrowed: that from which the repository itself borrows.
struct Rules {
    std::vector<std::string> alternates;
    bool may_borrow = false;  // from anybody
    bool may_be_shallow = false;
};

Error not_plain(const std::string& place, std::string_view what) {
    return Error{fmt::format("{}: {}; ralph runs no git there", core::printable(place), what),
                 "look what was done there, and move away what you need"};
}

Result<void> check_kind(const Folder& folder, const Folder::Entry& entry) {
    switch (entry.kind) {
        case Kind::regular:
        case Kind::directory:
            return {};
        case Kind::link:
            return not_plain(folder.path() + "/" + entry.name, "is a symbolic link");
        case Kind::other:
            return not_plain(folder.path() + "/" + entry.name, "is neither a file nor a folder");
    }
    return {};
}

// Nothing but files and folders in it, on all levels.
Result<void> check_tree(const Folder& folder, int depth) {
    if (depth > deepest) {
        return not_plain(folder.path(), "lies too deep");
    }
    TRY_ASSIGN(auto entries, folder.entries());
    for (const Folder::Entry& entry : entries) {
        TRY(check_kind(folder, entry));
        if (entry.kind == Kind::directory) {
            auto below = folder.below(entry.name);
            auto checked = !below   ? Result<void>{below.error()}
                           : *below ? check_tree(**below, depth + 1)
                                    : Result<void>{};
            if (!checked) {
                return checked;
            }
        }
    }
    return {};
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (const std::string_view line = core::trimmed(text.substr(0, end)); !line.empty()) {
            lines.emplace_back(line);
        }
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return lines;
}

// The folders from which a repository borrows objects, as absolute paths.
std::vector<std::string> alternates_in(std::string_view text, const std::string& objects) {
    std::vector<std::string> paths;
    for (const std::string& line : lines_of(text)) {
        if (line.front() != '#') {
            paths.push_back(real_path((fs::path(objects) / line).lexically_normal().string()));
        }
    }
    return paths;
}

Result<void> check_alternates(const Folder& info, const std::string& objects, const Rules& rules) {
    auto http = info.kind_of("http-alternates");
    auto text = info.read("alternates", longest_small_file);
    if (!http || !text) {
        return http ? text.error() : http.error();
    }
    if (*http) {
        return not_plain(info.path() + "/http-alternates", "names objects elsewhere");
    }
    for (const std::string& path : alternates_in(text->value_or(std::string{}), objects)) {
        if (!rules.may_borrow &&
            std::find(rules.alternates.begin(), rules.alternates.end(), path) == rules.alternates.end()) {
            return not_plain(
                info.path() + "/alternates",
                fmt::format("borrows from {}, as the repository does not", core::printable(path)));
        }
    }
    return {};
}

Result<void> check_objects(const Folder& objects, const Rules& rules) {
    TRY_ASSIGN(auto entries, objects.entries());
    for (const Folder::Entry& entry : entries) {
        TRY(check_kind(objects, entry));
    }
    auto info = objects.below("info");
    if (!info || !*info) {
        return info ? Result<void>{} : Result<void>{info.error()};
    }
    auto plain = check_tree(**info, 0);
    return plain ? check_alternates(**info, objects.path(), rules) : plain;
}

// Names that would make git look elsewhere, whatever they hold.
Result<void> check_redirections(const Folder& git, const Rules& rules) {
    auto common = git.kind_of("commondir");
    auto shallow = git.kind_of("shallow");
    if (!common || !shallow) {
        return common ? shallow.error() : common.error();
    }
    if (*common) {
        return not_plain(git.path() + "/commondir", "makes it a part of another repository");
    }
    if (*shallow && !rules.may_be_shallow) {
        return not_plain(git.path() + "/shallow", "cuts its history off, as the repository's is not");
    }
    auto info = git.below("info");
    auto grafts = info && *info ? (*info)->kind_of("grafts") : Result<std::optional<Kind>>{std::nullopt};
    if (!info || !grafts) {
        return info ? grafts.error() : info.error();
    }
    return *grafts ? Result<void>{not_plain(git.path() + "/info/grafts", "tells another history")}
                   : Result<void>{};
}

Result<void> prove_plain(const Folder& git, const Rules& rules) {
    TRY_ASSIGN(auto entries, git.entries());
    for (const Folder::Entry& entry : entries) {
        // The socket of a program that watches the files; nobody of ours talks to it.
        const bool is_watcher = entry.kind == Kind::other && entry.name == "fsmonitor--daemon.ipc";
        TRY(is_watcher ? Result<void>{} : check_kind(git, entry));
    }
    for (const char* name :
         {"refs", "logs", "info", "reftable", "rebase-merge", "rebase-apply", "sequencer"}) {
        auto below = git.below(name);
        auto checked = !below   ? Result<void>{below.error()}
                       : *below ? check_tree(**below, 0)
                                : Result<void>{};
        if (!checked) {
            return checked;
        }
    }
    auto objects = git.below("objects");
    auto checked = !objects   ? Result<void>{objects.error()}
                   : *objects ? check_objects(**objects, rules)
                              : Result<void>{};
    return checked ? check_redirections(git, rules) : checked;
}

// An error of the system, as that of a link in the way, told as what it is here.
Result<std::optional<Folder>> open_git_folder(const Folder& tree, const std::string& relative) {
    auto git = tree.below(relative);
    if (!git && !git.error().is_passing()) {
        return not_plain(tree.path() + "/" + relative, "is no folder of its own");
    }
    return git;
}

Result<Rules> rules_of(const Settings& settings) {
    const std::string common = common_git_folder(settings.paths.root);
    TRY_ASSIGN(const auto text, read_file(common + "/objects/info/alternates", longest_small_file));
    return Rules{text ? alternates_in(*text, common + "/objects") : std::vector<std::string>{}, false,
                 path_exists(common + "/shallow")};
}

Result<Folder> open_tree(const std::string& path) {
    TRY_ASSIGN(auto tree, Folder::open(path));
    return tree ? Result<Folder>{std::move(*tree)} : Result<Folder>{Error{path + ": is not there"}};
}

// Where the git folder of a repository within a workspace is, relative to the workspace; empty if there is
// none. `tree` is the workspace, `relative` the place of the repository.
Result<std::string> place_of_nested(const Folder& tree, const std::string& relative) {
    auto nested = tree.below(relative);
    auto kind = nested && *nested ? (*nested)->kind_of(".git") : Result<std::optional<Kind>>{std::nullopt};
    if (!nested || !kind) {
        return nested ? kind.error() : nested.error();
    }
    if (!*kind) {
        return std::string{};
    }
    if (**kind == Kind::directory) {
        return relative + "/.git";
    }
    TRY_ASSIGN(auto text, **kind == Kind::regular ? (*nested)->read(".git", longest_small_file)
                                                  : Result<std::optional<std::string>>{std::nullopt});
    constexpr std::string_view key = "gitdir:";
    const std::string content(core::trimmed(std::string_view(text.value_or(std::string{}))));
    if (content.rfind(key, 0) != 0) {
        return not_plain((*nested)->path() + "/.git", "leads nowhere");
    }
    const std::string target(core::trimmed(std::string_view(content).substr(key.size())));
    const std::string place = (fs::path(tree.path()) / relative / target).lexically_normal().string();
    if (place.rfind(tree.path() + "/", 0) != 0) {
        return not_plain((*nested)->path() + "/.git", "leads out of the workspace");
    }
    return place.substr(tree.path().size() + 1);
}

struct Suspect {
    std::string path;  // relative to the workspace
    Error error;
};

// git opens these wherever it looks at files, and waits for ever at what is no plain file.
bool is_read_by_git(std::string_view name) {
    return name == ".gitignore" || name == ".gitattributes" || name == ".gitmodules";
}

Result<void> refuse_blocking_files(const Folder& folder, int depth) {
    auto entries = folder.entries();
    if (!entries) {
        return entries.error().is_passing() ? Result<void>{entries.error()} : Result<void>{};
    }
    for (const Folder::Entry& entry : *entries) {
        if (entry.kind == Kind::other && is_read_by_git(entry.name)) {
            return Error{fmt::format("{}/{}: is no plain file, and git would wait for it for ever",
                                     folder.path(), entry.name),
                         "remove it"};
        }
        if (entry.kind != Kind::directory || entry.name == ".git" || depth > 4 * deepest ||
            !folder.may_enter(entry.name)) {
            continue;
        }
        const auto below = folder.below(entry.name);
        if (below && *below) {
            TRY(refuse_blocking_files(**below, depth + 1));
        }
    }
    return {};
}

// Every folder below `folder`, but for git's own. What is wrong with one is collected, since it may be
// ignored.
Result<void> look_at_files(const Folder& tree, const Folder& folder, const std::string& relative, int depth,
                           std::vector<Suspect>& suspects) {
    TRY_ASSIGN(auto entries, folder.entries());
    for (const Folder::Entry& entry : entries) {
        const std::string path = relative.empty() ? entry.name : relative + "/" + entry.name;
        if (entry.name == ".git") {
            if (const auto plain =
                    relative.empty() ? std::nullopt : std::optional(open_plain_within(tree.path(), relative));
                plain && !*plain) {
                suspects.push_back({relative, plain->error()});
            }
            continue;
        }
        if (entry.kind != Kind::directory) {
            continue;
        }
        if (!folder.may_enter(entry.name) || depth > 4 * deepest) {
            suspects.push_back(
                {path, Error{fmt::format("{}/{}: cannot be read", tree.path(), core::printable(path)),
                             "give its owner the right to read it, or remove it"}});
            continue;
        }
        auto below = folder.below(entry.name);
        auto looked = below && *below ? look_at_files(tree, **below, path, depth + 1, suspects)
                      : below         ? Result<void>{}
                                      : Result<void>{below.error()};
        if (!looked) {
            if (looked.error().is_passing()) {
                return looked;
            }
            suspects.push_back({path, looked.error()});
        }
    }
    return {};
}

}  // namespace

Result<Git> open_plain(const Settings& settings, const std::string& path) {
    auto tree = open_tree(path);
    auto git = tree ? open_git_folder(*tree, ".git") : Result<std::optional<Folder>>{tree.error()};
    if (!git) {
        return git.error();
    }
    if (!*git) {
        return Error{path + ": is no git repository"};
    }
    const auto rules = rules_of(settings);
    auto proven = rules ? prove_plain(**git, *rules) : Result<void>{rules.error()};
    proven = proven ? refuse_blocking_files(*tree, 0) : proven;
    return proven ? Result<Git>{Git(path, path + "/.git")} : Result<Git>{proven.error()};
}

Result<Git> open_plain_within(const std::string& workspace, const std::string& relative) {
    TRY_ASSIGN(auto tree, open_tree(workspace));
    TRY_ASSIGN(auto place, place_of_nested(tree, relative));
    if (place.empty()) {
        return Error{fmt::format("{}/{}: is no git repository", workspace, relative)};
    }
    TRY_ASSIGN(auto git, open_git_folder(tree, place));
    if (!git) {
        return not_plain(workspace + "/" + relative + "/.git", "leads nowhere");
    }
    auto proven = prove_plain(*git, {{}, true, true});
    return proven ? Result<Git>{Git(workspace + "/" + relative, workspace + "/" + place)}
                  : Result<Git>{proven.error()};
}

Result<void> check_git_folder(const Git& git) {
    auto folder = git_folder_of(git);
    // It borrows and is cut off as the repository was when it was made.
    return folder ? prove_plain(*folder, {{}, true, true}) : Result<void>{folder.error()};
}

Result<void> check_blocking_files(const std::string& path) {
    auto tree = open_tree(path);
    return tree ? refuse_blocking_files(*tree, 0) : Result<void>{tree.error()};
}

Result<void> check_files(const Git& workspace) {
    auto tree = open_tree(workspace.directory());
    std::vector<Suspect> suspects;
    auto looked = tree ? look_at_files(*tree, *tree, "", 0, suspects) : Result<void>{tree.error()};
    if (!looked) {
        return looked;
    }
    for (const Suspect& suspect : suspects) {
        TRY_ASSIGN(auto ignored, workspace.is_ignored(suspect.path));
        if (!ignored) {
            return suspect.error;
        }
    }
    return {};
}

Result<Folder> git_folder_of(const Git& workspace) {
    TRY_ASSIGN(auto git, Folder::open(workspace.folder()));
    return git ? Result<Folder>{std::move(*git)}
               : Result<Folder>{Error{workspace.folder() + ": is not there"}};
}

}  // namespace ralph::daemon
