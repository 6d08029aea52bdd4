#include "daemon/os/file_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "daemon/os/file_descriptor.h"

namespace ralph::daemon {

void close_descriptor(int descriptor) {
    ::close(descriptor);
}

namespace file_calls {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

int take_over(int returned, const struct stat& info, Status& result) {
    if (returned == 0) {
        result.kind = S_ISREG(info.st_mode)   ? Kind::regular
                      : S_ISDIR(info.st_mode) ? Kind::directory
                      : S_ISLNK(info.st_mode) ? Kind::link
                                              : Kind::other;
        result.size = static_cast<unsigned long long>(info.st_size);
        result.links = info.st_nlink;
        result.permissions = info.st_mode & 0777U;
        result.owner = info.st_uid;
        result.group = info.st_gid;
        result.device = info.st_dev;
        result.inode = info.st_ino;
    }
    return returned;
}

// Which mount a directory is on: a bind mount of the same file system has the same device.
int mount_of(int directory, struct statx& info) {
    return ::statx(directory, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &info);
}

bool is_same_mount(const struct statx& left, const struct statx& right) {
    const bool is_same_device =
        left.stx_dev_major == right.stx_dev_major && left.stx_dev_minor == right.stx_dev_minor;
    const bool tells_mounts = (left.stx_mask & right.stx_mask & STATX_MNT_ID) != 0;
    return is_same_device && (!tells_mounts || left.stx_mnt_id == right.stx_mnt_id);
}

// What openat2 does at once, step by step: each name is opened in the directory before it, and none of them
// is a link, "..", or the root of another mount.
int open_below_by_steps(int parent, std::string_view path) {
    struct statx begin {};
    if (mount_of(parent, begin) != 0) {
        return -1;
    }
    FileDescriptor reached;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string name(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
        if (name.empty() || name == "." || name == "..") {
            errno = EXDEV;
            return -1;
        }
        FileDescriptor next(::openat(reached ? reached.get() : parent, name.c_str(),
                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct statx there {};
        if (!next || mount_of(next.get(), there) != 0) {
            return -1;
        }
        if (!is_same_mount(begin, there)) {
            errno = EXDEV;
            return -1;
        }
        reached = std::move(next);
    }
    return reached.release();
}

}  // namespace

int open(const std::string& path, int flags, unsigned mode) {
    return ::open(path.c_str(), flags, mode);
}

int open_below(int parent, const std::string& name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    const int opened = static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how));
    const bool is_refused = opened < 0 && (errno == ENOSYS || errno == EPERM);  // old, or a sandbox's list
    return is_refused ? open_below_by_steps(parent, name) : opened;
}

int open_in(int directory, const std::string& name, int flags, unsigned mode) {
    return ::openat(directory, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

ssize_t read(int file, char* buffer, std::size_t size) {
    return ::read(file, buffer, size);
}

ssize_t write(int file, const char* data, std::size_t size) {
    return ::write(file, data, size);
}

ssize_t write_at_start(int file, const char* data, std::size_t size) {
    return ::pwrite(file, data, size, 0);
}

int sync(int file) {
    return ::fsync(file);
}

int status(int file, Status& result) {
    struct stat info {};
    return take_over(::fstat(file, &info), info, result);
}

int status_of_link(const std::string& path, Status& result) {
    struct stat info {};
    return take_over(::lstat(path.c_str(), &info), info, result);
}

int status(const std::string& path, Status& result) {
    struct stat info {};
    return take_over(::stat(path.c_str(), &info), info, result);
}

int status_in(int directory, const std::string& name, Status& result) {
    struct stat info {};
    return take_over(::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW), info, result);
}

int may_enter_in(int directory, const std::string& name) {
    return ::faccessat(directory, name.c_str(), R_OK | X_OK, AT_EACCESS);
}

int list(int directory, std::vector<std::string>& names) {
    FileDescriptor copy(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
    const DirectoryStream stream(copy ? ::fdopendir(copy.get()) : nullptr);
    if (!stream) {
        return -1;
    }
    static_cast<void>(copy.release());  // the stream closes it
    ::rewinddir(stream.get());
    while (true) {
        errno = 0;
        const dirent* const entry = ::readdir(stream.get());
        if (entry == nullptr) {
            return errno == 0 ? 0 : -1;
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
}

int make_directory(const std::string& path) {
    return ::mkdir(path.c_str(), 0700);
}

int make_directory_in(int directory, const std::string& name) {
    return ::mkdirat(directory, name.c_str(), 0700);
}

int rename(const std::string& from, const std::string& to) {
    return ::rename(from.c_str(), to.c_str());
}

int rename_in(int directory, const std::string& from, const std::string& to) {
    return ::renameat(directory, from.c_str(), directory, to.c_str());
}

int rename_without_replacing(const std::string& from, const std::string& to) {
    return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
}

int link(const std::string& from, const std::string& to) {
    return ::link(from.c_str(), to.c_str());
}

int unlink(const std::string& path) {
    return ::unlink(path.c_str());
}

int unlink_in(int directory, const std::string& name) {
    return ::unlinkat(directory, name.c_str(), 0);
}

int remove_directory(const std::string& path) {
    return ::rmdir(path.c_str());
}

int remove_directory_in(int directory, const std::string& name) {
    return ::unlinkat(directory, name.c_str(), AT_REMOVEDIR);
}

int allow_owner_everything(int directory) {
    return ::fchmod(directory, 0700);
}

int set_permissions(int file, unsigned permissions) {
    return ::fchmod(file, permissions);
}

int set_owner(int file, unsigned owner, unsigned group) {
    return ::fchown(file, owner, group);
}

int real_path(const std::string& path, std::string& result) {
    struct Free {
        void operator()(char* text) const { std::free(text); }  // NOLINT: allocated by realpath
    };
    const std::unique_ptr<char, Free> resolved(::realpath(path.c_str(), nullptr));
    if (!resolved) {
        return -1;
    }
    result = resolved.get();
    return 0;
}

int lock(int file, bool wait) {
    return ::flock(file, LOCK_EX | (wait ? 0 : LOCK_NB));
}

int lock_record(int file) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(file, F_OFD_SETLK, &whole);
}

int is_locked_by_another(int file) {
    struct flock query {};
    query.l_type = F_WRLCK;
    query.l_whence = SEEK_SET;
    if (::fcntl(file, F_OFD_GETLK, &query) != 0) {
        return -1;
    }
    return query.l_type == F_UNLCK ? 0 : 1;
}

}  // namespace file_calls
}  // namespace ralph::daemon
