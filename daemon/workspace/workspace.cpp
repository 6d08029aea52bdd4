#include "daemon/workspace/workspace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <set>

#include "daemon/git/plain_git.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

constexpr int deepest = 128;  // of folders within folders

constexpr std::string_view block_begin = "# ralph: begin (rewritten by every prepare step)\n";
constexpr std::string_view block_end = "# ralph: end\n";
constexpr std::array run_time_paths{"cache/", "lock/", "logs/", "workspaces/", "trust.jsonc"};

// Where our block begins and ends in the text of .git/info/exclude; both at the end if it is not there.
std::pair<std::size_t, std::size_t> block_in(std::string_view text) {
    const std::size_t begin = std::min(text.find(block_begin), text.size());
    const std::size_t end = text.find(block_end, begin);
    return {begin, end == std::string_view::npos ? text.size() : end + block_end.size()};
}

// The paths of the block, but for those that are always there.
std::vector<std::string> listed_paths(std::string_view block) {
    std::vector<std::string> paths;
    std::size_t fixed = run_time_paths.size();
    block.remove_prefix(std::min(block.size(), block_begin.size()));
    for (std::size_t end = block.find('\n'); end != std::string_view::npos; end = block.find('\n')) {
        const std::string_view line = block.substr(0, end);
        block.remove_prefix(end + 1);
        if (fixed > 0) {
            --fixed;
        } else if (!line.empty() && line.front() == '/') {
            std::string path;
            for (std::size_t i = 1; i < line.size(); ++i) {
                i += line[i] == '\\' && i + 1 < line.size() ? 1 : 0;
                path += line[i];
            }
            paths.push_back(std::move(path));
        }
    }
    return paths;
}

// Locks of git that nobody holds, as nobody runs there.
Result<void> remove_locks(const Folder& folder, bool all_levels) {
    TRY_ASSIGN(auto entries, folder.entries());
    for (const Folder::Entry& entry : entries) {
        if (entry.kind == Folder::Kind::regular && entry.name.ends_with(".lock")) {
            TRY(folder.remove(entry.name));
        } else if (entry.kind == Folder::Kind::directory && all_levels) {
            auto below = folder.below(entry.name);
            auto removed = !below   ? Result<void>{below.error()}
                           : *below ? remove_locks(**below, true)
                                    : Result<void>{};
            if (!removed) {
                return removed;
            }
        }
    }
    return {};
}

Result<Folder> open_workspace_folder(const Git& workspace) {
    TRY_ASSIGN(auto folder, Folder::open(workspace.directory()));
    return folder ? Result<Folder>{std::move(*folder)}
                  : Result<Folder>{Error{workspace.directory() + ": is not there"}};
}

Result<std::string> exclude_text(const Git& workspace) {
    auto git = git_folder_of(workspace);
    auto info = git ? git->below("info") : Result<std::optional<Folder>>{git.error()};
    auto text = info && *info ? (*info)->read("exclude") : Result<std::optional<std::string>>{std::nullopt};
    if (!info || !text) {
        return info ? text.error() : info.error();
    }
    return {boost::system::in_place_value, text->value_or(std::string{})};
}

Result<void> write_exclude_text(const Git& workspace, const std::string& text) {
    auto git = git_folder_of(workspace);
    auto info = git ? git->make_below("info") : Result<Folder>{git.error()};
    return info ? info->write("exclude", text) : Result<void>{info.error()};
}

// The pattern that matches exactly this path.
std::string exclude_pattern(const std::string& path) {
    std::string pattern = "/";
    for (const char c : path) {
        if (std::string_view("*?[]\\ !#").find(c) != std::string_view::npos) {
            pattern += '\\';
        }
        pattern += c;
    }
    return pattern;
}

