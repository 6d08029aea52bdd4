#include "daemon/workspace/workspace_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>
#include <vector>

#include "daemon/git/plain_git.h"
#include "daemon/store/repository_folder.h"
#include "daemon/workspace/workspace.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::Result;

// A relative path without a colon, so that git takes it for one and says it when it finds nothing there.
constexpr std::string_view no_push =
    "no-push/ralph pushes for you once the worker has exited with 0; worker.may_push opens this";

constexpr std::size_t longest_key_file = 1U << 20U;

struct Value {
    std::string scope;                // "local", "global", ...
    std::string key;                  // section and name in lower case: "remote.origin.url"
    std::optional<std::string> text;  // nothing: a key without "=", which means true

    bool operator<(const Value& other) const { return std::tie(key, text) < std::tie(other.key, other.text); }
};

Result<std::vector<Value>> list_settings(const Git& git) {
    TRY_ASSIGN(auto text, git.output({"config", "--list", "-z", "--includes", "--show-scope"}));
    std::vector<Value> values;
    const auto fields = split_at_nul(text);  // scope, "key\nvalue", and so on
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const std::size_t end = fields[i + 1].find('\n');
        values.push_back(
            {fields[i], fields[i + 1].substr(0, end),
             end == std::string::npos ? std::nullopt : std::optional(fields[i + 1].substr(end + 1))});
    }
    return values;
}

bool begins(std::string_view text, std::string_view begin) {
    return text.substr(0, begin.size()) == begin;
}

// What would lead elsewhere, what is about the repository's own files, and what is ours to say.
bool is_left_out(std::string_view key) {
    constexpr std::array<std::string_view, 16> prefixes{"core.worktree",
                                                        "core.bare",
                                                        "core.repositoryformatversion",
                                                        "core.splitindex",
                                                        "core.fsmonitor",
                                                        "core.untrackedcache",
                                                        "core.sparsecheckout",
                                                        "index.sparse",
                                                        "extensions.",
                                                        "branch.",
                                                        "submodule.",
                                                        "include.",
                                                        "includeif.",
                                                        "gc.",
                                                        "maintenance.",
                                                        "receive."};
    if (std::any_of(prefixes.begin(), prefixes.end(),
                    [key](std::string_view each) { return begins(key, each); })) {
        return true;
    }
    if (begins(key, "uploadpack.")) {
        return true;
    }
    constexpr std::string_view origin = "remote.origin.";
    if (!begins(key, "remote.")) {
        return false;
    }
    const std::string_view name = begins(key, origin) ? key.substr(origin.size()) : std::string_view{};
    return name.empty() || name == "url" || name == "pushurl" || name == "fetch" || name == "mirror";
}

// The repository's own, and what the user's files say for it alone: at the path of a workspace the condition
// of an include may not hold.
Result<std::vector<Value>> settings_to_carry(const std::vector<Value>& all) {
    // A folder without a repository; git looks into none around it.
    TRY_ASSIGN(auto everywhere, list_settings(Git("/").with_environment("GIT_DIR", "/dev/null")));
    std::multiset<Value> known(everywhere.begin(), everywhere.end());
    std::vector<Value> carried;
    for (const Value& value : all) {
        const auto found = known.find(value);
        const bool is_own = value.scope == "local" || value.scope == "worktree";
        if (!is_own && found != known.end()) {
            known.erase(found);
        } else if (!is_left_out(value.key) && value.scope != "command") {
            carried.push_back(value);
        }
    }
    return carried;
}

std::vector<std::string> all_of(const std::vector<Value>& values, std::string_view key) {
    std::vector<std::string> found;
    for (const Value& value : values) {
        if (value.key == key && value.text && !value.text->empty()) {
            found.push_back(*value.text);
        }
    }
    return found;
}

std::string in_quotes(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        switch (c) {
            case '"':
            case '\\':
                result += '\\';
                result += c;
                break;
            case '\n':
                result += "\\n";
                break;
            case '\t':
                result += "\\t";
                break;
            case '\b':
                result += "\\b";
                break;
            default:
                result += c;
        }
    }
    return result + "\"";
}

