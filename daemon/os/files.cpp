#include "daemon/os/files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/check.h"
#include "daemon/os/file_calls.h"
#include "daemon/os/file_content.h"

namespace ralph::daemon {
namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Empties the directory, bottom up. The depth of the recursion is that of the tree, bounded by PATH_MAX / 2
// for trees that path-based tools can make; each level keeps one descriptor.
Result<void> empty_directory(int directory, const std::string& path) {
    std::vector<std::string> names;
    if (file_calls::list(directory, names) != 0) {
        return system_error("list", path, errno);
    }
    for (const std::string& name : names) {
        if (file_calls::unlink_in(directory, name) == 0 || errno == ENOENT) {
            continue;
        }
        if (errno != EISDIR && errno != EPERM) {
            return system_error("remove", path + "/" + name, errno);
        }
        const FileDescriptor child(file_calls::open_below(directory, name));
        if (!child) {
            return system_error("open for removal", path + "/" + name, errno);
        }
        file_calls::allow_owner_everything(
            child.get());  // read-only directories (module caches) hold files, too
        TRY(empty_directory(child.get(), path + "/" + name));
        if (file_calls::remove_directory_in(directory, name) != 0 && errno != ENOENT) {
            return system_error("remove", path + "/" + name, errno);
        }
    }
    return {};
}

// Whose the file before was. Only root may give a file away, and others only to a group of theirs; whoever
// may write there at all is let do it.
Result<void> take_over_owner(int file, const file_calls::Status& before, const std::string& path) {
    file_calls::Status now;
    if (file_calls::status(file, now) != 0) {
        return system_error("stat", path, errno);
    }
    if (now.owner == before.owner && now.group == before.group) {
        return {};
    }
    if (file_calls::set_owner(file, before.owner, before.group) == 0 ||
        (errno == EPERM && file_calls::set_owner(file, now.owner, before.group) == 0) || errno == EPERM) {
        return {};
    }
    return system_error("chown", path, errno);
}

// Given the status of the file before, the new one has exactly its permissions, whatever the umask says.
Result<void> replace_file(const std::string& path, std::string_view content, unsigned mode,
                          const std::optional<file_calls::Status>& before) {
    // One name per target: what a crash leaves behind is replaced by the next write. Always a new file, since
    // after a failed sync nothing more can be known about the old one.
    const std::string temporary = path + std::string(partial_suffix);
    static_cast<void>(file_calls::unlink(temporary));
    const FileDescriptor file(
        file_calls::open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) {
        return system_error("create", temporary, errno);
    }
    auto written = write_all(file.get(), content, temporary);
    if (written && before) {
        written = take_over_owner(file.get(), *before, temporary);
    }
    if (written && before && file_calls::set_permissions(file.get(), before->permissions) != 0) {
        written = system_error("chmod", temporary, errno);
    }
    if (written && retry_interrupted([&] { return file_calls::sync(file.get()); }) != 0) {
        written = system_error("sync", temporary, errno);
    }
    if (written && file_calls::rename(temporary, path) != 0) {
        written = system_error("rename", path, errno);
    }
    if (!written) {
        static_cast<void>(file_calls::unlink(temporary));
        return written;
    }
    return sync_directory(parent_of(path));
}

// The folder of the file, with all links followed, must be in `within`.
Result<void> check_folder_within(const std::string& path, const std::string& within) {
    std::string folder;
    std::string allowed;
    if (file_calls::real_path(parent_of(path), folder) != 0 || file_calls::real_path(within, allowed) != 0) {
        return system_error("follow the links", parent_of(path), errno);
    }
    if (folder != allowed && folder.rfind(allowed + "/", 0) != 0) {
        return Error{fmt::format("{}: leads to {}, outside of {}", path, folder, within),
                     "put a folder there instead of the link"};
    }
    return {};
}

}  // namespace

core::Fault fault_of(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
        case EIO:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
        case EAGAIN:
        case EINTR:
        case EBUSY:
        case ETXTBSY:
        case ESTALE:
        case ETIMEDOUT:
        case EROFS:  // what a disk becomes that has failed, until it is mounted anew
            return core::Fault::passing;
        default:
            return core::Fault::permanent;
    }
}

Error system_error(std::string_view what, const std::string& path, int error_number) {
    return Error{{fmt::format("{}: {} failed: {}", path, what, ::strerrordesc_np(error_number)),
                  {},
                  fault_of(error_number)}};
}

