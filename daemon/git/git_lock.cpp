#include "daemon/git/git_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view mark_beginning = "ralph-lock.";
constexpr unsigned shared_mode = 0644;

// A colon is in no name of a ref.
std::string mark_name(std::string name) {
    std::replace(name.begin(), name.end(), '/', ':');
    return std::string(mark_beginning) + name;
}

std::string lock_of_mark(const std::string& folder, const std::string& mark) {
    std::string name = mark.substr(mark_beginning.size());
    std::replace(name.begin(), name.end(), ':', '/');
    return folder + "/" + name + ".lock";
}

bool is_same_file(const std::string& lock, const std::string& mark) {
    std::error_code missing;
    return fs::equivalent(lock, mark, missing) && !missing;
}

// The mark goes last: a lock without it would be anybody's.
Result<void> let_go(const std::string& lock, const std::string& mark) {
    if (is_same_file(lock, mark)) {
        TRY(remove_file(lock));
    }
    return remove_file(mark);
}

Result<std::vector<std::string>> marks_in(const std::string& folder) {
    auto names = list_directory(folder);
    if (names) {
        names->erase(
            std::remove_if(names->begin(), names->end(),
                           [](const std::string& name) { return name.rfind(mark_beginning, 0) != 0; }),
            names->end());
    }
    return names;
}

// For `git reflog`; nothing depends on it. Only where git keeps one.
void append_to_reflog(const Git& git, const std::string& path, const std::string& from, const std::string& to,
                      const std::string& reason) {
    if (!path_exists(path)) {
        return;
    }
    if (const auto who = git.line({"var", "GIT_COMMITTER_IDENT"})) {
        const std::string before = from.empty() ? std::string(to.size(), '0') : from;
        static_cast<void>(append_file(path, fmt::format("{} {} {}\t{}\n", before, to, *who, reason)));
    }
}

}  // namespace

Result<GitFolders> find_git_folders(const Git& git) {
    auto own = git.line({"rev-parse", "--absolute-git-dir"});
    auto common = git.line({"rev-parse", "--path-format=absolute", "--git-common-dir"});
    if (!own || !common) {
        return own ? common.error() : own.error();
    }
    return GitFolders{std::move(*own), std::move(*common)};
}

bool has_stale_locks(const std::string& folder) {
    const auto marks = marks_in(folder);
    return marks && !marks->empty();
}

Result<void> clear_stale_locks(const std::string& folder) {
    TRY_ASSIGN(auto marks, marks_in(folder));
    for (const std::string& mark : marks) {
        TRY(let_go(lock_of_mark(folder, mark), folder + "/" + mark));
    }
    return {};
}

Result<std::optional<GitLock>> GitLock::take(const std::string& folder, const std::string& name,
                                             std::string_view content) {
    GitLock lock(folder + "/" + name, folder + "/" + mark_name(name));
    // Durable before the lock is: after a power loss, too, the lock is known as ours.
    TRY(write_file_durably(lock.mark_, content, shared_mode));
    std::error_code problem;
    fs::create_hard_link(lock.mark_, lock.target_ + ".lock", problem);
    if (problem == std::errc::file_exists) {
        return std::optional<GitLock>{};
    }
    if (problem) {
        return Error{fmt::format("{}.lock: cannot be made: {}", lock.target_, problem.message())};
    }
    return std::optional<GitLock>{std::move(lock)};
}

GitLock::GitLock(GitLock&& other) noexcept
    : target_(std::exchange(other.target_, {})), mark_(std::exchange(other.mark_, {})) {}

GitLock::~GitLock() {
    if (!mark_.empty()) {
        static_cast<void>(let_go(target_ + ".lock", mark_));
    }
}

Result<void> GitLock::commit() {
    return rename_durably(target_ + ".lock", target_);
}

Result<void> move_ref(const Git& git, const GitFolders& folders, const std::string& ref,
                      const std::string& from, const std::string& to, const std::string& reason) {
    if (!is_directory(folders.common + "/refs/heads")) {  // refs that are no files have no such locks
        return git.expect({"update-ref", "-m", reason, ref, to});
    }
    const std::string path = folders.common + "/" + ref;
    TRY(make_directories(fs::path(path).parent_path().string()));
    TRY_ASSIGN(auto lock, GitLock::take(folders.common, ref, to + "\n"));
    if (!lock) {
        return Error{fmt::format("another git holds {}.lock", path), "remove it if no git is running there"};
    }
    TRY_ASSIGN(auto now, git.resolve(ref));
    const std::string before = now.value_or("");
    if (before == to) {
        return {};
    }
    if (!from.empty() && before != from) {
        return Error{fmt::format("{} was moved to {} by somebody else", ref, before)};
    }
    append_to_reflog(git, folders.common + "/logs/" + ref, before, to, reason);
    auto head = git.line({"symbolic-ref", "--quiet", "HEAD"});
    if (head && *head == ref) {
        append_to_reflog(git, folders.own + "/logs/HEAD", before, to, reason);
    }
    return lock->commit();
}

}  // namespace ralph::daemon