void open_folders(const Folder& folder, int depth) {
    static_cast<void>(folder.open_to_owner());
    const auto entries = folder.entries();
    for (const Folder::Entry& entry : entries ? *entries : std::vector<Folder::Entry>{}) {
        const auto below = entry.kind == Folder::Kind::directory && entry.name != ".git" && depth < deepest
                               ? folder.below(entry.name)
                               : Result<std::optional<Folder>>{std::nullopt};
        if (below && *below) {
            open_folders(**below, depth + 1);
        }
    }
}

}  // namespace

// A plain path is cloned with hard links, and with copies where those cannot be made (--local would fail
// there). If that fails, somebody may be packing the repository at this moment; --no-local asks git for the
// objects instead. Only one branch, since the repository's own branches are not origin's and go away again.
Result<void> clone_repository(const Settings& settings, const std::string& name) {
    const std::string& root = settings.paths.root;
    const std::string path = settings.workspace_root + "/" + name;
    const std::vector<std::string> arguments{
        "clone",    "--quiet", "--no-checkout",          "--single-branch",
        "--origin", "origin",  "--no-recurse-submodules"};
    Result<void> cloned;
    for (const bool local : {true, false}) {
        TRY(remove_tree(settings.workspace_root, name));
        std::vector<std::string> each = arguments;
        if (!local) {
            each.emplace_back("--no-local");
        }
        each.insert(each.end(), {root, path});
        if ((cloned = Git(root).between_our_folders().expect(each))) {
            break;
        }
    }
    TRY_ASSIGN(auto workspace, cloned ? open_plain(settings, path) : Result<Git>{cloned.error()});
    TRY_ASSIGN(auto refs, workspace.refs({"refs/heads", "refs/remotes"}));
    for (const std::string& ref : refs) {
        TRY(workspace.expect({"update-ref", "--no-deref", "-d", ref}));
    }
    return {};
}

Result<bool> is_usable_workspace(const Git& workspace) {
    // A .git file would point to a repository elsewhere, which is not ours to change.
    if (!is_directory(workspace.directory()) || !is_directory(workspace.folder())) {
        return false;
    }
    const auto tree = workspace.resolve("HEAD^{tree}");
    if (tree && !*tree) {
        return false;
    }
    const auto dirty = tree ? workspace.dirty_paths(Git::Untracked::no) : tree.error();
    if (!dirty && dirty.error().is_passing()) {
        return dirty.error();
    }
    return dirty.has_value();
}

// What cannot be removed now is told by the git that meets it.
void remove_stale_files(const Settings& settings, const Git& workspace) {
    const auto folder = open_workspace_folder(workspace);
    const auto git = git_folder_of(workspace);
    if (!folder || !git) {
        return;
    }
    for (const std::string* const file : {&settings.queue_relative, &settings.done_relative}) {
        // A link or a file in the way is the worker's, and nothing of ours is behind it.
        if (const auto place = folder->place_of(*file + std::string(partial_suffix)); place && *place) {
            static_cast<void>((*place)->folder.remove((*place)->name));
        }
    }
    static_cast<void>(remove_locks(*git, false));
    if (const auto refs = git->below("refs"); refs && *refs) {
        static_cast<void>(remove_locks(**refs, true));
    }
}

Result<std::string> quarantine_workspace(const Settings& settings, std::string_view task_id) {
    const std::string prefix = fmt::format(".{}.broken-", task_id);
    TRY_ASSIGN(auto names, list_directory(settings.workspace_root));
    std::uint32_t largest = 0;
    for (const std::string& name : names) {
        std::uint32_t number = 0;
        if (name.rfind(prefix, 0) == 0) {
            std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
        }
        largest = std::max(largest, number);
    }
    std::string aside = fmt::format("{}/{}{}", settings.workspace_root, prefix, largest + 1);
    TRY(rename_durably(settings.workspace(task_id), aside));
    return aside;
}