Result<std::optional<std::string>> read_file(const std::string& path, std::size_t limit) {
    const FileDescriptor file(
        retry_interrupted([&] { return file_calls::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::optional<std::string>{};
        }
        return system_error("open", path, errno);
    }
    return read_all(file.get(), path, limit);
}

Result<void> write_file_durably(const std::string& path, std::string_view content, unsigned mode) {
    return replace_file(path, content, mode, std::nullopt);
}

Result<void> rewrite_file_durably(const std::string& path, std::string_view content,
                                  const std::string& within) {
    TRY(within.empty() ? Result<void>{} : check_folder_within(path, within));
    file_calls::Status status;
    if (file_calls::status_of_link(path, status) != 0) {
        return errno == ENOENT ? write_file_durably(path, content)
                               : Result<void>{system_error("stat", path, errno)};
    }
    if (status.kind == file_calls::Kind::regular) {
        return replace_file(path, content, status.permissions, status);
    }
    if (within.empty()) {
        return write_file_durably(path, content);
    }
    std::string target;
    std::string folder;
    if (file_calls::real_path(path, target) != 0 || file_calls::real_path(within, folder) != 0 ||
        file_calls::status(target, status) != 0) {
        return system_error("follow the link", path, errno);
    }
    if (target.rfind(folder + "/", 0) != 0) {
        return Error{fmt::format("{}: is a link to {}, outside of {}", path, target, within),
                     fmt::format("put the file itself there: `cp --remove-destination {} {}`", target, path)};
    }
    return replace_file(target, content, status.permissions, status);
}

std::string real_path(const std::string& path) {
    std::string result;
    return file_calls::real_path(path, result) == 0 ? result : path;
}

Result<void> append_file(const std::string& path, std::string_view content) {
    const FileDescriptor file(
        file_calls::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return system_error("open", path, errno);
    }
    return write_all(file.get(), content, path);
}

Result<void> make_directories(const std::string& path) {
    if (is_directory(path)) {
        return {};
    }
    const std::string parent = parent_of(path);
    if (parent != path && parent != "." && !path_exists(parent)) {
        TRY(make_directories(parent));
    }
    if (file_calls::make_directory(path) != 0 && errno != EEXIST) {
        return system_error("mkdir", path, errno);
    }
    file_calls::Status status;
    if (file_calls::status(path, status) != 0 || status.kind != file_calls::Kind::directory) {
        return Error{fmt::format("{}: is not a directory", path)};
    }
    return sync_directory(parent);
}

Result<void> sync_directory(const std::string& path) {
    const FileDescriptor directory(file_calls::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return system_error("open", path, errno);
    }
    if (retry_interrupted([&] { return file_calls::sync(directory.get()); }) != 0) {
        return system_error("sync", path, errno);
    }
    return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
    if (file_calls::rename(from, to) != 0) {
        return system_error("rename to " + to, from, errno);
    }
    return sync_directory(parent_of(to));
}

Result<void> remove_file(const std::string& path) {
    if (file_calls::unlink(path) != 0 && errno != ENOENT) {
        return system_error("remove", path, errno);
    }
    return {};
}

namespace {

Result<bool> is_there_as(const std::string& path, std::optional<file_calls::Kind> kind) {
    file_calls::Status status;
    if (file_calls::status_of_link(path, status) == 0) {
        return !kind || status.kind == *kind;
    }
    return errno == ENOENT || errno == ENOTDIR ? Result<bool>{false}
                                               : Result<bool>{system_error("stat", path, errno)};
}

}  // namespace

Result<bool> is_there(const std::string& path) {
    return is_there_as(path, std::nullopt);
}

Result<bool> is_directory_there(const std::string& path) {
    return is_there_as(path, file_calls::Kind::directory);
}

Result<bool> is_regular_file_there(const std::string& path) {
    return is_there_as(path, file_calls::Kind::regular);
}

bool path_exists(const std::string& path) {
    file_calls::Status status;
    return file_calls::status_of_link(path, status) == 0;
}

bool is_directory(const std::string& path) {
    file_calls::Status status;
    return file_calls::status_of_link(path, status) == 0 && status.kind == file_calls::Kind::directory;
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    const FileDescriptor directory(file_calls::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        if (errno == ENOENT) {
            return std::vector<std::string>{};
        }
        return system_error("open", path, errno);
    }
    std::vector<std::string> names;
    if (file_calls::list(directory.get(), names) != 0) {
        return system_error("list", path, errno);
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> remove_tree(const std::string& parent, const std::string& name) {
    const FileDescriptor directory(file_calls::open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return errno == ENOENT ? Result<void>{} : Result<void>{system_error("open", parent, errno)};
    }
    return remove_tree_in(directory.get(), parent, name);
}

Result<void> remove_tree_in(int directory, const std::string& directory_path, const std::string& name) {
    CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos);
    const std::string path = directory_path + "/" + name;
    const FileDescriptor tree(file_calls::open_below(directory, name));
    if (!tree) {
        return errno == ENOENT ? Result<void>{} : Result<void>{system_error("open for removal", path, errno)};
    }
    file_calls::allow_owner_everything(tree.get());
    TRY(empty_directory(tree.get(), path));
    if (file_calls::remove_directory_in(directory, name) != 0 && errno != ENOENT) {
        return system_error("remove", path, errno);
    }
    return {};
}

Result<std::optional<FileLock>> FileLock::acquire(const std::string& path, Wait wait) {
    return lock_opened(
        FileDescriptor(file_calls::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)), path, wait);
}

Result<std::optional<FileLock>> FileLock::acquire_existing(const std::string& path) {
    return lock_opened(FileDescriptor(file_calls::open(path, O_RDONLY | O_CLOEXEC)), path, Wait::no);
}

Result<std::optional<FileLock>> FileLock::lock_opened(FileDescriptor file, const std::string& path,
                                                      Wait wait) {
    if (!file) {
        return system_error("open", path, errno);
    }
    if (retry_interrupted([&] { return file_calls::lock(file.get(), wait == Wait::yes); }) != 0) {
        if (errno == EWOULDBLOCK) {
            return std::optional<FileLock>{};
        }
        return system_error("lock", path, errno);
    }
    return std::optional<FileLock>{FileLock(std::move(file), path)};
}

Result<void> FileLock::write(std::string_view content) const {
    // Always the same length, written over what is there: needs no new space on a full disk.
    constexpr std::size_t length = 512;
    CHECK(content.size() <= length);
    std::string padded(content);
    padded.resize(length, '\n');
    const ssize_t written = retry_interrupted(
        [&] { return file_calls::write_at_start(descriptor_.get(), padded.data(), padded.size()); });
    if (written != static_cast<ssize_t>(length)) {
        return system_error("write", path_, errno);
    }
    if (retry_interrupted([&] { return file_calls::sync(descriptor_.get()); }) != 0) {
        return system_error("sync", path_, errno);
    }
    return {};
}

Result<void> FileLock::show() const {
    if (retry_interrupted([&] { return file_calls::lock_record(descriptor_.get()); }) != 0) {
        return system_error("lock", path_, errno);
    }
    return {};
}

Result<DirectoryHandle> DirectoryHandle::open(const std::string& path) {
    FileDescriptor folder(file_calls::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) {
        return system_error("open", path, errno);
    }
    return DirectoryHandle(std::move(folder), path);
}

bool DirectoryHandle::is_gone() const {
    file_calls::Status there;
    if (file_calls::status(path_, there) != 0) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    file_calls::Status held;
    return file_calls::status(descriptor_.get(), held) == 0 &&
           (held.device != there.device || held.inode != there.inode);
}

Result<bool> is_locked(const std::string& path) {
    const FileDescriptor file(file_calls::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        // ENOTDIR: a file is in the place of a folder on the way.
        return errno == ENOENT || errno == ENOTDIR ? Result<bool>{false}
                                                   : Result<bool>{system_error("open", path, errno)};
    }
    const int locked = file_calls::is_locked_by_another(file.get());
    if (locked < 0) {
        return system_error("ask for the lock of", path, errno);
    }
    return locked == 1;
}

Result<bool> move_without_replacing(const std::string& from, const std::string& to) {
    if (file_calls::rename_without_replacing(from, to) == 0) {
        return true;
    }
    return errno == EEXIST ? Result<bool>{false} : Result<bool>{system_error("rename to " + to, from, errno)};
}

Result<bool> move(const std::string& from, const std::string& to) {
    if (file_calls::rename(from, to) == 0) {
        return true;
    }
    return errno == ENOENT ? Result<bool>{false} : Result<bool>{system_error("rename to " + to, from, errno)};
}

Result<bool> link_file(const std::string& from, const std::string& to) {
    if (file_calls::link(from, to) == 0) {
        return true;
    }
    return errno == ENOENT ? Result<bool>{false} : Result<bool>{system_error("link", from, errno)};
}

Result<void> remove_empty_directory(const std::string& path) {
    if (file_calls::remove_directory(path) != 0 && errno != ENOENT) {
        return system_error("remove", path, errno);
    }
    return {};
}

unsigned long long file_size(const std::string& path) {
    file_calls::Status status;
    return file_calls::status(path, status) == 0 ? status.size : 0;
}

Result<void> sync_file_system(const std::string& path) {
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