// "[remote \"origin\"]\n\turl = \"...\"\n"
std::string entry(std::string_view key, const std::optional<std::string>& value) {
    const std::size_t first = key.find('.');
    const std::size_t last = key.rfind('.');
    std::string text = fmt::format("[{}", key.substr(0, first));
    if (first != last) {
        std::string name = " \"";
        for (const char c : key.substr(first + 1, last - first - 1)) {
            name += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
        }
        text += name + "\"";
    }
    text += fmt::format("]\n\t{}", key.substr(last + 1));
    return text + (value ? " = " + in_quotes(*value) : std::string{}) + "\n";
}

// Where the remote is, as it is written in the settings, and as git understands that.
struct Addresses {
    std::vector<std::string> fetch;
    std::vector<std::string> push;        // empty: those of fetch
    std::vector<std::string> understood;  // of both
};

// A relative local path is one below the repository. Not if a rewriting setting makes something else of it.
std::string made_absolute(const std::string& address, const std::vector<std::string>& understood,
                          const std::string& root) {
    const bool is_as_written = std::find(understood.begin(), understood.end(), address) != understood.end();
    return is_as_written && is_local_path(address) && address.front() != '/'
               ? (fs::path(root) / address).lexically_normal().string()
               : address;
}

Result<Addresses> addresses_of(const Git& repository, const std::vector<Value>& all) {
    Addresses found{all_of(all, "remote.origin.url"), all_of(all, "remote.origin.pushurl"), {}};
    if (found.fetch.empty() && found.push.empty()) {
        return Error{fmt::format("{} has no remote named origin", repository.directory()),
                     "add it with `git remote add origin URL`"};
    }
    if (found.fetch.empty()) {
        found.fetch = found.push;
    }
    for (const bool push : {false, true}) {
        auto end =
            repository.run(push ? std::vector<std::string>{"remote", "get-url", "--all", "--push", "origin"}
                                : std::vector<std::string>{"remote", "get-url", "--all", "origin"});
        if (!end) {
            return end.error();
        }
        std::replace(end->output.begin(), end->output.end(), '\n', '\0');
        const auto lines = split_at_nul(end->status == 0 ? end->output : std::string{});
        found.understood.insert(found.understood.end(), lines.begin(), lines.end());
    }
    for (std::vector<std::string>* addresses : {&found.fetch, &found.push}) {
        for (std::string& address : *addresses) {
            address = made_absolute(address, found.understood, repository.directory());
        }
    }
    return found;
}

// The repository's own, as far as they bring origin's branches to their usual place, and the target.
std::vector<std::string> refspecs(const std::vector<Value>& all, const std::string& target_branch) {
    const std::string target = fmt::format("+refs/heads/{}:{}", target_branch, origin_ref(target_branch));
    std::vector<std::string> specs;
    bool has_target = target_branch.empty();
    for (const std::string& spec : all_of(all, "remote.origin.fetch")) {
        const bool is_usual = spec.find(":refs/remotes/origin/") != std::string::npos;
        if (!is_usual && spec.front() != '^') {
            continue;
        }
        specs.push_back(spec);
        const std::string_view plain = std::string_view(spec).substr(spec.front() == '+' ? 1 : 0);
        has_target = has_target || plain == "refs/heads/*:refs/remotes/origin/*" ||
                     plain == std::string_view(target).substr(1);
    }
    const bool has_any =
        std::any_of(specs.begin(), specs.end(), [](const std::string& spec) { return spec.front() != '^'; });
    if (!has_target) {
        specs.insert(specs.begin(), target);
    } else if (!has_any) {
        specs.insert(specs.begin(), "+refs/heads/*:refs/remotes/origin/*");
    }
    return specs;
}

std::string remote_text(const Settings& settings, const Addresses& addresses, const std::vector<Value>& all,
                        const WorkspaceUse& use) {
    std::string text;
    for (const std::string& address : addresses.fetch) {
        text += entry("remote.origin.url", address);
    }
    for (const std::string& spec : refspecs(all, use.target_branch)) {
        text += entry("remote.origin.fetch", spec);
    }
    if (use.purpose == Purpose::landing || settings.supervisor.worker.may_push) {
        for (const std::string& address : addresses.push) {
            text += entry("remote.origin.pushurl", address);
        }
        return text;
    }
    text += entry("remote.origin.pushurl", std::string(no_push));
    std::set<std::string> all_addresses;
    for (const auto* some : {&addresses.fetch, &addresses.push, &addresses.understood}) {
        for (const std::string& address : *some) {
            all_addresses.insert(address);
            if (address.front() == '/') {
                all_addresses.insert("file://" + address);
            } else if (begins(address, "file:///")) {
                all_addresses.insert(address.substr(std::string_view("file://").size()));
            }
        }
    }
    for (const std::string& address : all_addresses) {
        text += entry(fmt::format("url.{}.pushinsteadof", no_push), address);
    }
    return text;
}

