#include "daemon/steps/workspace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <set>
#include <system_error>

#include "daemon/process/file_descriptor.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view block_begin = "# ralph: begin (rewritten by every prepare step)\n";
constexpr std::string_view block_end = "# ralph: end\n";
constexpr std::array run_time_paths{"cache/", "lock/", "logs/", "workspaces/", "trust.jsonc"};

std::string git_folder(const Git& workspace) {
    return workspace.folder();
}

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

bool is_lock(const fs::directory_entry& entry) {
    return entry.path().extension() == ".lock" && entry.symlink_status().type() == fs::file_type::regular;
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

}  // namespace

// A plain path is cloned with hard links, and with copies where those cannot be made (--local would fail
// there). If that fails, somebody may be packing the repository at this moment; --no-local asks git for the
// objects instead. Only one branch, since the repository's own branches are not origin's and go away again.
Result<void> clone_repository(const Settings& settings, const std::string& name) {
    const std::string& root = settings.paths.root;
    const Git workspace(settings.workspace_root + "/" + name);
    const std::vector<std::string> arguments{
        "clone",    "--quiet", "--no-checkout",          "--single-branch",
        "--origin", "origin",  "--no-recurse-submodules"};
    Result<void> cloned;
    for (const bool local : {true, false}) {
        if (auto removed = remove_tree(settings.workspace_root, name); !removed) {
            return removed;
        }
        std::vector<std::string> each = arguments;
        if (!local) {
            each.emplace_back("--no-local");
        }
        each.insert(each.end(), {root, workspace.directory()});
        if ((cloned = Git(root).expect(each))) {
            break;
        }
    }
    auto refs = cloned ? workspace.refs({"refs/heads", "refs/remotes"})
                       : Result<std::vector<std::string>>{cloned.error()};
    if (!refs) {
        return refs.error();
    }
    for (const std::string& ref : *refs) {
        if (auto deleted = workspace.expect({"update-ref", "--no-deref", "-d", ref}); !deleted) {
            return deleted;
        }
    }
    return {};
}

