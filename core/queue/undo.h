// Whether a task's result takes back what another task has landed since its worker began.
//
// A worker that has a stale copy of a file in its context, or that resolves a conflict by taking its own
// side, writes what was there before the other one landed, and no merge sees anything wrong with that. Two
// signs tell: the result for a file is, byte for byte, what the landing has replaced (or the file that it
// added is gone); or, within a file, each of the landing's changes stands reversed in the task's.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ralph::core {

// A file before and after: the ids of its contents, with "+x" if it is executable; empty where there is none.
struct FileEdit {
    std::string path;
    std::string before;
    std::string after;

    bool operator==(const FileEdit&) const = default;
};

// The raw form of a difference between two trees, with -z and without renames. Entries that are not of
// that form are passed over.
[[nodiscard]] std::vector<FileEdit> parse_raw_diff(const std::vector<std::string>& entries);

// All that a task has changed, by path.
using FileEdits = std::map<std::string, FileEdit>;

// The task's result for the file is what the landing has replaced; or its file is moved elsewhere as it was
// before the landing. A new file that is moved as it is, is not taken back.
[[nodiscard]] bool restores(const FileEdits& task, const FileEdit& landing);

// One place of a difference between two versions of a file, without context.
struct Hunk {
    std::vector<std::string> removed;
    std::vector<std::string> added;

    bool operator==(const Hunk&) const = default;
};
// Of one file, as `git diff --unified=0` writes it.
[[nodiscard]] std::vector<Hunk> parse_hunks(std::string_view diff);

// Each change that the landing has made within the file stands reversed in the task's: what it had added is
// removed, and what it had removed is there again. A change of a few characters proves nothing.
[[nodiscard]] bool reverses(const std::vector<Hunk>& task, const std::vector<Hunk>& landing);

// The commits that a message says are meant to be taken back, in the words of `git revert`: "This reverts
// commit <id>". As written, which may be short.
[[nodiscard]] std::vector<std::string> reverted_commits(std::string_view message);

}  // namespace ralph::core
