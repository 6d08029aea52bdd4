// All that is done with the supervisor's files is behind this page; the system calls are in file_calls.h.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "daemon/os/file_descriptor.h"

namespace ralph::daemon {

using core::Error;
using core::Result;

// What can be expected of trying again after this errno.
[[nodiscard]] core::Fault fault_of(int error_number);

// "PATH: what failed: No such file or directory"
[[nodiscard]] Error system_error(std::string_view what, const std::string& path, int error_number);

// The whole file; nothing if it does not exist. Larger than `limit` bytes, or not a regular file, is an
// error.
[[nodiscard]] Result<std::optional<std::string>> read_file(const std::string& path,
                                                           std::size_t limit = 64ULL << 20);

// After success the file is there with the new content even if the machine loses power now: a new file in the
// same directory is written, synced and renamed over the old one, then the directory is synced.
// On failure the old file is untouched and the new one is gone. Writers of one path exclude each other by a
// lock of their own. A crash may leave the new file under its first name: the path and `partial_suffix`.
inline constexpr std::string_view partial_suffix = ".new";
[[nodiscard]] Result<void> write_file_durably(const std::string& path, std::string_view content,
                                              unsigned mode = 0600);

// As above, for a file that belongs to the user: a file that is there keeps its permissions, and its owner
// and group as far as we may give files to others. A symbolic link stays a link, and its target is written; a
// target outside of the folder `within`, or none, is an error. With an empty `within` a link is replaced.
[[nodiscard]] Result<void> rewrite_file_durably(const std::string& path, std::string_view content,
                                                const std::string& within);

// Where the path leads when all symbolic links are followed; the path itself if it leads nowhere.
[[nodiscard]] std::string real_path(const std::string& path);

// Appends without syncing; for histories that nothing depends on.
[[nodiscard]] Result<void> append_file(const std::string& path, std::string_view content);

// mkdir -p, mode 0700 for what is made; each new directory's parent is synced.
[[nodiscard]] Result<void> make_directories(const std::string& path);

[[nodiscard]] Result<void> sync_directory(const std::string& path);
[[nodiscard]] Result<void> rename_durably(const std::string& from, const std::string& to);
// These two wait for no disk. False: `to` is there already.
[[nodiscard]] Result<bool> move_without_replacing(const std::string& from, const std::string& to);
// Replaces `to`. False: `from` is not there.
[[nodiscard]] Result<bool> move(const std::string& from, const std::string& to);
// A second name for a file. False: `from` is not there.
[[nodiscard]] Result<bool> link_file(const std::string& from, const std::string& to);
// Missing is success.
[[nodiscard]] Result<void> remove_file(const std::string& path);
[[nodiscard]] Result<void> remove_empty_directory(const std::string& path);
[[nodiscard]] unsigned long long file_size(const std::string& path);  // in bytes; 0 if it is missing
// What cannot be asked for is not known to be missing.
[[nodiscard]] Result<bool> is_there(const std::string& path);
[[nodiscard]] Result<bool> is_directory_there(const std::string& path);
[[nodiscard]] Result<bool> is_regular_file_there(const std::string& path);
// The same for those who can do without the difference: false as well when it cannot be asked for.
[[nodiscard]] bool path_exists(const std::string& path);
[[nodiscard]] bool is_directory(const std::string& path);  // not through a symbolic link
// Names in the directory without "." and "..", sorted; nothing in a directory that does not exist.
[[nodiscard]] Result<std::vector<std::string>> list_directory(const std::string& path);

// Removes `name` and all below it from the directory `parent`. No symbolic link is followed, neither `name`
// itself nor anything in the tree, and nothing on another file system is entered. Missing is success. `name`
// must be a plain name.
[[nodiscard]] Result<void> remove_tree(const std::string& parent, const std::string& name);

// A kernel lock on a file (flock): freed by the kernel when its last descriptor is closed, however the holder
// ends. The descriptor is close-on-exec, so that no child keeps it.
class FileLock {
  public:
    enum class Wait { no, yes };

    // Nothing if somebody else holds it and `wait` is no.
    [[nodiscard]] static Result<std::optional<FileLock>> acquire(const std::string& path, Wait wait);

    // The same on a file or folder that is there, which is not to be written.
    [[nodiscard]] static Result<std::optional<FileLock>> acquire_existing(const std::string& path);

    // The content of the lock file, at most 512 bytes: what the holder says of itself.
    [[nodiscard]] Result<void> write(std::string_view content) const;

    // Lets is_locked() tell that the lock is held, until it is freed: for those who only want to know.
    [[nodiscard]] Result<void> show() const;

    // A child that is given it holds the lock, too, for as long as it lives.
    [[nodiscard]] int descriptor() const { return descriptor_.get(); }

  private:
    [[nodiscard]] static Result<std::optional<FileLock>> lock_opened(FileDescriptor file,
                                                                     const std::string& path, Wait wait);
    FileLock(FileDescriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
    FileDescriptor descriptor_;
    std::string path_;
};

// A folder that was there when it was opened.
class DirectoryHandle {
  public:
    [[nodiscard]] static Result<DirectoryHandle> open(const std::string& path);

    // Whether it is certainly not there any more: removed, moved away, or another one in its place.
    [[nodiscard]] bool is_gone() const;

  private:
    DirectoryHandle(FileDescriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
    FileDescriptor descriptor_;
    std::string path_;
};

// Whether a shim holds its lock on the file, or somebody a FileLock that is shown; a missing file is not
// locked. Asking takes no lock, so that nobody who looks can be in the way of one who starts.
[[nodiscard]] Result<bool> is_locked(const std::string& path);

// Makes everything in the file system of `path` durable; git itself syncs little.
[[nodiscard]] Result<void> sync_file_system(const std::string& path);

}  // namespace ralph::daemon
