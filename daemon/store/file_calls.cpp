#include "daemon/store/file_calls.h"

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

#include "daemon/process/file_descriptor.h"

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

}  // namespace

int open(const std::string& path, int flags, unsigned mode) {
    return ::open(path.c_str(), flags, mode);
}

int open_below(int parent, const std::string& name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how));
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

int rename(const std::string& from, const std::string& to) {
    return ::rename(from.c_str(), to.c_str());
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