Result<bool> is_usable_workspace(const Git& workspace) {
    // A .git file would point to a repository elsewhere, which is not ours to change.
    if (!is_directory(workspace.directory()) || !is_directory(git_folder(workspace))) {
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

Result<void> configure_workspace(const Settings& settings, const Git& workspace) {
    const Git repository(settings.paths.root);
    auto fetch = repository.origin_url(Git::Direction::fetch);
    auto push = repository.origin_url(Git::Direction::push);
    if (!fetch || !push) {
        return fetch ? push.error() : fetch.error();
    }
    if (!*fetch && !*push) {
        return Error{fmt::format("{} has no remote named origin", settings.paths.root),
                     "add it with `git remote add origin URL`"};
    }
    auto name = repository.config_value("user.name");
    auto email = repository.config_value("user.email");
    if (!name || !email) {
        return name ? email.error() : name.error();
    }
    const std::pair<const char*, std::string> values[] = {
        {"remote.origin.url", fetch->value_or(push->value_or(""))},
        {"remote.origin.pushurl", push->value_or(fetch->value_or(""))},
        {"remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"},
        {"user.name", name->value_or("ralph")},
        {"user.email", email->value_or("ralph@localhost")}};
    for (const auto& [key, value] : values) {
        if (auto set = workspace.set_config(key, value); !set) {
            return set;
        }
    }
    return {};
}

void remove_left_overs(const Settings& settings, const Git& workspace) {
    for (const std::string* const file : {&settings.queue_relative, &settings.done_relative}) {
        if (const auto path = path_inside(workspace.directory(), *file)) {
            static_cast<void>(remove_file(*path + std::string(beginning_suffix)));
        }
    }
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(git_folder(workspace), problem)) {
        if (is_lock(entry)) {
            fs::remove(entry.path(), problem);
        }
    }
    std::vector<fs::path> locks;
    for (auto entry = fs::recursive_directory_iterator(git_folder(workspace) + "/refs", problem);
         !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
        if (is_lock(*entry)) {
            locks.push_back(entry->path());
        }
    }
    for (const fs::path& lock : locks) {
        fs::remove(lock, problem);
    }
}

bool has_unfinished_operation(const Git& workspace) {
    const std::string folder = git_folder(workspace);
    constexpr std::array names{"/rebase-merge", "/rebase-apply",     "/sequencer",
                               "/MERGE_HEAD",   "/CHERRY_PICK_HEAD", "/REVERT_HEAD"};
    return std::any_of(names.begin(), names.end(),
                       [&folder](const char* name) { return path_exists(folder + name); });
}

Result<void> forget_unfinished_operation(const Git& workspace) {
    const std::string folder = git_folder(workspace);
    for (const char* name : {"rebase-merge", "rebase-apply", "sequencer"}) {
        if (auto removed = remove_tree(folder, name); !removed) {
            return removed;
        }
    }
    for (const char* name : {"/MERGE_HEAD", "/MERGE_MODE", "/MERGE_MSG", "/AUTO_MERGE", "/CHERRY_PICK_HEAD",
                             "/REVERT_HEAD", "/REBASE_HEAD", "/SQUASH_MSG"}) {
        if (auto removed = remove_file(folder + name); !removed) {
            return removed;
        }
    }
    return {};
}

Result<std::string> set_workspace_aside(const Settings& settings, std::string_view task_id) {
    const std::string prefix = fmt::format(".{}.broken-", task_id);
    auto names = list_directory(settings.workspace_root);
    if (!names) {
        return names.error();
    }
    std::uint32_t largest = 0;
    for (const std::string& name : *names) {
        std::uint32_t number = 0;
        if (name.rfind(prefix, 0) == 0) {
            std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
        }
        largest = std::max(largest, number);
    }
    std::string aside = fmt::format("{}/{}{}", settings.workspace_root, prefix, largest + 1);
    if (auto renamed = rename_durably(settings.workspace(task_id), aside); !renamed) {
        return renamed.error();
    }
    return aside;
}

Result<std::string> path_inside(const std::string& workspace, const std::string& relative) {
    for (std::size_t slash = relative.find('/'); slash != std::string::npos;
         slash = relative.find('/', slash + 1)) {
        const std::string folder = workspace + "/" + relative.substr(0, slash);
        if (path_exists(folder) && !is_directory(folder)) {
            return Error{fmt::format("{}: is not a folder, so {} cannot be written", folder, relative),
                         "remove it from the branch"};
        }
    }
    return workspace + "/" + relative;
}

Result<void> clean_working_tree(const Git& workspace) {
    if (auto reset = workspace.expect({"reset", "--quiet", "--hard"}); !reset) {
        return reset;
    }
    return workspace.expect({"clean", "-fdq"});
}

Result<void> remove_listed_copies(const Git& workspace) {
    auto text = read_file(git_folder(workspace) + "/info/exclude");
    auto known = workspace.output({"ls-files", "-z", "--cached"});
    if (!text || !known) {
        return text ? known.error() : text.error();
    }
    const std::string content = text->value_or(std::string{});
    const auto [begin, end] = block_in(content);
    const auto tracked = split_at_nul(*known);
    const std::set<std::string_view> kept(tracked.begin(), tracked.end());
    for (const std::string& path : listed_paths(std::string_view(content).substr(begin, end - begin))) {
        const auto inside = path_inside(workspace.directory(), path);
        if (kept.count(path) != 0 || !inside || is_directory(*inside)) {
            continue;  // a worker put something of its own in its place
        }
        if (auto removed = remove_file(*inside); !removed) {
            return removed;
        }
    }
    return {};
}

Result<void> write_exclude_block(const Git& workspace, const std::vector<std::string>& paths) {
    const std::string path = git_folder(workspace) + "/info/exclude";
    if (auto made = make_directories(git_folder(workspace) + "/info"); !made) {
        return made;
    }
    auto old = read_file(path);
    if (!old) {
        return old.error();
    }
    std::string text = old->value_or(std::string{});
    const auto [begin, end] = block_in(text);
    text.erase(begin, end - begin);
    if (!text.empty() && text.back() != '\n') {
        text += '\n';
    }
    text += block_begin;
    for (const char* fixed : run_time_paths) {
        text += fmt::format("/.ralph/{}\n", fixed);
    }
    for (const std::string& excluded : paths) {
        text += exclude_pattern(excluded) + "\n";
    }
    text += block_end;
    return write_file_durably(path, text);
}

Result<void> sync_workspace(const std::string& path) {
    const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return system_error("open", path, errno);
    }
    if (::syncfs(directory.get()) != 0) {
        return system_error("sync", path, errno);
    }
    return {};
}

}  // namespace ralph::daemon
