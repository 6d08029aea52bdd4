#include "daemon/git/git.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>

#include "core/queue/task.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [text](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; });
}

// The command among the arguments, for messages: what follows the "-c name=value" pairs.
std::string command_of(const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "-c") {
            ++i;
        } else if (arguments[i].front() != '-') {
            return arguments[i];
        }
    }
    return {};
}

std::optional<std::string> as_optional(std::string text) {
    return text.empty() ? std::nullopt : std::optional(std::move(text));
}

}  // namespace

std::vector<std::string> environment_without_git() {
    std::vector<std::string> kept;
    for (std::string& line : our_environment()) {
        // How to reach a remote, who commits and what is configured stays; what would change how git speaks
        // does not.
        const bool is_needed =
            starts_with_any(line, {"GIT_SSH", "GIT_ASKPASS=", "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_",
                                   "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_", "GIT_ALLOW_PROTOCOL="});
        if (is_needed || !starts_with_any(line, {"GIT_"})) {
            kept.push_back(std::move(line));
        }
    }
    return kept;
}

bool is_local_path(std::string_view address) {
    const std::size_t colon = address.find(':');
    return colon == std::string_view::npos || address.find('/') < colon;
}

bool is_object_name(std::string_view text) {
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string origin_ref(std::string_view branch) {
    return fmt::format("refs/remotes/origin/{}", branch);
}

std::vector<std::string> split_at_nul(std::string_view text) {
    std::vector<std::string> entries;
    while (!text.empty()) {
        const std::size_t end = text.find('\0');
        entries.emplace_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return entries;
}

Git Git::with_environment(std::string name, std::string_view value) const {
    Git copy = *this;
    copy.added_.push_back(std::move(name) + "=" + std::string(value));
    return copy;
}

Git Git::within(core::Milliseconds time) const {
    Git copy = *this;
    copy.timeout_ = time;
    return copy;
}

Git Git::holding(const FileLock& lock) const {
    Git copy = *this;
    copy.inherited_ = lock.descriptor();
    return copy;
}

Git Git::for_hooks() const {
    Git copy = *this;
    copy.folder_.clear();
    return copy;
}

Git Git::between_our_folders() const {
    Git copy = *this;
    copy.between_our_folders_ = true;
    return copy;
}

Result<ProgramEnd> Git::run(const std::vector<std::string>& arguments,
                            std::optional<core::Milliseconds> timeout) const {
    ProgramRequest request;
    request.program = "git";
    request.missing = core::Fault::passing;  // it is being upgraded: a start has seen that it was there
    request.arguments = {"-c", "core.fsmonitor=false",   "-c", "gc.auto=0",
                         "-c", "maintenance.auto=false", "-C", directory_};
    if (between_our_folders_) {
        request.arguments.insert(request.arguments.end(), {"-c", "protocol.file.allow=always"});
    }
    if (!folder_.empty()) {
        request.arguments.insert(request.arguments.end(),
                                 {"-c", "submodule.recurse=false", "-c", "diff.ignoreSubmodules=dirty", "-c",
                                  "core.hooksPath=/dev/null", "-c", "log.follow=false", "-c",
                                  "diff.interHunkContext=0", "-c", "status.showUntrackedFiles=normal"});
        request.environment = {"GIT_DIR=" + folder_, "GIT_WORK_TREE=" + directory_,
                               "GIT_COMMON_DIR=" + folder_, "GIT_NO_REPLACE_OBJECTS=1"};
    }
    request.arguments.insert(request.arguments.end(), arguments.begin(), arguments.end());
    request.directory = "/";
    auto inherited = environment_without_git();
    if (between_our_folders_) {  // where that is set, no setting of a protocol counts
        std::erase_if(inherited,
                      [](const std::string& line) { return starts_with_any(line, {"GIT_ALLOW_PROTOCOL="}); });
    }
    request.environment.insert(request.environment.end(), inherited.begin(), inherited.end());
    const std::string parent = std::filesystem::path(directory_).parent_path().string();
    request.environment.insert(request.environment.end(),
                               {"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_CEILING_DIRECTORIES=" + parent});
    request.environment.insert(request.environment.end(), added_.begin(), added_.end());
    request.timeout = timeout ? timeout : timeout_;
    request.inherited = inherited_;
    auto end = run_program(request);
    if (!end) {
        return end.error();
    }
    if (end->signal != 0 || end->timed_out) {
        // Who hangs may hang again; who was killed, most likely not.
        return Error{{fmt::format("git {} in {} {}", command_of(arguments), directory_, end->describe()),
                      {},
                      end->timed_out ? core::Fault::permanent : core::Fault::passing}};
    }
    return end;
}

Error Git::failure(const std::vector<std::string>& arguments, const ProgramEnd& end) const {
    return Error{{fmt::format("git {} in {}: {}", command_of(arguments), directory_,
                              end.errors.empty() ? end.describe() : last_lines(end.errors)),
                  {},
                  fault_in(end.errors)}};
}

Result<void> Git::expect(const std::vector<std::string>& arguments,
                         std::optional<core::Milliseconds> timeout) const {
    TRY_ASSIGN(auto end, run(arguments, timeout));
    if (end.status != 0) {
        return failure(arguments, end);
    }
    return {};
}

Result<std::string> Git::output(const std::vector<std::string>& arguments) const {
    TRY_ASSIGN(auto end, run(arguments));
    if (end.status != 0) {
        return failure(arguments, end);
    }
    return {boost::system::in_place_value, std::move(end.output)};
}

Result<std::string> Git::line(const std::vector<std::string>& arguments) const {
    auto text = output(arguments);
    if (text && !text->empty() && text->back() == '\n') {
        text->pop_back();
    }
    return text;
}

Result<std::optional<std::string>> Git::resolve(const std::string& expression) const {
    TRY_ASSIGN(auto end, run({"rev-parse", "--verify", "--quiet", "--end-of-options", expression}));
    if (end.status > 1) {
        return failure({"rev-parse"}, end);
    }
    return as_optional(end.status == 0 ? std::string(core::trimmed(end.output)) : std::string{});
}

Result<std::string> Git::head() const {
    return line({"rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"});
}

Result<std::vector<std::string>> Git::refs(const std::vector<std::string>& prefixes) const {
    std::vector<std::string> arguments{"for-each-ref", "--format=%(refname)"};  // which holds no line end
    arguments.insert(arguments.end(), prefixes.begin(), prefixes.end());
    TRY_ASSIGN(auto text, output(arguments));
    std::replace(text.begin(), text.end(), '\n', '\0');
    return split_at_nul(text);
}

Result<bool> Git::ref_exists(const std::string& full_name) const {
    TRY_ASSIGN(auto end, run({"show-ref", "--verify", "--quiet", full_name}));
    return end.status == 0;
}

Result<bool> Git::is_ancestor(const std::string& ancestor, const std::string& of) const {
    TRY_ASSIGN(auto end, run({"merge-base", "--is-ancestor", "--end-of-options", ancestor, of}));
    if (end.status > 1) {
        return failure({"merge-base"}, end);
    }
    return end.status == 0;
}

Result<std::optional<std::string>> Git::current_branch() const {
    TRY_ASSIGN(auto end, run({"symbolic-ref", "--quiet", "HEAD"}));
    if (end.status > 1) {
        return failure({"symbolic-ref"}, end);
    }
    std::string name(core::trimmed(end.output));
    constexpr std::string_view branches = "refs/heads/";
    if (name.rfind(branches, 0) == 0) {
        name.erase(0, branches.size());
    }
    return as_optional(std::move(name));
}

Result<std::optional<std::string>> Git::origin_url(Direction direction) const {
    std::vector<std::string> arguments{"remote", "get-url", "origin"};
    if (direction == Direction::push) {
        arguments.insert(arguments.begin() + 2, "--push");
    }
    TRY_ASSIGN(auto end, run(arguments));
    std::string url(end.status == 0 ? core::trimmed(end.output) : std::string_view{});
    if (!url.empty() && url.front() != '/' && is_local_path(url)) {
        url = (std::filesystem::path(directory_) / url).lexically_normal().string();
    }
    return as_optional(std::move(url));
}

Result<void> Git::fetch_origin() const {
    // A commit graph's lock, left by a kill, would be in the way of all that come after.
    return expect({"-c", "fetch.writeCommitGraph=false", "fetch", "--quiet", "--prune",
                   "--no-recurse-submodules", "origin"},
                  fetch_timeout);
}

Result<std::optional<std::string>> Git::config_value(const std::string& key) const {
    TRY_ASSIGN(auto end, run({"config", "--get", key}));
    if (end.status > 1) {
        return failure({"config"}, end);
    }
    return as_optional(end.status == 0 ? std::string(core::trimmed(end.output)) : std::string{});
}

Result<void> Git::set_config(const std::string& key, const std::string& value) const {
    return expect({"config", "--replace-all", key, value});
}

Result<std::vector<std::string>> Git::dirty_paths(Untracked untracked) const {
    // Without optional locks, so that reading never gets in the way of somebody who writes.
    TRY_ASSIGN(auto text,
               output({"--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames",
                       untracked == Untracked::yes ? "--untracked-files=all" : "--untracked-files=no"}));
    std::vector<std::string> paths;
    for (const std::string& entry : split_at_nul(text)) {
        paths.push_back(entry.size() > 3 ? entry.substr(3) : entry);
    }
    return paths;
}

Result<std::vector<std::string>> Git::unmerged_paths() const {
    TRY_ASSIGN(auto text, output({"ls-files", "--unmerged", "-z"}));
    std::vector<std::string> paths;
    for (const std::string& entry : split_at_nul(text)) {
        paths.push_back(entry.substr(entry.find('\t') + 1));
    }
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

Result<bool> Git::is_ignored(const std::string& path) const {
    TRY_ASSIGN(auto end, run({"check-ignore", "--quiet", "--", path}));
    if (end.status > 1) {
        return failure({"check-ignore"}, end);
    }
    return end.status == 0;
}

Result<std::optional<std::string>> Git::file_at(const std::string& commit, const std::string& path) const {
    TRY_ASSIGN(auto entry, output({"ls-tree", "-z", "--full-tree", commit, "--", path}));
    if (entry.empty()) {
        return std::optional<std::string>{};
    }
    // "100644 blob <object>\t<path>"
    if (entry.rfind("100", 0) != 0) {
        return Error{fmt::format("{} in {} is not a regular file", path, commit)};
    }
    const std::size_t begin = entry.find(' ', entry.find(' ') + 1) + 1;
    TRY_ASSIGN(auto content, output({"cat-file", "blob", entry.substr(begin, entry.find('\t') - begin)}));
    return std::optional(std::move(content));
}

}  // namespace ralph::daemon