Result<void> look_at_all_files(const Git& workspace) {
    TRY_ASSIGN(auto text, workspace.output({"ls-files", "-v", "-z", "--cached"}));
    constexpr std::size_t at_once = 200;
    std::vector<std::string> hidden;  // "<tag> <path>": a small letter, or S
    for (const std::string& entry : split_at_nul(text)) {
        const bool is_hidden = entry.size() > 2 && (entry[0] == 'S' || (entry[0] >= 'a' && entry[0] <= 'z'));
        if (is_hidden && path_exists(workspace.directory() + "/" + entry.substr(2))) {
            hidden.push_back(entry.substr(2));
        }
    }
    for (std::size_t at = 0; at < hidden.size(); at += at_once) {
        const auto end = hidden.begin() + static_cast<std::ptrdiff_t>(std::min(at + at_once, hidden.size()));
        for (const char* const bit : {"--no-skip-worktree", "--no-assume-unchanged"}) {
            std::vector<std::string> arguments{"update-index", bit, "--"};
            arguments.insert(arguments.end(), hidden.begin() + static_cast<std::ptrdiff_t>(at), end);
            TRY(workspace.expect(arguments));
        }
    }
    return {};
}

void make_folders_writable(const Git& workspace) {
    if (const auto folder = open_workspace_folder(workspace)) {
        open_folders(*folder, 0);
    }
}

Result<void> clean_working_tree(const Git& workspace) {
    TRY(workspace.expect({"reset", "--quiet", "--hard"}));
    return workspace.expect({"clean", "-fdq"});
}

Result<void> remove_listed_copies(const Git& workspace) {
    auto content = exclude_text(workspace);
    auto known = workspace.output({"ls-files", "-z", "--cached"});
    auto folder = open_workspace_folder(workspace);
    if (!content || !known || !folder) {
        return !content ? content.error() : known ? folder.error() : known.error();
    }
    const auto [begin, end] = block_in(*content);
    const auto tracked = split_at_nul(*known);
    const std::set<std::string_view> kept(tracked.begin(), tracked.end());
    for (const std::string& path : listed_paths(std::string_view(*content).substr(begin, end - begin))) {
        const auto place = kept.count(path) != 0 ? Result<std::optional<Folder::Place>>{std::nullopt}
                                                 : folder->place_of(path);
        const auto kind = place && *place ? (*place)->folder.kind_of((*place)->name)
                                          : Result<std::optional<Folder::Kind>>{std::nullopt};
        if (!kind || !*kind || **kind == Folder::Kind::directory) {
            continue;  // a worker put something of its own in its place, or on the way
        }
        TRY((*place)->folder.remove((*place)->name));
    }
    return {};
}

Result<void> write_exclude_block(const Git& workspace, const std::vector<std::string>& paths,
                                 const std::vector<std::string>& patterns) {
    TRY_ASSIGN(auto text, exclude_text(workspace));
    const auto [begin, end] = block_in(text);
    text.erase(begin, end - begin);
    if (!text.empty() && text.back() != '\n') {
        text += '\n';
    }
    text += block_begin;
    for (const char* fixed : run_time_paths) {
        text += fmt::format("/{}/{}\n/{}/{}\n", ralph_folder, fixed, cueloop_folder, fixed);
    }
    for (const std::string& excluded : paths) {
        text += exclude_pattern(excluded) + "\n";
    }
    for (const std::string& pattern : patterns) {
        text += pattern + "\n";
    }
    text += block_end;
    return write_exclude_text(workspace, text);
}

Result<void> carry_exclude_lines(const Git& workspace, const std::string& from) {
    auto theirs = read_file(from);
    auto present = exclude_text(workspace);
    if (!theirs || !present) {
        return theirs ? present.error() : theirs.error();
    }
    std::string lines = theirs->value_or(std::string{});
    const auto [other_begin, other_end] = block_in(lines);  // in a repository that is itself a workspace
    lines.erase(other_begin, other_end - other_begin);
    if (!lines.empty() && lines.back() != '\n') {
        lines += '\n';
    }
    const auto [begin, end] = block_in(*present);
    const std::string text = lines + present->substr(begin, end - begin);
    return text == *present ? Result<void>{} : write_exclude_text(workspace, text);
}

}  // namespace ralph::daemon
