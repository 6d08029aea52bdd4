// git, driven as a program: plumbing commands and formats made for machines, an environment without GIT_*
// surprises, and errors in git's own words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "daemon/git/git_words.h"
#include "daemon/os/files.h"
#include "daemon/os/program.h"

namespace ralph::daemon {

// Our environment without the GIT_* variables, except those that say how to reach a remote, who commits, and
// where git's own configuration is.
[[nodiscard]] std::vector<std::string> environment_without_git();

// Whether git takes an address for a path of this machine: no colon before the first slash.
[[nodiscard]] bool is_local_path(std::string_view address);

// The name of an object: 40 or 64 hexadecimal digits. What is read from a file of somebody else's is nothing
// else, and so is never an option.
[[nodiscard]] bool is_object_name(std::string_view text);

// "refs/remotes/origin/BRANCH"
[[nodiscard]] std::string origin_ref(std::string_view branch);

// A list of NUL-terminated entries.
[[nodiscard]] std::vector<std::string> split_at_nul(std::string_view text);

class Git {
  public:
    static constexpr core::Milliseconds fetch_timeout = std::chrono::minutes{10};
    static constexpr core::Milliseconds push_timeout = std::chrono::minutes{30};

    // For the user's own repository: git finds its folder by itself. `directory` is absolute: the top of a
    // working tree, or where a command needs none, any folder. A repository further up is never used, so
    // that a command for a broken workspace inside a repository cannot hit that repository.
    explicit Git(std::string directory) : directory_(std::move(directory)) {}

    // For a working tree in which others may have written what they like: git is told its folder, its working
    // tree and where its refs are, whatever stands in them; it runs no hooks, and goes into no repository
    // within it by itself. Both absolute. Workspaces are opened by plain_git.h alone.
    Git(std::string directory, std::string folder)
        : directory_(std::move(directory)), folder_(std::move(folder)) {}

    [[nodiscard]] const std::string& directory() const { return directory_; }
    // Where HEAD, index and refs are.
    [[nodiscard]] std::string folder() const { return folder_.empty() ? directory_ + "/.git" : folder_; }
    [[nodiscard]] Git with_environment(std::string name, std::string_view value) const;
    // For commands that run the user's hooks: those find git's folder by themselves, as after a plain git,
    // and not ours wherever they go. The folder must be the one that git finds.
    [[nodiscard]] Git for_hooks() const;
    // Every command ends after this time, unless it is given another.
    [[nodiscard]] Git within(core::Milliseconds time) const;
    // Holds the lock for as long as it runs, even if we are killed meanwhile.
    [[nodiscard]] Git holding(const FileLock& lock) const;

    // For transfers between folders of ours: the transport for files is allowed, whatever the user forbids
    // for remotes.
    [[nodiscard]] Git between_our_folders() const;

    // Runs to the end, whatever the exit status is. An error only if git cannot be run, is killed or out of
    // time.
    [[nodiscard]] core::Result<ProgramEnd> run(
        const std::vector<std::string>& arguments,
        std::optional<core::Milliseconds> timeout = std::nullopt) const;
    // The error that an end with another status than 0 is.
    [[nodiscard]] core::Error failure(const std::vector<std::string>& arguments, const ProgramEnd& end) const;
    // An exit status other than 0 is an error: "git fetch in DIRECTORY: git's last words".
    [[nodiscard]] core::Result<void> expect(const std::vector<std::string>& arguments,
                                            std::optional<core::Milliseconds> timeout = std::nullopt) const;
    [[nodiscard]] core::Result<std::string> output(const std::vector<std::string>& arguments) const;
    // Without the line end.
    [[nodiscard]] core::Result<std::string> line(const std::vector<std::string>& arguments) const;

    // The object that the expression names ("HEAD^{commit}"), or nothing.
    [[nodiscard]] core::Result<std::optional<std::string>> resolve(const std::string& expression) const;
    [[nodiscard]] core::Result<std::string> head() const;
    // The full names of all refs below these prefixes, such as "refs/heads".
    [[nodiscard]] core::Result<std::vector<std::string>> refs(const std::vector<std::string>& prefixes) const;
    [[nodiscard]] core::Result<bool> ref_exists(const std::string& full_name) const;
    [[nodiscard]] core::Result<bool> is_ancestor(const std::string& ancestor, const std::string& of) const;
    // Nothing if HEAD is detached.
    [[nodiscard]] core::Result<std::optional<std::string>> current_branch() const;

    // Where origin is, a relative local path made absolute; nothing if it is not set.
    enum class Direction { fetch, push };
    [[nodiscard]] core::Result<std::optional<std::string>> origin_url(Direction direction) const;
    // Brings refs/remotes/origin/* up to date.
    [[nodiscard]] core::Result<void> fetch_origin() const;
    [[nodiscard]] core::Result<std::optional<std::string>> config_value(const std::string& key) const;
    [[nodiscard]] core::Result<void> set_config(const std::string& key, const std::string& value) const;

    enum class Untracked { no, yes };
    // Paths that differ from HEAD; with `untracked` also those of files that are new and not ignored.
    [[nodiscard]] core::Result<std::vector<std::string>> dirty_paths(Untracked untracked) const;
    [[nodiscard]] core::Result<std::vector<std::string>> unmerged_paths() const;
    [[nodiscard]] core::Result<bool> is_ignored(const std::string& path) const;
    // The content of a regular file in a commit, or nothing if there is none.
    [[nodiscard]] core::Result<std::optional<std::string>> file_at(const std::string& commit,
                                                                   const std::string& path) const;

  private:
    std::string directory_;
    std::string folder_;              // empty: git finds it
    std::vector<std::string> added_;  // "NAME=value"
    int inherited_ = -1;
    bool between_our_folders_ = false;
    std::optional<core::Milliseconds> timeout_;
};

}  // namespace ralph::daemon