// How the repository's objects are named and where missing ones come from.
Result<std::string> format_text(const Git& repository, const std::vector<Value>& all) {
    TRY_ASSIGN(auto format, repository.line({"rev-parse", "--show-object-format"}));
    const auto promisor = all_of(all, "extensions.partialclone");
    std::string extensions;
    if (format != "sha1") {
        extensions += entry("extensions.objectformat", format);
    }
    if (!promisor.empty() && promisor.back() == "origin") {
        extensions += entry("extensions.partialclone", "origin");
    }
    return entry("core.repositoryformatversion", extensions.empty() ? "0" : "1") +
           entry("core.bare", "false") + extensions;
}

// The repository's file replaces that of the workspace, or takes it away.
Result<void> carry_file(const std::string& from, const Folder& to, const std::string& name, unsigned mode) {
    TRY_ASSIGN(auto wanted, read_file(from, longest_key_file));
    TRY_ASSIGN(auto there, to.kind_of(name));
    if (!wanted) {
        return to.remove(name);
    }
    if (there && *there == Folder::Kind::regular) {
        auto present = to.read(name, longest_key_file);
        if (present && *present && **present == *wanted) {
            return {};
        }
    }
    return to.write(name, *wanted, mode);
}

// A folder of small files, such as keys, private to us.
Result<void> carry_folder(const std::string& from, const Folder& git, const std::string& name) {
    std::error_code problem;
    if (!fs::is_directory(from, problem)) {
        return {};
    }
    TRY_ASSIGN(auto to, git.make_below(name));
    TRY_ASSIGN(auto names, list_directory(from));
    for (const std::string& each : names) {
        const std::string path = from + "/" + each;
        auto carried = is_directory(path)                   ? carry_folder(path, to, each)
                       : fs::is_regular_file(path, problem) ? carry_file(path, to, each, 0600)
                                                            : Result<void>{};
        if (!carried) {
            return carried;
        }
    }
    return {};
}

}  // namespace

std::string setting_text(std::string_view key, const std::string& value) {
    return entry(key, value);
}

Result<std::string> workspace_settings(const Settings& settings, const WorkspaceUse& use) {
    const Git repository(settings.paths.root);
    TRY_ASSIGN(auto all, list_settings(repository));
    auto carried = settings_to_carry(all);
    auto addresses = addresses_of(repository, all);
    auto format = format_text(repository, all);
    if (!carried || !addresses || !format) {
        return !carried ? carried.error() : addresses ? format.error() : addresses.error();
    }
    std::string text = "# Written by ralph before every use: what is changed here does not last.\n" + *format;
    for (const Value& value : *carried) {
        text += entry(value.key, value.text);
    }
    for (const auto& [key, fallback] :
         {std::pair("user.name", "ralph"), std::pair("user.email", "ralph@localhost")}) {
        if (all_of(all, key).empty()) {
            text += entry(key, fallback);
        }
    }
    return text + remote_text(settings, *addresses, all, use);
}

Result<void> configure_workspace(const Settings& settings, const Git& workspace, const WorkspaceUse& use) {
    auto text = workspace_settings(settings, use);
    auto git = text ? git_folder_of(workspace) : Result<Folder>{text.error()};
    auto info = git ? git->make_below("info") : Result<Folder>{git.error()};
    if (!info) {
        return info.error();
    }
    auto reftable = git->kind_of("reftable");
    if (!reftable) {
        return reftable.error();
    }
    if (*reftable) {  // a later version line counts
        *text += entry("core.repositoryformatversion", "1") + entry("extensions.refstorage", "reftable");
    }
    const std::string common = common_git_folder(settings.paths.root);
    // config.worktree counts only where the config says so, and is not ours.
    for (const char* name : {"config.worktree", "config.lock"}) {
        TRY(git->remove(name));
    }
    auto done = git->write("config", *text, 0644);
    done = done ? carry_file(common + "/info/attributes", *info, "attributes", 0644) : done;
    done = done ? carry_folder(common + "/git-crypt", *git, "git-crypt") : done;
    return done ? carry_exclude_lines(workspace, common + "/info/exclude") : done;
}

}  // namespace ralph::daemon
